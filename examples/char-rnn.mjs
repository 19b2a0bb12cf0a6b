// A language model of characters: an LSTM learns a text letter by letter, then writes on.
//   node examples/char-rnn.mjs                                                             (additions, which it then completes)
//   node examples/char-rnn.mjs --text $FERROGRAD_DATA/tinyshakespeare/input.txt --steps 2000 --hidden 256
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { compile, manualSeed, models, nn, optim, scope, tensor } from 'ferrograd'

const { values } = parseArgs({ options: { text: { type: 'string' }, steps: { type: 'string', default: '400' }, hidden: { type: 'string', default: '64' } } })
const [BATCH, LENGTH] = [32, 48]
const text = values.text === undefined ? additions() : readFileSync(values.text, 'utf8')

const letters = [...new Set(text)].sort()
const idOf = new Map(letters.map((letter, id) => [letter, id]))
const encode = (string) => Int32Array.from(string, (letter) => idOf.get(letter))
const decode = (ids) => Array.from(ids, (id) => letters[id]).join('')

manualSeed(1)
let drawn = 0
const draw = (below) => Math.floor(((Math.imul(++drawn, 0x9e3779b1) >>> 0) / 2 ** 32) * below)
const ids = encode(text)
const model = models.charRnn({ vocabulary: letters.length, hidden: Number(values.hidden), numLayers: 1 })
const optimizer = new optim.Adam(model.parameters(), { lr: 5e-3 })
const step = compile((x, y) => {
  const loss = nn.crossEntropy(model.forward(x), y)
  loss.backward()
  optimizer.step({ clipNorm: 5 })
  optimizer.zeroGrad()
  return loss.detach()
})

for (let i = 1; i <= Number(values.steps); i++) {
  const starts = Array.from({ length: BATCH }, () => draw(ids.length - LENGTH))
  const rows = (shift) => tensor(starts.map((start) => [...ids.subarray(start + shift, start + shift + LENGTH)]), { dtype: 'int32' })
  const loss = scope(() => step(rows(0), rows(1)).item())
  if (i % 100 === 0) console.log(`step ${i}: loss ${(await loss).toFixed(3)}`)
}

if (values.text === undefined) {
  let right = 0
  for (let a = 0; a < 10; a++)
    for (let b = 0; b < 10; b++) {
      const end = decode(await model.generate(encode(`\n${a}+${b}=`), { length: 3, temperature: 0 })).split('\n')[0]
      right += Number(end) === a + b
      if (a === 7 && b > 6) console.log(`${a}+${b}=${end}`)
    }
  console.log(`${right} of 100 sums are right`)
  assert(right >= 95)
} else {
  for await (const id of model.stream(encode('\n'), { length: 500, temperature: 0.8 })) process.stdout.write(letters[id])
}

/** 0+0=0 to 9+9=18, a line each, in many orders. */
function additions() {
  return '\n' + Array.from({ length: 5000 }, (_, i) => Math.imul(i + 1, 0x9e3779b1) >>> 12).map((n) => [n % 10, (n >> 5) % 10]).map(([a, b]) => `${a}+${b}=${a + b}\n`).join('')
}
