// Dates as people write them to dates as computers sort them: an encoder and a decoder with attention.
//   node examples/seq2seq.mjs
import assert from 'node:assert/strict'
import { data, manualSeed, models, optim, tensor, Trainer } from 'ferrograd'

const MONTHS = ['january', 'february', 'march', 'april', 'may', 'june', 'july', 'august', 'september', 'october', 'november', 'december']
const [PAD, START, END] = [0, 1, 2]
const LETTERS = ' ,-./0123456789abcdefghijklmnopqrstuvwxyz'
const encode = (text) => Array.from(text, (letter) => LETTERS.indexOf(letter) + 3)
const decode = (ids) => ids.map((id) => LETTERS[id - 3] ?? '?').join('')
const padded = (row, width, by) => [...row, ...Array(width - row.length).fill(by)]
const int32 = (rows) => tensor(rows, { dtype: 'int32' })

manualSeed(1)
const [learn, check] = [dates(0, 3000), dates(3000, 200)]
const vocabulary = LETTERS.length + 3
const model = models.seq2seq({ sourceVocabulary: vocabulary, targetVocabulary: vocabulary, embedding: 32, hidden: 64, start: START, end: END })
const trainer = new Trainer(model, { optimizer: new optim.Adam(model.parameters(), { lr: 1e-2 }), loss: 'crossEntropy' })
await trainer.fit(data.dataset(rows(learn)), { epochs: 8, batchSize: 50, clipNorm: 5, schedule: optim.cosineWarmup(0.1) })

const { source, lengths } = rows(check).inputs
const written = (await model.decode(source, { lengths, maxLength: 12 })).map(decode)
check.slice(0, 4).forEach(({ text }, i) => console.log(`${text.padEnd(20)} ${written[i]}`))
const right = check.filter(({ iso }, i) => written[i] === iso).length
console.log(`${right} of ${check.length} dates are right`)
assert(right >= 0.9 * check.length)

/** Tokens to read, tokens before each label, and the labels; -100 where a row has ended. */
function rows(pairs) {
  const inputs = pairs.map(({ text }) => encode(text))
  const outputs = pairs.map(({ iso }) => encode(iso))
  const [read, write] = [Math.max(...inputs.map((row) => row.length)), Math.max(...outputs.map((row) => row.length)) + 1]
  return {
    inputs: {
      source: int32(inputs.map((row) => padded(row, read, PAD))), lengths: tensor(Int32Array.from(inputs, (row) => row.length)),
      target: int32(outputs.map((row) => padded([START, ...row], write, PAD))),
    },
    labels: int32(outputs.map((row) => padded([...row, END], write, -100))),
  }
}

function dates(from, count) {
  return Array.from({ length: count }, (_, i) => {
    const n = Math.imul(from + i + 1, 0x9e3779b1) >>> 4
    const [day, month, year, form] = [1 + (n % 28), (n >> 5) % 12, 1950 + ((n >> 9) % 80), (n >> 16) % 4]
    const two = (number) => String(number).padStart(2, '0')
    const name = MONTHS[month]
    const text = [`${day} ${name} ${year}`, `${name} ${day}, ${year}`, `${day}. ${name.slice(0, 3)} ${year}`, `${two(day)}/${two(month + 1)}/${year}`][form]
    return { text, iso: `${year}-${two(month + 1)}-${two(day)}` }
  })
}
