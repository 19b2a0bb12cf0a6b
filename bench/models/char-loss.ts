// What models.charRnn learns of Shakespeare's plays in $FERROGRAD_DATA/tinyshakespeare: the loss on the last tenth, beside PyTorch's on the same batches, of the
// same size, after as many steps (bench/peers/char_loss.py).
import { compile, data, manualSeed, models, nn, noGrad, optim, scope, tensor, type Tensor } from 'ferrograd'
import type { Bench } from '../report.js'

const [STEPS, BATCH, LENGTH, SEEDS] = [500, 32, 64, 3]

/** The rows that start at `starts`: characters, and those one place on. */
function windows(ids: Int32Array, starts: readonly number[]): [Tensor, Tensor] {
  const rows = (shift: number): Tensor => tensor(Int32Array.from(starts.flatMap((start) => [...ids.subarray(start + shift, start + shift + LENGTH)])), { shape: [starts.length, LENGTH] })
  return [rows(0), rows(1)]
}

/** Where the rows of a step start: a golden-ratio sequence, so that both sides take the same ones and all of the text comes. */
function starts(step: number, limit: number): number[] {
  return Array.from({ length: BATCH }, (_, i) => Math.floor(((Math.imul(step * BATCH + i + 1, 0x9e3779b1) >>> 0) * limit) / 2 ** 32))
}

async function validationLoss(seed: number, ids: Int32Array, vocabulary: number): Promise<number> {
  const cut = Math.floor(0.9 * ids.length)
  const [train, valid] = [ids.subarray(0, cut), ids.subarray(cut)]
  manualSeed(seed)
  const model = models.charRnn({ vocabulary, hidden: 128 })
  const optimizer = new optim.Adam(model.parameters(), { lr: 2e-3 })
  const step = compile((x: Tensor, y: Tensor) => {
    const loss = nn.crossEntropy(model.forward(x), y)
    loss.backward()
    optimizer.step({ clipNorm: 5 })
    optimizer.zeroGrad()
    return loss.detach()
  })
  for (let i = 0; i < STEPS; i++) {
    const loss = scope(() => step(...windows(train, starts(i, cut - LENGTH))).item())
    if (i % 50 === 49) await loss
  }
  model.eval()
  const all = Array.from({ length: Math.floor((valid.length - 1) / LENGTH) }, (_, i) => i * LENGTH)
  let sum = 0
  for (let i = 0; i < all.length; i += 256) {
    const part = all.slice(i, i + 256)
    sum += part.length * (await scope(() => noGrad(() => { const [x, y] = windows(valid, part); return nn.crossEntropy(model.forward(x), y).item() })) as number)
  }
  return sum / all.length
}

// The mean of 3 seeds with torch 2.15 (python bench/peers/char_loss.py).
const PYTORCH = 1.9324

export const charLoss: Bench = {
  name: 'char loss',
  long: true,
  async run({ report }) {
    const { train, validation } = await data.tinyShakespeare()
    const text = train + validation
    const letters = [...new Set(text)].sort()
    const places = new Map(letters.map((letter, i) => [letter, i]))
    const ids = Int32Array.from(text, (letter) => places.get(letter)!)
    const found: number[] = []
    for (let seed = 0; seed < SEEDS; seed++) {
      found.push(await validationLoss(seed, ids, letters.length))
      console.error(`  seed ${seed}: ${found.at(-1)!.toFixed(4)}`)
    }
    const mean = found.reduce((a, b) => a + b, 0) / found.length
    report({ name: 'char loss / tinyshakespeare, 500 steps, mean of 3 seeds', value: mean, unit: 'nats', spread: (Math.max(...found) - Math.min(...found)) / 2 / mean, bound: { limit: PYTORCH + 0.02, kind: 'at most' } })
  },
}
