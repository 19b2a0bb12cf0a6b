// A trainer with a vectorizer takes texts as they are, and what it writes brings the words along.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { data, device, manualSeed, models, Trainer } from '../../ts/index.js'
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
  await model.save(path, { metadata: { vectorizer: JSON.stringify(vectorizer) } })
  const again = make()
  await again.load(path)
  const loaded = new Trainer(again, { vectorizer: await TextVectorizer.load(path) })
  expect(await (await loaded.predict(texts.slice(0, 4))).data()).toEqual(wanted)
  const checkpoint = (await readdir(folder)).find((name) => name.startsWith('checkpoint-'))!
  expect((await TextVectorizer.load(join(folder, checkpoint))).toJSON()).toEqual(vectorizer.toJSON())
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
