// What bidirectional LSTMs learn of recordings, by the official splits: who speaks (Japanese Vowels), which digit is said, and which digits are said one
// after the other (CTC). The epoch is chosen by the loss on a part of the training recordings that is held out; the test recordings are looked at once.
import { manualSeed, models, optim, tensor, Trainer } from 'ferrograd'
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
