// Values come at once where they are there in a moment, without the event loop; what a program sees of that.
import { expect, test } from 'vitest'
import { randn, tensor } from 'ferrograd'

test('the event loop turns while small reads are awaited in a row', async () => {
  const x = tensor([1, 2, 3])
  for (let turn = 0; turn < 3; turn++) {
    let turned = false
    setImmediate(() => { turned = true })
    for (let reads = 0; reads < 1_000_000 && !turned; reads++) await x.data()
    expect(turned).toBe(true)
  }
})

test('reads resolve in the order in which they were asked for', async () => {
  const small = tensor([1, 2, 3])
  const large = randn([600, 600])
  for (let round = 0; round < 20; round++) {
    const order: string[] = []
    const note = (name: string) => (): void => { order.push(name) }
    await Promise.all([
      large.matmul(large).data().then(note('product')),
      small.data().then(note('first')),
      small.add(1).data().then(note('second')),
    ])
    expect(order).toEqual(['product', 'first', 'second'])
  }
})

test('an error of an op in front is told by the read, whether it looked for it or not', async () => {
  const labels = tensor(Int32Array.of(0, 7))
  const table = randn([4, 2])
  for (let round = 0; round < 200; round++) await expect(table.gather(0, labels.unsqueeze(1)).data()).rejects.toThrow(/7/)
})
