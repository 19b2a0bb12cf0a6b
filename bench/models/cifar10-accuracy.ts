// What the article's CNN learns from CIFAR-10 records in $FERROGRAD_DATA/cifar10: batch 32, Adam, inputs / 255, as bench/peers/cifar10_accuracy.py has it.
import { data, manualSeed, Trainer } from 'ferrograd'
import type { Bench, Context } from '../report.js'
import { articleCnn } from '../networks/article-cnn.js'

async function accuracies({ epochs, seeds, augment }: { epochs: number; seeds: number; augment: boolean }): Promise<number[]> {
  const { train, test } = await data.cifar10()
  const found: number[] = []
  for (let seed = 0; seed < seeds; seed++) {
    manualSeed(seed)
    const trainer = new Trainer(articleCnn(), { optimizer: 'adam', loss: 'crossEntropy', metrics: ['accuracy'] })
    await trainer.fit(train, { epochs, batchSize: 32, seed, verbose: false, ...(augment ? { augment: data.augment({ flip: true, pad: 4 }) } : {}) })
    const accuracy = (await trainer.evaluate(test)).accuracy as number
    found.push(accuracy)
    console.error(`  seed ${seed}: ${accuracy}`)
  }
  return found
}

function reportMean({ report }: Context, name: string, values: number[], limit: number): void {
  const mean = values.reduce((a, b) => a + b, 0) / values.length
  report({ name, value: 100 * mean, unit: '%', spread: (Math.max(...values) - Math.min(...values)) / 2 / mean, bound: { limit, kind: 'at least' } })
}

// PyTorch's mean in this setting, less 1.5 points: 55.4 % with torch 2.15 (python bench/peers/cifar10_accuracy.py).
const plainBound = 55.4 - 1.5

export const cifar10Accuracy: Bench = {
  name: 'cifar10 accuracy',
  long: true,
  async run(context: Context) {
    reportMean(context, 'cifar10 accuracy / 10 epochs, mean of 5 seeds', await accuracies({ epochs: 10, seeds: 5, augment: false }), plainBound)
  },
}

export const cifar10Augmented: Bench = {
  name: 'cifar10 augmented accuracy',
  long: true,
  async run(context: Context) {
    reportMean(context, 'cifar10 augmented accuracy / 30 epochs, flip and padded crop', await accuracies({ epochs: 30, seeds: 1, augment: true }), 62)
  },
}
