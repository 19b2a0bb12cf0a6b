import { describe, expect, it } from 'vitest'
import { data, ShapeError, tensor, ValueError } from '../../ts/index.js'
import { held, settled } from '../settle.js'

const points = {
  inputs: [
    [0, 1],
    [2, 3],
    [4, 5],
    [6, 7],
  ],
  labels: [0, 1, 1, 0],
}

describe('dataset', () => {
  it('holds nested arrays: float inputs, whole labels as int32', async () => {
    const set = data.dataset(points)
    expect(set.length).toBe(4)
    expect(set.inputShape).toEqual([2])
    expect(set.inputs.dtype).toBe('float32')
    expect(await set.inputs.tolist()).toEqual(points.inputs)
    expect(set.labels.dtype).toBe('int32')
    expect(await set.labels.tolist()).toEqual(points.labels)
    set.dispose()
  })

  it('holds typed arrays with a row shape, and bytes until a batch is made', async () => {
    const set = data.dataset({ inputs: Uint8Array.of(0, 255, 51, 102), inputShape: [2, 1, 1], labels: Uint8Array.of(3, 4), scale: 1 / 255 })
    const batch = set.batch([1])
    expect(batch.inputs.shape).toEqual([1, 2, 1, 1])
    expect(Array.from(await batch.inputs.data())).toEqual([expect.closeTo(0.2, 6), expect.closeTo(0.4, 6)])
    expect(await batch.labels.tolist()).toEqual([4])
    expect(set.rawBatch([0]).inputs.dtype).toBe('uint8')
  })

  it('holds tensors and records of columns', async () => {
    const set = data.dataset({
      inputs: {
        ids: tensor(
          [
            [1, 2],
            [3, 4],
          ],
          { dtype: 'int32' },
        ),
        length: [2, 1],
      },
      labels: [[0.5], [1.5]],
    })
    const { inputs, labels } = set.batch([1, 0])
    expect(await inputs.ids.tolist()).toEqual([
      [3, 4],
      [1, 2],
    ])
    expect(await inputs.length.tolist()).toEqual([1, 2])
    expect(await labels.tolist()).toEqual([[1.5], [0.5]])
  })

  it('numbers beyond int32 are no class numbers: floats to predict, or refused where they are 64-bit integers', async () => {
    const { labels } = data.dataset({ inputs: [[1], [2]], labels: [3e9, 1] })
    expect([labels.dtype, await labels.tolist()]).toEqual(['float32', [3e9, 1]])
    expect(() => data.dataset({ inputs: [[1], [2]], labels: BigInt64Array.of(1n, 3_000_000_000n) })).toThrow(/sample 1 has the label 3000000000; class numbers are int32/)
  })

  it('turns class names into numbers', async () => {
    const set = data.dataset({ inputs: [[1], [2], [3]], labels: ['dog', 'cat', 'dog'] })
    expect(set.classes).toEqual(['cat', 'dog'])
    expect(await set.labels.tolist()).toEqual([1, 0, 1])
  })

  it('gives parts and one-hot labels', async () => {
    const part = data
      .dataset({ ...points, classes: ['a', 'b', 'c'] })
      .subset([3, 1])
      .oneHot()
    expect(await part.inputs.tolist()).toEqual([
      [6, 7],
      [2, 3],
    ])
    expect(await part.labels.tolist()).toEqual([
      [1, 0, 0],
      [0, 1, 0],
    ])
    expect(await part.subset([1]).labels.tolist()).toEqual([[0, 1, 0]])
  })

  it('normalises with the statistics of the training part alone', async () => {
    const train = data.dataset({
      inputs: [
        [1, 10],
        [3, 30],
      ],
      labels: [0, 1],
    })
    const test = data.dataset({ inputs: [[2, 40]], labels: [0] })
    const parts = await data.normalise({ train, test })
    expect(parts.train.normalisation).toEqual({ mean: [2, 20], std: [1, 10] })
    expect(await parts.train.inputs.tolist()).toEqual([
      [-1, -1],
      [1, 1],
    ])
    expect(await parts.test.inputs.tolist()).toEqual([[0, 2]])
    const flat = await data.statistics(data.dataset({ inputs: Uint8Array.of(255, 255), inputShape: [1], labels: [0, 0], scale: 1 / 255 }))
    expect(flat).toEqual({ mean: [1], std: [1] })
  })

  it('leaves nothing behind', async () => {
    const set = data.dataset(points)
    const before = await settled()
    for (let i = 0; i < 20; i++) for (const value of Object.values(set.batch([0, 1]))) value.dispose()
    void set.inputs
    set.dispose()
    expect(await held()).toEqual(before)
  })

  it('refuses what cannot be trained on', () => {
    const bad = (source: object): unknown => {
      try {
        return data.dataset(source as never)
      } catch (error) {
        return error
      }
    }
    expect(bad({ inputs: [], labels: [] })).toBeInstanceOf(ValueError)
    expect(bad({ inputs: [[1], [2]], labels: [0] })).toBeInstanceOf(ShapeError)
    expect(bad({ inputs: [[1], [2, 3]], labels: [0, 1] })).toBeInstanceOf(ShapeError)
    expect(bad({ inputs: [['a']], labels: [0] })).toBeInstanceOf(ValueError)
    expect(bad({ inputs: [[1], [2]], labels: [0, NaN] })).toBeInstanceOf(ValueError)
    expect(bad({ inputs: [[1], [2]], labels: [0, 3], classes: ['a', 'b'] })).toBeInstanceOf(ValueError)
    expect(bad({ inputs: Uint8Array.of(1, 2, 3), inputShape: [2], labels: [0, 1] })).toBeInstanceOf(ValueError)
    expect((bad({ inputs: [[1], [2]], labels: [0] }) as Error).message).toMatchInlineSnapshot(`
      "data: inputs has 2 samples, labels has 1.
        Each sample needs its label."
    `)
    expect((bad({ inputs: [[1], [2]], labels: [0, -1], classes: ['a', 'b'] }) as Error).message).toMatchInlineSnapshot(
      `"labels: sample 1 has the label -1, but there are 2 classes (0 to 1)."`,
    )
    expect(() => data.dataset(points).subset([4])).toThrow(ValueError)
    expect(() => data.dataset(points).oneHot()).toThrow(ValueError)
    expect(() => data.dataset(points).withNormalisation({ mean: [0], std: [0] })).toThrow(ValueError)
  })
})

