// Each model learns to read handwritten digits, in seconds: seeds move the accuracy by one or two hundredths, and the bounds leave as much again.
import { expect, it } from 'vitest'
import { data, manualSeed, models, type nn, optim, Trainer } from '../../ts/index.js'

// Blocks that start as their shortcuts let the deeper networks learn from the first step.
const narrow = { inChannels: 1, classes: 10, stem: 'cifar', width: 8, zeroInitResidual: true } as const

const table: { name: string; make: () => nn.Module; size: number; epochs: number; lr: number; accuracy: number }[] = [
  { name: 'mlp', make: () => models.mlp({ inFeatures: 64, hidden: [64, 32] }), size: 8, epochs: 15, lr: 3e-3, accuracy: 0.92 },
  { name: 'lenet', make: () => models.lenet(), size: 32, epochs: 6, lr: 2e-3, accuracy: 0.92 },
  { name: 'vggSmall', make: () => models.vggSmall({ inChannels: 1, imageSize: 16, width: 8 }), size: 16, epochs: 3, lr: 2e-3, accuracy: 0.95 },
  { name: 'resnet18', make: () => models.resnet18(narrow), size: 8, epochs: 4, lr: 2e-3, accuracy: 0.93 },
  { name: 'resnet20', make: () => models.resnet20(narrow), size: 8, epochs: 4, lr: 3e-3, accuracy: 0.92 },
  { name: 'resnet34', make: () => models.resnet34(narrow), size: 8, epochs: 4, lr: 2e-3, accuracy: 0.93 },
  { name: 'resnet50', make: () => models.resnet50(narrow), size: 8, epochs: 4, lr: 2e-3, accuracy: 0.9 },
  { name: 'resnet56', make: () => models.resnet56(narrow), size: 8, epochs: 3, lr: 3e-3, accuracy: 0.92 },
  {
    name: 'densenet',
    make: () => models.densenet({ inChannels: 1, growthRate: 8, blockConfig: [4, 4, 4], memoryEfficient: true }),
    size: 8, epochs: 4, lr: 3e-3, accuracy: 0.97,
  },
]

it.each(table)('$name reads at least $accuracy of the digits', async ({ make, size, epochs, lr, accuracy }) => {
  const { train, test } = await data.digits({ size })
  manualSeed(0)
  const model = make()
  const trainer = new Trainer(model, { optimizer: new optim.Adam(model.parameters(), { lr }), loss: 'crossEntropy', metrics: ['accuracy'] })
  await trainer.fit(train, { epochs, batchSize: 32, seed: 0, schedule: optim.cosineWarmup(0.1), verbose: false })
  expect((await trainer.evaluate(test)).accuracy).toBeGreaterThanOrEqual(accuracy)
}, 120_000)
