// What bidirectional LSTMs learn of recordings, by the official splits: who speaks (Japanese Vowels), which digit is said, and which digits are said one
// after the other (CTC). The epoch is chosen by the loss on a part of the training recordings that is held out; the test recordings are looked at once.
import { ctcDecode, manualSeed, models, nn, optim, tensor, Trainer } from 'ferrograd'
import { EarlyStopping } from 'ferrograd/train'
import type { Bench, Context } from '../report.js'
import { japaneseVowels, padded, type Recording, type Split, spokenDigits } from './recordings.js'

interface Setting {
  epochs: number
  batchSize: number
  lr: number
  /** The share of the training recordings that is held out. */
  validation: number
  /** Frames of a recording that are read. */
  most: number
  classes: number
  model: models.BiLstmTaggerOptions
}

async function accuracies({ width, train, test }: Split, { epochs, batchSize, lr, validation, most, classes, model: options }: Setting, seeds: number): Promise<number[]> {
  const set = (recordings: Recording[]) => ({ inputs: padded(recordings, width, most), labels: tensor(Int32Array.from(recordings, ({ label }) => label)) })
  const found: number[] = []
  for (let seed = 0; seed < seeds; seed++) {
    manualSeed(seed)
    const model = models.biLstmTagger({ inputs: width, outputs: classes, pool: 'last', ...options })
    const trainer = new Trainer(model, { optimizer: new optim.AdamW(model.parameters(), { lr, weightDecay: 0.01 }), loss: 'crossEntropy', lossOptions: { labelSmoothing: 0.1 }, metrics: ['accuracy'] })
    const best = new EarlyStopping({ monitor: 'valLoss', patience: epochs })
    await trainer.fit(set(train), { epochs, batchSize, validation, seed, schedule: optim.cosineWarmup(0.1), callbacks: [best], verbose: false })
    found.push((await trainer.evaluate(set(test))).accuracy as number)
    console.error(`  seed ${seed}: ${found.at(-1)} after epoch ${best.bestEpoch + 1}`)
  }
  return found
}

function reportMean({ report }: Context, name: string, values: number[]): void {
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  report({ name, value: 100 * mean, unit: '%', spread: (Math.max(...values) - Math.min(...values)) / 2 / mean, bound: { limit: 97, kind: 'at least' } })
}

export const vowelsAccuracy: Bench = {
  name: 'vowels accuracy',
  long: true,
  async run(context) {
    const setting = { epochs: 60, batchSize: 16, lr: 5e-3, validation: 0.1, most: 29, classes: 9, model: { hidden: 64, dropout: 0.5, inputDropout: 0.1 } }
    reportMean(context, 'vowels accuracy / 370 test recordings of 9 speakers, mean of 5 seeds', await accuracies(await japaneseVowels(), setting, 5))
  },
}

export const digitsAccuracy: Bench = {
  name: 'digits accuracy',
  long: true,
  async run(context) {
    const setting = { epochs: 12, batchSize: 32, lr: 3e-3, validation: 0.1, most: 100, classes: 10, model: { hidden: 64 } }
    reportMean(context, 'digits accuracy / 300 test recordings of 6 speakers, mean of 3 seeds', await accuracies(await spokenDigits(), setting, 3))
  },
}

interface Spoken {
  frames: Float32Array
  labels: number[]
}

const [MOST_DIGITS, MOST_FRAMES, BLANK] = [5, 300, 10]

/** So many strings of 1 to 5 recordings, one behind the other, of 3 seconds at most. */
function strings(recordings: readonly Recording[], width: number, count: number): Spoken[] {
  let state = 1
  const below = (n: number): number => (state = (state * 48271) % 2147483647) % n
  const made: Spoken[] = []
  while (made.length < count) {
    const parts = Array.from({ length: 1 + below(MOST_DIGITS) }, () => recordings[below(recordings.length)]!)
    const frames = Float32Array.from(parts.flatMap((part) => [...part.frames]))
    if (frames.length <= MOST_FRAMES * width) made.push({ frames, labels: parts.map(({ label }) => label) })
  }
  return made
}

/** Labels to put in, take out or change to make b of a. */
function distance(a: readonly number[], b: readonly number[]): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  a.forEach((label, i) => {
    const next = [i + 1]
    b.forEach((other, j) => next.push(Math.min(row[j + 1]! + 1, next[j]! + 1, row[j]! + Number(label !== other))))
    row = next
  })
  return row[b.length]!
}

export const digitStrings: Bench = {
  name: 'digit strings',
  long: true,
  async run({ report }) {
    const { width, train, test } = await spokenDigits()
    const set = (spoken: Spoken[]) => ({
      inputs: padded(spoken, width, MOST_FRAMES),
      labels: tensor(spoken.map(({ labels }) => Array.from({ length: MOST_DIGITS }, (_, i) => labels[i] ?? -1)), { dtype: 'int32' }),
    })
    // Every tenth recording is kept for choosing the epoch.
    const [learnt, heldOut] = [true, false].map((learn) => train.filter((_, i) => (i % 10 !== 0) === learn)) as [Recording[], Recording[]]
    manualSeed(0)
    const model = models.biLstmTagger({ inputs: width, hidden: 64, outputs: 11, blank: BLANK })
    const trainer = new Trainer(model, { optimizer: new optim.AdamW(model.parameters(), { lr: 5e-3, weightDecay: 0.01 }), loss: new nn.CTCLoss({ blank: BLANK }) })
    const callbacks = [new EarlyStopping({ monitor: 'valLoss', patience: 15 })]
    await trainer.fit(set(strings(learnt, width, 4000)), {
      epochs: 15, batchSize: 32, clipNorm: 5, validation: set(strings(heldOut, width, 400)), schedule: optim.cosineWarmup(0.1), callbacks, verbose: false,
    })
    const asked = strings(test, width, 400)
    const logProbs = await trainer.predict(set(asked).inputs)
    for (const [way, options] of [['best path', {}], ['beam of 20', { beamWidth: 20 }]] as const) {
      const found = (await ctcDecode(logProbs, null, { blank: BLANK, ...options }).labels.tolist()) as number[][]
      const wrong = asked.reduce((sum, { labels }, i) => sum + distance(labels, found[i]!.filter((label) => label >= 0)), 0)
      report({ name: `digit strings / CTC, joined test recordings, ${way}: wrong digits`, value: (100 * wrong) / asked.flatMap(({ labels }) => labels).length, unit: '%' })
    }
  },
}
