// Sequences of unequal length: padding by the batch, buckets of like lengths, and the sets that are made of them.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { data, DTypeError, FileFormatError, models, ShapeError, type Tensor, Trainer, ValueError } from '../../ts/index.js'

const folder = await mkdtemp(join(tmpdir(), 'ferrograd-ragged-'))
afterAll(() => rm(folder, { recursive: true }))

type Batch = { inputs: Record<string, Tensor>; labels: Tensor }
const lists = async ({ inputs }: Batch): Promise<Record<string, unknown>> => Object.fromEntries(await Promise.all(Object.entries(inputs).map(async ([name, tensor]) => [name, await tensor.tolist()])))

describe('ragged', () => {
  const rows = [[1, 2, 3], [4], [], [5, 6]]

  it('pads each batch to its longest row, on either side, and gives the lengths beside it', async () => {
    const batches = async (options: data.RaggedOptions): Promise<unknown[]> => {
      const found = []
      for await (const batch of data.loader(data.dataset({ inputs: { ids: data.ragged(rows, { dtype: 'int32', ...options }) }, labels: [0, 1, 0, 1] }), { batchSize: 2 })) found.push(await lists(batch as Batch))
      return found
    }
    expect(await batches({})).toEqual([{ ids: [[1, 2, 3], [4, 0, 0]], lengths: [3, 1] }, { ids: [[0, 0], [5, 6]], lengths: [0, 2] }])
    expect(await batches({ padding: 'left', value: -1 })).toEqual([{ ids: [[1, 2, 3], [-1, -1, 4]], lengths: [3, 3] }, { ids: [[-1, -1], [5, 6]], lengths: [0, 2] }])
    expect(await batches({ padding: 'left', multipleOf: 4 })).toEqual([{ ids: [[0, 1, 2, 3], [0, 0, 0, 4]], lengths: [4, 4] }, { ids: [[0, 0, 0, 0], [0, 0, 5, 6]], lengths: [0, 4] }])
    expect(await batches({ maxLength: 2 })).toEqual([{ ids: [[1, 2], [4, 0]], lengths: [2, 1] }, { ids: [[0, 0], [5, 6]], lengths: [0, 2] }])
    expect(await batches({ maxLength: 2, truncation: 'left' })).toEqual([{ ids: [[2, 3], [4, 0]], lengths: [2, 1] }, { ids: [[0, 0], [5, 6]], lengths: [0, 2] }])
    expect(await batches({ multipleOf: 4 })).toEqual([{ ids: [[1, 2, 3, 0], [4, 0, 0, 0]], lengths: [3, 1] }, { ids: [[0, 0, 0, 0], [5, 6, 0, 0]], lengths: [0, 2] }])
  })

  it('on the left: a model reads a row to its last step, as where it is given no lengths', async () => {
    const set = data.dataset({ inputs: { ids: data.ragged([[5], [6, 7], [1, 2, 3]], { dtype: 'int32', padding: 'left' }) }, labels: [0, 1, 0] })
    expect(await set.inputs.lengths.tolist()).toEqual([3, 3, 3])
    const model = models.lstmClassifier({ vocabulary: 10, embedding: 4, hidden: 3 }).eval()
    expect(await model.forward(set.inputs).tolist()).toEqual(await model.forward(set.inputs.ids as Tensor).tolist())
    // Buckets go by the steps that rows have.
    expect([...set.rowLengths!]).toEqual([1, 2, 3])
  })

  it('takes statistics of real steps alone, and leaves padding as it is', async () => {
    const set = data.dataset({ inputs: { features: data.ragged([[[1, 10], [3, 30]], [[5, 50]]]) }, labels: [0, 1] })
    const { train } = await data.normalise({ train: set })
    expect(train.normalisation!.mean).toEqual([3, 30])
    const [batch] = [await lists(train.batch([0, 1]) as Batch)]
    expect((batch.features as number[][][])[1]![1]).toEqual([0, 0])
    expect((batch.features as number[][][])[0]![0]![0]).toBeCloseTo(-1.2247, 3)
  })

  it('refuses what makes no sequences', () => {
    expect(() => data.ragged([])).toThrow(ValueError)
    expect(() => data.ragged([[1], 2 as never])).toThrow(/row 1 must be an array of numbers/)
    expect(() => data.ragged([Float32Array.of(1, 2, 3)], { stepShape: [2] })).toThrow(ShapeError)
    expect(() => data.ragged([Float32Array.of(1), Int32Array.of(1)])).toThrow(DTypeError)
    expect(() => data.ragged([[1]], { padding: 'both' as 'left' })).toThrow(/padding is 'left' or 'right'/)
    expect(() => data.ragged([[1], [1.5, -0.5]], { dtype: 'int32' })).toThrow(/row 1 holds 1\.5, which int32 does not/)
    expect(() => data.ragged([[3e9]], { dtype: 'int32' })).toThrow(/row 0 holds 3000000000/)
    expect(() => data.ragged([[[1, NaN]]], { dtype: 'int32' })).toThrow(ValueError)
    expect(() => data.dataset({ inputs: data.ragged([[1]]) as never, labels: [0] })).toThrow(/rows of unequal length go with their lengths/)
  })
})

