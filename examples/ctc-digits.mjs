// Reads lines of handwritten digits without being told where each digit stands: a bidirectional LSTM looks at the lines column by column, and CTC sums
// over all places that the labels could have.
//   node examples/ctc-digits.mjs
import assert from 'node:assert/strict'
import { ctcDecode, data, manualSeed, models, nn, optim, rand, tensor, Trainer } from 'ferrograd'

const [HEIGHT, WIDTH, MOST, BLANK] = [16, 60, 4, 10]

manualSeed(2)
const { train, test } = await data.digits({ size: HEIGHT })       // images [N, 16, 16, 1]
const [learn, check] = [await lines(train, 3000), await lines(test, 300)]

const model = models.biLstmTagger({ inputs: HEIGHT, hidden: 64, outputs: 11, blank: BLANK })        // ten digits and the blank
const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 })
const trainer = new Trainer(model, { optimizer, loss: new nn.CTCLoss({ blank: BLANK }) })
await trainer.fit(learn.set, { epochs: 16, batchSize: 32, clipNorm: 5, schedule: optim.cosineWarmup(0.1) })

const { labels } = ctcDecode(await trainer.predict(check.set.inputs), null, { blank: BLANK, beamWidth: 10 })
const read = (await labels.tolist()).map((row) => row.filter((label) => label >= 0))
check.strings.slice(0, 5).forEach((string, i) => console.log(`${string.join('')} read as ${read[i].join('')}`))
const wrong = check.strings.reduce((sum, string, i) => sum + distance(string, read[i]), 0)
const share = wrong / check.strings.flat().length
console.log(`${(100 * share).toFixed(1)} % of the digits wrong, missing or too many`)
assert(share < 0.1)

/** So many lines of 1 to 4 images side by side, with gaps between: [N, WIDTH, HEIGHT] read by columns, where they end, and their labels, -1 behind them. */
async function lines({ inputs, labels: digits }, count) {
  const [pixels, names, random] = [await inputs.data(), await digits.data(), await rand([count * (2 * MOST + 1)]).data()]
  const features = new Float32Array(count * WIDTH * HEIGHT)
  const lengths = new Int32Array(count)
  let drawn = 0
  const draw = (below) => Math.floor(random[drawn++] * below)
  const strings = Array.from({ length: count }, (_, n) => {
    let column = 0
    const string = Array.from({ length: 1 + draw(MOST) }, () => {
      const image = draw(names.length)
      column += draw(3)
      for (let x = 0; x < HEIGHT && column + x < WIDTH; x++)
        for (let y = 0; y < HEIGHT; y++) features[(n * WIDTH + column + x) * HEIGHT + y] = pixels[(image * HEIGHT + y) * HEIGHT + x]
      column += 14
      return Number(names[image])
    })
    lengths[n] = Math.min(WIDTH, column + 2)
    return string
  })
  const padded = strings.map((string) => Array.from({ length: MOST }, (_, i) => string[i] ?? -1))
  const made = { features: tensor(features, { shape: [count, WIDTH, HEIGHT] }), lengths: tensor(lengths) }
  return { strings, set: { inputs: made, labels: tensor(padded, { dtype: 'int32' }) } }
}

/** Digits to put in, take out or change to make b of a. */
function distance(a, b) {
  let row = b.map((_, j) => j + 1)
  a.forEach((digit, i) => {
    let corner = i
    row = row.map((above, j) => {
      const left = j === 0 ? i + 1 : row[j - 1]
      const best = Math.min(above + 1, left + 1, corner + (digit === b[j] ? 0 : 1))
      corner = above
      return (row[j] = best)
    })
  })
  return row.at(-1) ?? a.length
}
