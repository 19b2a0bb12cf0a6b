import { expect, test } from 'vitest'
import { CancelledError, concat, device, ones, scope, tensor } from '../../ts/index.js'
import { native, Stream } from '../../ts/internal.js'

test('fifty queued products return before the first has run', async () => {
  const stream = new Stream()
  const sums: Promise<number>[] = []
  const a = stream.run(() => ones([1024, 1024]))
  await stream.run(() => a.at(0, 0).item())
  stream.run(() => {
    const gate = native.gate()
    const [, before] = native.streamProgress() as [number, number]
    scope(() => {
      for (let i = 0; i < 50; i++) sums.push(a.matmul(a).at(0, 0).item())
    })
    const [pushed, completed] = native.streamProgress() as [number, number]
    expect(completed).toBe(before)
    expect(pushed - completed).toBeGreaterThanOrEqual(100)
    native.openGate(gate)
  })
  expect(await Promise.all(sums)).toEqual(Array.from({ length: 50 }, () => 1024))
  stream.close()
})

test('a stream waits for what another one still has to write', async () => {
  const [first, second] = [new Stream(), new Stream()]
  const gate = first.run(() => native.gate())
  const x = first.run(() => tensor([1, 2, 3]).add(1))
  const y = second.run(() => x.mul(2).data())
  let arrived = false
  void y.then(() => { arrived = true })
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(arrived).toBe(false)
  native.openGate(gate)
  expect([...await y]).toEqual([4, 6, 8])
  first.close()
  second.close()
})

test('a waiting stream does not hold up the others', async () => {
  const held = new Stream()
  const gate = held.run(() => native.gate())
  const late = held.run(() => tensor([1]).add(1).item())
  expect(await tensor([5]).mul(2).item()).toBe(10)
  native.openGate(gate)
  expect(await late).toBe(2)
  held.close()
})

test('closing a stream drops what has not begun, and what wanted its results is told', async () => {
  const stream = new Stream()
  const x = stream.run(() => {
    native.gate()
    return tensor([1]).add(1)
  })
  stream.close()
  await expect(x.mul(2).item()).rejects.toThrow(CancelledError)
  expect(() => stream.run(() => 1)).toThrow()
})

test('data() is a snapshot in stream order', async () => {
  const { run } = await import('../../ts/internal.js')
  const x = tensor([1, 2, 3])
  const before = x.data()
  run.assign(x, tensor([7, 8, 9]))
  const after = x.data()
  expect([...await before]).toEqual([1, 2, 3])
  expect([...await after]).toEqual([7, 8, 9])
})

test('more commands than the queue holds are run all the same, in order', async () => {
  const total = scope(() => {
    let x = tensor([0])
    for (let i = 0; i < 10_000; i++) x = x.add(1)
    return x.item()
  })
  expect(await total).toBe(10_000)
  await device.sync()
})

test('a stream writes in place only when the others have read', async () => {
  const { run } = await import('../../ts/internal.js')
  const [first, second] = [new Stream(), new Stream()]
  const x = tensor([1, 2, 3])
  await device.sync()
  const gate = first.run(() => native.gate())
  const product = first.run(() => x.mul(2).data())
  const copy = first.run(() => x.data())
  second.run(() => run.assign(x, tensor([7, 8, 9])))
  const after = second.run(() => x.data())
  // Time enough for the assignment, were it not to wait.
  await new Promise((resolve) => setTimeout(resolve, 20))
  native.openGate(gate)
  expect([...await product]).toEqual([2, 4, 6])
  expect([...await copy]).toEqual([1, 2, 3])
  expect([...await after]).toEqual([7, 8, 9])
  first.close()
  second.close()
})

test('a command with more operands than fit the queue runs too', async () => {
  const parts = Array.from({ length: 3_000 }, (_, i) => tensor([i]))
  const whole = await scope(() => concat(parts).data())
  expect([...whole]).toEqual(parts.map((_, i) => i))
  parts.forEach((part) => part.dispose())
})

test('tensors used on several streams and let go at once are there until each has run', async () => {
  const streams = [new Stream(), new Stream(), new Stream()]
  const gates = streams.map((stream) => stream.run(() => native.gate()))
  const results = scope(() => {
    const x = ones([1000]).add(1)
    return streams.map((stream) => stream.run(() => x.sum().item()))
  })
  // What reuses freed memory would show as another sum.
  await scope(() => ones([1000]).mul(5).sum().item())
  gates.reverse().forEach((gate) => native.openGate(gate))
  expect(await Promise.all(results)).toEqual([2000, 2000, 2000])
  streams.forEach((stream) => stream.close())
})