describe('bucketByLength', () => {
  const rows = Array.from({ length: 203 }, (_, i) => Array.from({ length: 1 + ((i * 37) % 50) }, () => i))
  const set = data.dataset({ inputs: { ids: data.ragged(rows, { dtype: 'int32' }) }, labels: rows.map((_, i) => i) })
  const epochs = async (options: data.LoaderOptions, count = 1): Promise<{ seen: number[][]; cells: number }> => {
    const loader = data.loader(set, { batchSize: 8, shuffle: true, seed: 3, ...options })
    const seen: number[][] = []
    let cells = 0
    for (let epoch = 0; epoch < count; epoch++) {
      for await (const { inputs, labels } of loader) {
        cells += (inputs as { ids: Tensor }).ids.size
        seen.push((await labels.tolist()) as number[])
      }
    }
    return { seen, cells }
  }

  it('gives every row once an epoch, in an order drawn from the seed, with far fewer cells of padding', async () => {
    const [plain, bucketed, again] = [await epochs({}), await epochs({ bucketByLength: true }), await epochs({ bucketByLength: true })]
    expect(bucketed.seen.flat().sort((a, b) => a - b)).toEqual(rows.map((_, i) => i))
    expect(bucketed.seen.map((batch) => batch.length)).toEqual([...Array<number>(25).fill(8), 3])
    expect(again.seen).toEqual(bucketed.seen)
    const real = rows.reduce((sum, row) => sum + row.length, 0)
    expect(plain.cells - real).toBeGreaterThan(5 * (bucketed.cells - real))
    const two = await epochs({ bucketByLength: true }, 2)
    expect(two.seen.slice(26)).not.toEqual(two.seen.slice(0, 26))
  })

  it('goes on where another loader stood', async () => {
    const options = { batchSize: 8, shuffle: true, seed: 3, bucketByLength: true }
    const { seen } = await epochs({ bucketByLength: true })
    const first = data.loader(set, options)
    let count = 0
    let state: data.LoaderState | undefined
    for await (const _ of first) if (++count === 10) { state = first.state(); break }
    const second = data.loader(set, options)
    second.restore(state!)
    const rest: number[][] = []
    for await (const { labels } of second) rest.push((await labels.tolist()) as number[])
    expect(rest).toEqual(seen.slice(state!.position))
    expect(() => data.loader(set, { ...options, bucketByLength: false }).restore(state!)).toThrow(/bucketByLength/)
  })

  it('wants rows of unequal length, and a drawn order', async () => {
    expect(() => data.loader(set, { bucketByLength: true })).toThrow(/goes with shuffle: true/)
    const even = data.loader(data.dataset({ inputs: [[1], [2]], labels: [0, 1] }), { bucketByLength: true, shuffle: true })
    await expect((async () => { for await (const _ of even); })()).rejects.toThrow(/needs a data set with a column of data\.ragged inputs/)
  })
})

describe('sets of sequences', () => {
  it('reads JSON lines, and names the one that is wrong', async () => {
    const write = (part: string, text: string): Promise<void> => writeFile(join(folder, `basic-motions-${part}.jsonl`), text)
    await write('train', '{"y":1,"x":[[1,2],[3,4]]}\n{"y":0,"x":[[5,6]]}\n')
    await write('test', '{"y":3,"x":[[7,8]]}\n')
    const { train, test } = await data.sequences('basic-motions', { folder })
    expect([train.length, test.length, train.classes!.length]).toEqual([2, 1, 4])
    expect(await lists(train.batch([0, 1]) as Batch)).toEqual({ features: [[[1, 2], [3, 4]], [[5, 6], [0, 0]]], lengths: [2, 1] })
    await write('test', '{"y":4,"x":[[7,8]]}\n')
    await expect(data.sequences('basic-motions', { folder })).rejects.toThrow(/line 1 of .* has the class 4/)
    await write('test', '{"y":1,"x":[[7]]}\n{"y":1,"x":[[7,8]]}\n')
    await expect(data.sequences('basic-motions', { folder })).rejects.toThrow(FileFormatError)
    await expect(data.sequences('japanese-vowels', { folder })).rejects.toThrow(/japanese-vowels-train\.jsonl\.gz/)
  })

  it.runIf(process.env.FERROGRAD_DATA !== undefined)('trains a tagger on Japanese Vowels, padded by the batch', async () => {
    const { train, test } = await data.normalise(await data.sequences('japanese-vowels'))
    expect([train.length, test.length]).toEqual([270, 370])
    const trainer = new Trainer(models.biLstmTagger({ inputs: 12, hidden: 24, outputs: 9, pool: 'mean' }), { loss: 'crossEntropy', metrics: ['accuracy'] })
    const loader = data.loader(train, { batchSize: 16, shuffle: true, seed: 0, bucketByLength: true })
    await trainer.fit(loader, { epochs: 25, verbose: false })
    expect((await trainer.evaluate(test)).accuracy).toBeGreaterThan(0.9)
  })
})
