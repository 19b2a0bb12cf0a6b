// A trainer with a vectorizer takes texts as they are, and what it writes brings the words along.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it, vi } from 'vitest'
import { data, device, manualSeed, models, nn, train, Trainer } from '../../ts/index.js'
import { TextVectorizer } from '../../ts/text/index.js'

const folder = await mkdtemp(join(tmpdir(), 'ferrograd-texts-'))
afterAll(() => rm(folder, { recursive: true }))

const texts = Array.from({ length: 40 }, (_, i) => `${['the', 'a', 'this'][i % 3]} film is ${i % 2 === 1 ? 'good' : 'bad'}`)
const labels = texts.map((_, i) => i % 2)
const vectorizer = await new TextVectorizer().adapt(texts)
const make = (): models.TextCnn => models.textCnn({ vocabulary: vectorizer.vocabulary.size, embedding: 8, filters: 4, dropout: 0 })
const options = { lr: 0.05, loss: 'crossEntropy', metrics: ['accuracy'], vectorizer } as const

it('fits, evaluates and predicts texts, as the ids that the vectorizer makes of them', async () => {
  const losses = async (inputs: readonly string[] | data.ColumnSource | Record<string, data.ColumnSource>): Promise<unknown> => {
    manualSeed(1)
    const trainer = new Trainer(make(), options)
    const { epochs } = await trainer.fit({ inputs, labels } as never, { epochs: 3, batchSize: 8, verbose: false, validation: { inputs: texts.slice(0, 6), labels: labels.slice(0, 6) } })
    return epochs.map(({ loss, valLoss }) => [loss, valLoss])
  }
  expect(await losses(texts)).toEqual(await losses({ ...await vectorizer.encode(texts) }))
  const trainer = new Trainer(make(), options)
  await trainer.fit({ inputs: texts, labels: labels.map((label) => ['no', 'yes'][label]!) }, { epochs: 8, batchSize: 8, verbose: false })
  expect((await trainer.evaluate({ inputs: texts, labels: labels.map((label) => ['no', 'yes'][label]!) })).accuracy).toBe(1)
  expect(await trainer.predictClasses(['that is good', 'bad'])).toEqual([1, 0])
  expect((await trainer.predict(['good', 'bad', ''])).shape).toEqual([3, 2])
  expect((await trainer.predictProbabilities(['good'])).shape).toEqual([1, 2])
})

it('weights and words come back from a file, and from a checkpoint', async () => {
  const model = make()
  const trainer = new Trainer(model, options)
  await trainer.fit({ inputs: texts, labels }, { epochs: 4, verbose: false, checkpointDir: folder })
  const wanted = await (await trainer.predict(texts.slice(0, 4))).data()
  const path = join(folder, 'model.safetensors')
  await trainer.save(path, { metadata: { note: 'kept' } })
  expect((await train.inspectSafetensors(path)).metadata.note).toBe('kept')
  const again = make()
  await again.load(path)
  const loaded = new Trainer(again, { vectorizer: await TextVectorizer.load(path) })
  expect(await (await loaded.predict(texts.slice(0, 4))).data()).toEqual(wanted)
  const checkpoint = (await readdir(folder)).find((name) => name.startsWith('checkpoint-'))!
  expect((await TextVectorizer.load(join(folder, checkpoint))).toJSON()).toEqual(vectorizer.toJSON())
})

it('the best weights that ModelCheckpoint writes bring the words along', async () => {
  const best = new train.ModelCheckpoint(join(folder, 'best.safetensors'), { monitor: 'loss' })
  await new Trainer(make(), options).fit({ inputs: texts, labels }, { verbose: false, callbacks: [best] })
  expect((await TextVectorizer.load(best.lastPath!)).toJSON()).toEqual(vectorizer.toJSON())
  await make().load(best.lastPath!)
  // Without a vectorizer a file holds the weights alone.
  const plain = new Trainer(make(), { loss: 'crossEntropy' })
  await plain.save(join(folder, 'weights.safetensors'))
  await expect(TextVectorizer.load(join(folder, 'weights.safetensors'))).rejects.toThrow('no vectorizer')
  await expect(plain.save(join(folder, 'weights.safetensors'), { metadat: {} } as object)).rejects.toThrow("Did you mean 'metadata'?")
})

