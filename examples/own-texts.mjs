// Texts of one's own: a CSV file of reviews, its words learned from a stream that would fit any file, an LSTM trained on batches padded to their own length.
//   node examples/own-texts.mjs
import assert from 'node:assert/strict'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { data, manualSeed, models, Trainer } from 'ferrograd'
import { TextVectorizer } from 'ferrograd/text'

// Reviews as a shop might export them.
const folder = await mkdtemp(join(tmpdir(), 'ferrograd-'))
const file = join(folder, 'reviews.csv')
const [fine, poor] = [['lovely', 'warm', 'sturdy'], ['flimsy', 'cold', 'dull']]
const review = (i) => `"The ${(i % 2 ? fine : poor)[i % 3]} lamp, number ${i % 7}${', bought twice'.repeat(i % 3)}",${i % 2 ? 'good' : 'bad'}`
await writeFile(file, ['review,verdict', ...Array.from({ length: 240 }, (_, i) => review(i))].join('\n'))

const columns = { text: 'review', label: 'verdict' }
async function* texts() {
  for await (const { text } of data.streamTexts(file, columns)) yield text
}
const vectorizer = await new TextVectorizer().adapt(texts())
const { texts: all, labels, classes } = await data.readTexts(file, columns)
const reviews = data.dataset({ inputs: { ids: data.ragged(await vectorizer.encodeRagged(all)) }, labels: Int32Array.from(labels), classes })
const { train, validation: test } = await data.split(reviews, { validation: 0.25, seed: 0 })

manualSeed(0)
const model = models.lstmClassifier({ vocabulary: vectorizer.vocabulary.size, embedding: 16, hidden: 16, outputs: classes.length })
const trainer = new Trainer(model, { optimizer: 'adam', lr: 0.02, loss: 'crossEntropy', metrics: ['accuracy'], vectorizer })
await trainer.fit(data.loader(train, { batchSize: 16, shuffle: true, bucketByLength: true }), { epochs: 6, verbose: false })
const { accuracy } = await trainer.evaluate(test)
const [verdict] = await trainer.predictClasses(['A sturdy lamp'])
console.log(`${all.length} reviews, ${vectorizer.vocabulary.size} words: test accuracy ${(100 * accuracy).toFixed(1)} %; "A sturdy lamp" is ${classes[verdict] ?? verdict}`)
assert(accuracy > 0.9, `accuracy ${accuracy} is below 0.9`)
await rm(folder, { recursive: true })
