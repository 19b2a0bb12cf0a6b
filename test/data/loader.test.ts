import { describe, expect, it, vi } from 'vitest'
import { data, randn, ShapeError, tensor, type Tensor, ValueError } from '../../ts/index.js'
import { held, settled } from '../settle.js'

const count = 23
const set = data.dataset({
  inputs: Float32Array.from({ length: count * 48 }, (_, i) => (i % 97) / 97),
  inputShape: [4, 4, 3],
  labels: Int32Array.from({ length: count }, (_, i) => i % 5),
  classes: ['a', 'b', 'c', 'd', 'e'],
})
const numbers = data.dataset({
  inputs: Float32Array.from({ length: count }, (_, i) => i),
  inputShape: [],
  labels: Int32Array.from({ length: count }, (_, i) => i),
})

async function labelsOf(loader: AsyncIterable<data.Batch>): Promise<number[][]> {
  const seen: number[][] = []
  for await (const { labels } of loader) seen.push(Array.from((await labels.data()) as Int32Array))
  return seen
}

describe('DataLoader', () => {
  it('goes through everything once an epoch, in an order that the seed gives', async () => {
    const make = (seed: number): data.DataLoader => new data.DataLoader(numbers, { batchSize: 5, shuffle: true, seed })
    const [a, b] = [make(1), make(1)]
    expect([a.length, a.samples]).toEqual([5, 23])
    const first = await labelsOf(a)
    expect(first.map(({ length }) => length)).toEqual([5, 5, 5, 5, 3])
    expect(first.flat().sort((x, y) => x - y)).toEqual(Array.from({ length: count }, (_, i) => i))
    expect(await labelsOf(b)).toEqual(first)
    const second = await labelsOf(a)
    expect(second).not.toEqual(first)
    expect(await labelsOf(b)).toEqual(second)
    expect(await labelsOf(make(2))).not.toEqual(first)
  })

  it('keeps the order without shuffle, and drops a ragged end where asked', async () => {
    const loader = new data.DataLoader(numbers, { batchSize: 10, dropLast: true })
    expect(await labelsOf(loader)).toEqual([0, 10].map((from) => Array.from({ length: 10 }, (_, i) => from + i)))
    expect(loader.samples).toBe(20)
    expect(await labelsOf(new data.DataLoader(numbers, { batchSize: Infinity }))).toHaveLength(1)
  })

  it('says that clone keeps a batch beyond its turn', async () => {
    const kept: Tensor[] = []
    const copies: Tensor[] = []
    for await (const { inputs } of new data.DataLoader(numbers, { batchSize: 10 })) {
      kept.push(inputs as Tensor)
      copies.push((inputs as Tensor).clone())
    }
    expect(() => kept[0]!.add(1)).toThrow(/keep inputs\.clone\(\)/)
    expect(() => kept[0]!.dataSync()).toThrow(/keep inputs\.clone\(\)/)
    expect(copies[0]!.add(1).shape[0]).toBe(10)
  })

  it('continues from any batch as if it had never stopped, augmentation included', async () => {
    const make = (): data.DataLoader =>
      new data.DataLoader(set, {
        batchSize: 4,
        shuffle: true,
        seed: 7,
        augment: { flip: true, pad: 1, cutout: 1, brightness: 0.2, mixup: 0.4 },
      })
    const read = async (loader: data.DataLoader, epochs: number): Promise<string[]> => {
      const seen: string[] = []
      for (let i = 0; i < epochs; i++)
        for await (const { inputs, labels } of loader)
          seen.push(JSON.stringify([Array.from(await inputs.data()), Array.from(await labels.data())]))
      return seen
    }
    const whole = await read(make(), 2)
    expect(whole).toHaveLength(12)
    expect(new Set(whole).size).toBe(12)
    for (let stop = 0; stop <= 12; stop++) {
      const stopped = make()
      const seen: string[] = []
      let state = stopped.state()
      outer: while (seen.length < stop) {
        for await (const { inputs, labels } of stopped) {
          seen.push(JSON.stringify([Array.from(await inputs.data()), Array.from(await labels.data())]))
          state = stopped.state()
          if (seen.length === stop) break outer
        }
      }
      const resumed = make()
      resumed.restore(JSON.parse(JSON.stringify(state)) as data.LoaderState)
      // A state taken after an epoch's last batch leaves an epoch without batches.
      while (seen.length < 12) seen.push(...(await read(resumed, 1)))
      expect(seen).toEqual(whole)
    }
  })

  it('begins the next epoch after one that was left early', async () => {
    const loader = new data.DataLoader(numbers, { batchSize: 5, shuffle: true })
    const other = new data.DataLoader(numbers, { batchSize: 5, shuffle: true })
    for await (const _ of loader) break
    await labelsOf(other)
    expect(loader.state()).toMatchObject({ epoch: 0, position: 1 })
    expect(await labelsOf(loader)).toEqual(await labelsOf(other))
  })

  it('frees a batch when the next is taken, and everything at the end or on leaving', async () => {
    const loader = new data.DataLoader(set, { batchSize: 4, prefetch: 3 })
    const before = await settled()
    const seen: Tensor[] = []
    for await (const { inputs } of loader) {
      for (const earlier of seen) expect(earlier.disposed).toBe(true)
      expect(inputs.disposed).toBe(false)
      seen.push(inputs)
    }
    for await (const _ of loader) break
    await new Promise((resolve) => setImmediate(resolve))
    expect(await held()).toEqual(before)
  })

  it('lets the event loop take its turns', async () => {
    const big = data.dataset({ inputs: new Uint8Array(2000 * 3072), inputShape: [32, 32, 3], labels: new Int32Array(2000), scale: 1 / 255 })
    // A clock that says at each look that the loop has been held too long; how long it is held in truth is a bench.
    let time = 0
    const clock = vi.spyOn(performance, 'now').mockImplementation(() => (time += 1000))
    let turns = 0
    let counting = true
    const count = (): void => {
      turns++
      if (counting) setImmediate(count)
    }
    count()
    let batches = 0
    try {
      for await (const _ of new data.DataLoader(big, { batchSize: 8 })) batches++
    } finally {
      counting = false
      clock.mockRestore()
    }
    expect(batches).toBe(250)
    expect(turns).toBeGreaterThanOrEqual(batches)
  })

  it('takes samples by number, also asynchronous ones', async () => {
    const source = { length: 5, get: async (i: number) => ({ inputs: [i, -i], labels: i % 2 }) }
    const loader = new data.DataLoader(source, { batchSize: 2 })
    expect(loader.length).toBe(3)
    const [first] = await labelsOf(loader)
    expect(first).toEqual([0, 1])
    for await (const { inputs, labels } of loader) {
      expect(inputs.dtype).toBe('float32')
      expect(labels.dtype).toBe('int32')
      expect(await inputs.tolist()).toEqual([
        [0, -0],
        [1, -1],
      ])
      break
    }
    const records = { length: 2, get: (i: number) => ({ inputs: { ids: Int32Array.of(i, 1) }, labels: 0.5 }) }
    for await (const { inputs, labels } of new data.DataLoader(records)) {
      expect(await inputs.ids.tolist()).toEqual([
        [0, 1],
        [1, 1],
      ])
      expect(labels.dtype).toBe('float32')
    }
  })

  it('takes streams of samples and of batches, each epoch anew', async () => {
    const stream = {
      async *[Symbol.asyncIterator]() {
        for (let i = 0; i < 5; i++) yield { inputs: [i], labels: i }
      },
    }
    const loader = new data.DataLoader(stream, { batchSize: 2 })
    expect(loader.length).toBe(Infinity)
    expect(await labelsOf(loader)).toEqual([[0, 1], [2, 3], [4]])
    expect(await labelsOf(loader)).toEqual([[0, 1], [2, 3], [4]])
    const later = new data.DataLoader(stream, { batchSize: 2 })
    later.restore({ epoch: 0, position: 1, seed: 0 })
    expect(await labelsOf(later)).toEqual([[2, 3], [4]])
    const batches = {
      *[Symbol.iterator]() {
        yield { inputs: tensor([[1], [2]]), labels: tensor([1, 2], { dtype: 'int32' }) }
        yield { inputs: [[3]], labels: [3] }
      },
    }
    expect(await labelsOf(data.loader(batches))).toEqual([[1, 2], [3]])
  })

  it('puts the samples of an iterable together where batchSize is given', async () => {
    async function* samples(label: (i: number) => unknown): AsyncGenerator<data.Sample> {
      for (let i = 0; i < 10; i++) yield { inputs: randn([4]), labels: label(i) }
    }
    const shapes: unknown[] = []
    const labels: unknown[] = []
    for (const label of [(i: number) => tensor(i % 3, { dtype: 'int32' }), (i: number) => i % 3]) {
      for await (const batch of data.loader(samples(label), { batchSize: 4 })) {
        shapes.push(batch.inputs.shape)
        labels.push(await batch.labels.tolist())
        expect(batch.labels.dtype).toBe('int32')
      }
    }
    expect(shapes).toEqual([[4, 4], [4, 4], [2, 4], [4, 4], [4, 4], [2, 4]])
    expect(labels.slice(0, 3)).toEqual([[0, 1, 2, 0], [1, 2, 0, 1], [2, 0]])
    expect(labels.slice(3)).toEqual(labels.slice(0, 3))
    for (const make of [data.loader, (source: data.Source) => new data.DataLoader(source)])
      await expect(labelsOf(make(samples((i) => i)))).rejects.toThrow(/single samples[^]*Give batchSize/)
  })

  it('changes the batches of an iterable as it is told to', async () => {
    const batches = [{ inputs: tensor([[1], [2]]), labels: tensor([1, 2], { dtype: 'int32' }) }]
    const doubled: unknown[] = []
    const augment = ({ inputs, labels }: data.Batch): data.Batch => ({ inputs: inputs.mul(2), labels })
    for await (const { inputs } of data.loader(batches, { augment })) doubled.push(await inputs.tolist())
    expect(doubled).toEqual([[[2], [4]]])
    expect(() => data.loader(batches, { augment: { flp: true } as never })).toThrow(/no option 'flp'/)
    expect(() => data.loader(batches, { shuffle: true })).toThrow(/shuffle: true wants samples by number/)
    expect(() => data.loader(batches, { dropLast: true })).toThrow(/dropLast goes with single samples/)
    await expect(labelsOf(data.loader(batches, { augment: (async (batch: data.Batch) => batch) as never }))).rejects.toThrow(/may not be async/)
    const floats = data.loader([{ inputs: [[1]], labels: [3] }], { labelDType: 'float32' })
    for await (const { labels } of floats) expect(labels.dtype).toBe('float32')
    for (const label of [1.5, 3e9]) {
      const whole = data.loader([{ inputs: [1], labels: 1 }, { inputs: [2], labels: label }], { batchSize: 2, labelDType: 'int32' })
      await expect(labelsOf(whole)).rejects.toThrow(`a label is ${label}, which int32 does not hold`)
      for (const labels of [[1, label], Float64Array.of(1, label)]) {
        await expect(labelsOf(data.loader([{ inputs: [[1], [2]], labels }], { labelDType: 'int32' }))).rejects.toThrow(`a label is ${label}, which int32 does not hold`)
      }
    }
  })

  it('shuffles an array of samples, whose length it knows', async () => {
    const samples = Array.from({ length: 10 }, (_, i) => ({ inputs: [i], labels: i }))
    const loader = data.loader(samples, { batchSize: 4, shuffle: true })
    expect(loader.length).toBe(3)
    const order = (await labelsOf(loader)).flat()
    expect(order).not.toEqual(samples.map(({ labels }) => labels))
    expect(order.sort((a, b) => a - b)).toEqual(samples.map(({ labels }) => labels))
  })

  it('mixes pairs and their labels', async () => {
    for await (const { inputs, labels } of new data.DataLoader(set, { batchSize: 8, augment: { mixup: 8 } })) {
      expect(inputs.shape.slice(1)).toEqual([4, 4, 3])
      const rows = (await labels.tolist()) as number[][]
      for (const row of rows) expect(row.reduce((a, b) => a + b, 0)).toBeCloseTo(1, 5)
      expect(rows.some((row) => row.some((value) => value > 0.01 && value < 0.99))).toBe(true)
      break
    }
  })

  it('refuses bad options, samples and states', async () => {
    expect(() => new data.DataLoader(set, { batchSize: 0 })).toThrow(ValueError)
    expect(() => new data.DataLoader(set, { batchSize: null })).toThrow(ValueError)
    expect(() => new data.DataLoader(set, { batch: 3 } as never)).toThrow(/no option 'batch'/)
    expect(() => new data.DataLoader(set, { batchSize: 100, dropLast: true })).toThrow(ValueError)
    expect(() => new data.DataLoader(set, { augment: { rotate: 3 } as never })).toThrow(/no option 'rotate'/)
    expect(() => new data.DataLoader(7 as never)).toThrow(ValueError)
    expect(() => new data.DataLoader({ length: 0, get: () => ({ inputs: 0, labels: 0 }) })).toThrow(ValueError)
    expect(() => new data.DataLoader({ *[Symbol.iterator]() {} } as never, { shuffle: true })).toThrow(ValueError)
    expect(() => new data.DataLoader(set).restore({ epoch: 0, position: 99, seed: 0 })).toThrow(ValueError)
    const ragged = new data.DataLoader({ length: 2, get: (i) => ({ inputs: tensor(new Float32Array(i + 1)), labels: 0 }) })
    await expect(labelsOf(ragged)).rejects.toThrow(ShapeError)
    const failing = new data.DataLoader(
      {
        length: 9,
        get: (i) => {
          if (i === 4) throw new Error('no such file')
          return { inputs: [i], labels: 0 }
        },
      },
      { batchSize: 2 },
    )
    await expect(labelsOf(failing)).rejects.toThrow('no such file')
    const flat = new data.DataLoader(numbers, { augment: { flip: true } })
    await expect(labelsOf(flat)).rejects.toThrow(ShapeError)
  })
})

describe('augment', () => {
  it('gives a function for fit, which leaves labels alone', async () => {
    const images = tensor(new Float32Array(2 * 8 * 8 * 3).fill(1), { shape: [2, 8, 8, 3] })
    const changed = (await data.augment({ cutout: 4 })(images).data()) as Float32Array
    const cut = changed.filter((value) => value === 0).length
    expect(cut).toBeGreaterThan(0)
    expect(cut).toBeLessThanOrEqual(2 * 4 * 4 * 3)
    expect(() => data.augment({ mixup: 0.2 })).toThrow(ValueError)
    expect(() => data.augment({ pad: -1 })).toThrow(ValueError)
  })
})