const samples = {
  async *[Symbol.asyncIterator](): AsyncGenerator<data.Sample> {
    for (const [i, text] of texts.entries()) yield { inputs: text, labels: labels[i] }
  },
}
const batches = {
  *[Symbol.iterator](): Generator<data.Batch> {
    for (let at = 0; at < 40; at += 8) yield { inputs: texts.slice(at, at + 8), labels: labels.slice(at, at + 8) }
  },
}
/** A stream that flows once. */
async function* once(): AsyncGenerator<data.Sample> {
  yield* samples
}

it('takes texts as they stream, as it takes them from memory', async () => {
  const losses = async (source: train.TrainingData, more: train.FitOptions): Promise<unknown> => {
    manualSeed(1)
    const { epochs } = await new Trainer(make(), options).fit(source, { epochs: 2, verbose: false, shuffle: false, ...more })
    return epochs.map(({ loss, valLoss }) => [loss, valLoss])
  }
  const memory = { inputs: texts, labels } as never
  const wanted = await losses(memory, { batchSize: 8, validation: memory, validationBatchSize: 8 })
  expect(await losses(samples, { batchSize: 8, validation: samples, validationBatchSize: 8 })).toEqual(wanted)
  expect(await losses(batches, { validation: batches })).toEqual(wanted)
  expect(await losses([...batches], { validation: [...batches] })).toEqual(wanted)
  const listed = texts.map((text, i) => ({ inputs: text, labels: labels[i] }))
  expect(await losses(listed, { batchSize: 8, validation: listed, validationBatchSize: 8 })).toEqual(wanted)
  expect(await losses([texts, labels] as never, { batchSize: 8, validation: memory, validationBatchSize: 8 })).toEqual(wanted)
  const [first] = (await losses(memory, { batchSize: 8, epochs: 1 })) as unknown[]
  expect(await losses(once(), { batchSize: 8, epochs: 1 })).toEqual([first])
  // Full batches are for GD alone; of so many samples it takes a stream, too.
  const whole = new Trainer(make(), { ...options, optimizer: 'gd' })
  await whole.fit(once(), { batchSize: 40, verbose: false })
  await expect(whole.fit(batches, { verbose: false })).rejects.toThrow('how many samples there are is not known')

  const trainer = new Trainer(make(), options)
  await trainer.fit(samples, { epochs: 8, batchSize: 8, verbose: false })
  expect(await trainer.evaluate(samples, { batchSize: 8 })).toEqual(await trainer.evaluate(batches))
  expect((await trainer.evaluate(once(), { batchSize: 7 })).accuracy).toBe(1)
  expect(await trainer.predictClasses(samples, { batchSize: 7 })).toEqual(labels)
  expect(await trainer.predictClasses(batches)).toEqual(labels)
  expect((await trainer.predict({ inputs: texts, labels } as never)).shape).toEqual([40, 2])
  // Ids that are there already stream as they did.
  const { ids, lengths } = await vectorizer.encode(texts)
  expect((await trainer.evaluate([{ inputs: { ids, lengths }, labels }])).accuracy).toBe(1)
  expect(ids.disposed).toBe(false)
})

it('streams of texts say what goes wrong with them', async () => {
  const trainer = new Trainer(make(), options)
  await expect(trainer.fit(samples, { verbose: false })).rejects.toThrow(/^fit: the stream gives single texts, and no batchSize was given[^]*Give batchSize/)
  await expect(trainer.evaluate(batches, { batchSize: 4 })).rejects.toThrow(/^evaluate: the stream gives batches of texts[^]*Leave batchSize out/)
  await expect(trainer.fit(samples, { batchSize: 8, shuffle: true, verbose: false })).rejects.toThrow('shuffle: true wants samples by number')
  const broken = [{ inputs: 'good', labels: 1 }, { inputs: 7, labels: 0 }]
  await expect(trainer.evaluate((function* () { yield* broken })() as never, { batchSize: 2 })).rejects.toThrow(/encode: row 1/)
})