describe('split', () => {
  const labels = Int32Array.from({ length: 100 }, (_, i) => (i < 90 ? 0 : 1))
  const set = data.dataset({ inputs: Float32Array.from({ length: 100 }, (_, i) => i), inputShape: [1], labels })

  it('keeps the classes in both parts, and gives every sample once', async () => {
    const { train, validation } = await data.split(set, { validation: 0.2, seed: 5 })
    expect([train.length, validation.length]).toEqual([80, 20])
    expect(((await validation.labelValues()) as Int32Array).reduce((a, b) => a + b, 0)).toBe(2)
    const all = [...((await train.inputValues()) as Float32Array), ...((await validation.inputValues()) as Float32Array)].sort(
      (a, b) => a - b,
    )
    expect(all).toEqual(Array.from({ length: 100 }, (_, i) => i))
  })

  it('follows from the seed', async () => {
    const held = async (seed: number): Promise<number[]> =>
      Array.from((await (await data.split(set, { validation: 10, seed })).validation.inputValues()) as Float32Array)
    expect(await held(1)).toEqual(await held(1))
    expect(await held(1)).not.toEqual(await held(2))
  })

  it('refuses parts without samples', async () => {
    const tiny = data.dataset(points)
    await expect(data.split(tiny, { validation: 0.1 })).rejects.toThrow(ValueError)
    await expect(data.split(tiny, { validation: 4 })).rejects.toThrow(ValueError)
    await expect(data.split(tiny, { validation: -1 })).rejects.toThrow(ValueError)
  })
})
