// Sentences to classes by convolutions over words (Kim 2014). The sentences are made up; with --set they are those of a known set.
//   node examples/textcnn.mjs
//   node examples/textcnn.mjs --set mr        (mr-train.tsv.gz and mr-test.tsv.gz in $FERROGRAD_DATA/sentences)
import assert from 'node:assert/strict'
import { parseArgs } from 'node:util'
import { data, manualSeed, models, optim, tensor, Trainer } from 'ferrograd'
import { TextVectorizer } from 'ferrograd/text'
import { EarlyStopping } from 'ferrograd/train'

const { values } = parseArgs({ options: { set: { type: 'string' }, epochs: { type: 'string', default: '6' } } })
const { train, test } = values.set === undefined ? { train: madeUp(0, 600), test: madeUp(600, 200) } : await data.sentences(values.set)

manualSeed(0)
// Words that came once are read as unknown, so that the unknown has a vector, too, when a new text has one.
const vectorizer = await new TextVectorizer({ standardize: { lower: true, punctuation: false }, minCount: 2, outputSequenceLength: 48 }).adapt(train.texts)
const set = async ({ texts, labels }) => data.dataset({ inputs: await vectorizer.encode(texts), labels: tensor(Int32Array.from(labels)) })

const model = models.textCnn({ vocabulary: vectorizer.vocabulary.size, outputs: new Set(train.labels).size })
const trainer = new Trainer(model, { optimizer: new optim.Adam(model.parameters(), { lr: 1e-3 }), loss: 'crossEntropy', metrics: ['accuracy'] })
// The epoch is chosen on a tenth of the training sentences.
const best = new EarlyStopping({ monitor: 'valAccuracy', patience: 3 })
await trainer.fit(await set(train), { epochs: Number(values.epochs), batchSize: 50, validation: 0.1, callbacks: [best] })

const { accuracy } = await trainer.evaluate(await set(test))
console.log(`${(100 * accuracy).toFixed(1)} % of ${test.texts.length} test sentences`)
assert(accuracy > (values.set === undefined ? 0.95 : 0.7))

/** Praise and blame, of which "not" makes the other: a matter of words side by side, and nowhere else. */
function madeUp(from, count) {
  const [good, bad] = [['good', 'funny', 'moving', 'clever'], ['dull', 'awful', 'boring', 'weak']]
  const [start, middle] = [['the film', 'this play', 'her new book', 'that song'], ['is', 'seems', 'was , i think ,', 'is never late and']]
  const pick = (list, n) => list[n % list.length]
  const rows = Array.from({ length: count }, (_, i) => {
    const n = Math.imul(from + i + 1, 0x9e3779b1) >>> 8
    const [praise, not] = [n & 1, (n >> 1) & 1]
    const text = `${pick(start, n >> 2)} ${pick(middle, n >> 4)} ${not ? 'not ' : ''}${pick(praise ? good : bad, n >> 6)} ${n & 256 ? 'and not long .' : '.'}`
    return { text, label: praise ^ not }
  })
  return { texts: rows.map(({ text }) => text), labels: rows.map(({ label }) => label) }
}