it('streams of texts are closed, and leave no ids behind', async () => {
  let closed = 0
  async function* watched(): AsyncGenerator<data.Sample> {
    try {
      yield* samples
    } finally {
      closed++
    }
  }
  const trainer = new Trainer(make(), options)
  await trainer.fit(samples, { batchSize: 8, verbose: false })
  const before = device.memory().tensors
  await trainer.evaluate(watched(), { batchSize: 8 })
  ;(await trainer.predict(watched(), { batchSize: 8 })).dispose()
  const stop: train.Callback = { onBatchEnd: (context) => context.stop('enough') }
  await trainer.fit(watched(), { batchSize: 8, verbose: false, callbacks: [stop] })
  expect(closed).toBe(3)
  expect(device.memory().tensors).toBe(before)
})

it('a data set is not asked for all its inputs at once', async () => {
  const set = data.dataset({ inputs: texts.map((_, i) => [i, 1]), labels: Int32Array.from(labels) })
  const all = vi.spyOn(data.Dataset.prototype, 'inputs', 'get')
  const trainer = new Trainer(new nn.Linear(2, 2), { loss: 'crossEntropy' })
  await trainer.fit(set, { verbose: false, validation: set })
  await trainer.evaluate(set)
  await trainer.predict(set)
  expect(all).not.toHaveBeenCalled()
  all.mockRestore()
})

it('says what is missing', async () => {
  const bare = new Trainer(make(), { loss: 'crossEntropy' })
  await expect(bare.predict(['good'])).rejects.toThrow('predict: the inputs are texts, and the trainer has no vectorizer')
  await expect(bare.fit({ inputs: texts, labels })).rejects.toThrow('fit: the inputs are texts')
  await expect(bare.evaluate({ inputs: texts, labels })).rejects.toThrow('evaluate: the inputs are texts')
  expect(() => new Trainer(make(), { vectorizer: {} as typeof vectorizer })).toThrow('the vectorizer must have encode(texts)')
  const path = join(folder, 'plain.safetensors')
  await make().save(path)
  await expect(TextVectorizer.load(path)).rejects.toThrow(`there is no vectorizer in ${path}`)
  await expect(TextVectorizer.load(join(folder, 'none'))).rejects.toThrow('none')
})

it('frees the ids', async () => {
  const trainer = new Trainer(make(), options)
  await trainer.fit({ inputs: texts, labels }, { verbose: false })
  const before = device.memory().tensors
  ;(await trainer.predict(texts)).dispose()
  await trainer.evaluate({ inputs: texts, labels })
  expect(device.memory().tensors).toBe(before)
})

it('predicts streams without labels, and asks for them where they are needed', async () => {
  const trainer = new Trainer(make(), options)
  const known = await trainer.predictClasses(texts)
  const batches = function* () { for (let i = 0; i < texts.length; i += 8) yield { inputs: texts.slice(i, i + 8) } }
  const samples = function* () { for (const inputs of texts) yield { inputs } }
  expect(await trainer.predictClasses(batches() as never)).toEqual(known)
  expect(await trainer.predictClasses(samples() as never, { batchSize: 8 })).toEqual(known)
  await expect(trainer.fit(batches() as never, { verbose: false })).rejects.toThrow('fit: a batch of texts has no labels')
  await expect(trainer.fit(samples() as never, { verbose: false, batchSize: 4 })).rejects.toThrow('fit: a batch of texts has no labels')
  const read = function* () { for (const text of texts) yield { text, label: 'good' } }
  await expect(trainer.fit(read() as never, { verbose: false, batchSize: 4 })).rejects.toThrow('the stream gives { text, label }, as data.streamTexts does')
})
