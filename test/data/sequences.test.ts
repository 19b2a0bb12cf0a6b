import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { data, models, Trainer, ValueError } from '../../ts/index.js'

const folder = await mkdtemp(join(tmpdir(), 'ferrograd-sequences-'))
afterAll(() => rm(folder, { recursive: true }))
const write = (name: string, text: string): Promise<void> => writeFile(join(folder, name), name.endsWith('.gz') ? gzipSync(text) : text)

describe('sentences', () => {
  it('reads labels and texts, gzipped or not, and numbers the classes in their order', async () => {
    await write('mr-train.tsv.gz', '1\ta fine film\n0\tdull\tas ever\n\n1\tmoving\n')
    await write('mr-test.tsv', '0\tno\n')
    expect(await data.sentences('mr', { folder })).toEqual({
      train: { texts: ['a fine film', 'dull\tas ever', 'moving'], labels: [1, 0, 1] }, test: { texts: ['no'], labels: [0] }, classes: ['0', '1'],
    })
    await write('sst2-train.tsv', 'neg\tx\npos\ty\n')
    await write('sst2-test.tsv', 'pos\tz\n')
    await write('sst2-dev.tsv', 'neg\tw\n')
    const { classes, validation } = await data.sentences('sst2', { folder })
    expect([classes, validation]).toEqual([['neg', 'pos'], { texts: ['w'], labels: [0] }])
  })

  it('names the line that is wrong, and what is missing', async () => {
    await write('cr-train.tsv', '1\tgood\nno label here\n')
    await write('cr-test.tsv', '1\tgood\n')
    await expect(data.sentences('cr', { folder })).rejects.toThrow(`line 2 of ${join(folder, 'cr-train.tsv')} has no label before a tab`)
    await write('cr-train.tsv', '1\tgood\n')
    await write('cr-test.tsv', '7\tgood\n')
    await expect(data.sentences('cr', { folder })).rejects.toThrow('has the label "7", which no training sentence has')
    await expect(data.sentences('mpqa', { folder })).rejects.toThrow('mpqa-train*.tsv.gz and mpqa-test*.tsv.gz are not in')
    await expect(data.sentences('mr', { folder: join(folder, 'none') })).rejects.toThrow('none')
    await expect(data.sentences('imdb' as 'mr')).rejects.toThrow('there is no set "imdb"; there are mr, subj')
    await expect(data.sentences('mr', { foldr: '' } as object)).rejects.toThrow("Did you mean 'folder'?")
  })
})

it('lines that are not in UTF-8 are named', async () => {
  const latin = (text: string): Buffer => Buffer.from(text, 'latin1')
  await writeFile(join(folder, 'subj-train.tsv'), latin('1\tgood\n0\tcaf\xe9\n'))
  await write('subj-test.tsv', '1\tgood\n')
  await expect(data.sentences('subj', { folder })).rejects.toThrow(/line 2 of .*subj-train\.tsv is not in utf-8/)
  await writeFile(join(folder, 'input.txt'), latin('To be\nor n\xf6t\n'))
  await expect(data.tinyShakespeare({ folder })).rejects.toThrow(/line 2 of .*input\.txt is not in utf-8/)
})

describe('tinyShakespeare', () => {
  it('is cut behind its first nine tenths', async () => {
    await write('input.txt', 'abcdefghij'.repeat(3))
    expect(await data.tinyShakespeare({ folder })).toEqual({ train: 'abcdefghij'.repeat(2) + 'abcdefg', validation: 'hij' })
    await expect(data.tinyShakespeare({ folder: join(folder, 'none') })).rejects.toThrow('none')
    await expect(data.tinyShakespeare({ path: folder } as object)).rejects.toThrow(ValueError)
  })
})

describe('windows', () => {
  const series = Array.from({ length: 20 }, (_, i) => i)
  const rows = async (set: data.Dataset): Promise<number[][]> => {
    const found: number[][] = []
    for await (const { inputs, labels } of new data.DataLoader(set, { batchSize: 1 }))
      found.push([...await (inputs as { data(): Promise<Float32Array> }).data(), ...await labels.data() as Float32Array])
    return found
  }

  it('has a test part without samples where its share is 0', async () => {
    const { train, test } = data.windows(series, { length: 3, horizon: 2, test: 0, scale: 'none' })
    expect((await rows(train)).at(-1)).toEqual([15, 16, 17, 18, 19])
    expect([test.length, test.inputs.shape, test.labels.shape]).toEqual([0, [0, 3, 1], [0, 2, 1]])
    expect(() => data.loader(test)).toThrow('DataLoader: the data has no samples.')
  })

  it('keeps what the held-out parts forecast out of training, and lets them look back', async () => {
    const { train, validation, test } = data.windows(series, { length: 3, horizon: 2, test: 0.25, validation: 0.25, scale: 'none' })
    expect((await rows(train)).map((row) => [row[0], row.at(-1)])).toEqual([0, 1, 2, 3, 4, 5].map((start) => [start, start + 4]))
    expect(await rows(validation!)).toEqual([7, 8, 9, 10].map((start) => [0, 1, 2, 3, 4].map((i) => start + i)))
    expect((await rows(test)).map(([first]) => first)).toEqual([12, 13, 14, 15])
    expect(data.windows(series, { length: 3, stride: 4, scale: 'none' }).train.length).toBe(4)
  })

  it('measures the scale on the training steps alone, and undoes it', async () => {
    const { scaling, test, unscale } = data.windows([...series.map((i) => [i, 5]), [1e6, 5], [1e6, 5]], { length: 2, test: 2 / 22 })
    expect(scaling.mean).toEqual([9.5, 5])
    // A channel that never changes is left as it is.
    expect(scaling.std[1]).toBe(1)
    for await (const { labels } of new data.DataLoader(test, { batchSize: 2 })) expect([...await unscale(labels).data() as Float32Array].map(Math.round)).toEqual([1e6, 5, 1e6, 5])
  })

  it('makes what a forecaster is trained on', async () => {
    const wave = Array.from({ length: 200 }, (_, i) => Math.sin(i / 4))
    const { train, test } = data.windows(wave, { length: 16, horizon: 4 })
    const trainer = new Trainer(models.forecaster({ horizon: 4, hidden: 16 }), { optimizer: 'adam', lr: 0.01, loss: 'mse' })
    const { loss: before } = await trainer.evaluate(test)
    await trainer.fit(train, { epochs: 15, verbose: false })
    expect((await trainer.evaluate(test)).loss).toBeLessThan(before / 5)
  })

  it('refuses what makes no sense', () => {
    expect(() => data.windows(series, { length: 2, test: 0.01 })).toThrow('fits into the test part, which has none of the 20 steps.')
    expect(() => data.windows(series, { length: 2, test: 0.6, validation: 0.6 })).toThrow('fits into the training part, which has none of the 20 steps.')
    expect(() => data.windows(series, { length: 0 })).toThrow('windows: length must be a positive integer, got 0')
    expect(() => data.windows([1, NaN, 2], { length: 1 })).toThrow('step 1 is NaN, expected finite numbers')
    expect(() => data.windows([[1, 2], [3]], { length: 1 })).toThrow('step 1 has 1 values, the first has 2')
    expect(() => data.windows(series, { length: 18 })).toThrow('no window of 18 + 1 steps fits into the training part, steps 0 to 15 of 20')
    expect(() => data.windows(series, { length: 2, test: 1 })).toThrow('test is a share')
    expect(() => data.windows(series, { length: 2, scale: 'minmax' as 'none' })).toThrow("scale is 'standard' or 'none'")
  })
})
