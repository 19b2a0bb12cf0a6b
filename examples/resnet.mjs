// A ResNet and a DenseNet of the library's, by name, side by side on handwritten digits.
//   node examples/resnet.mjs            EPOCHS=3 by default
import assert from 'node:assert/strict'
import { data, manualSeed, models, nn, optim, Trainer } from 'ferrograd'

const { train, test } = await data.digits({ size: 8 })
const candidates = {
  'ResNet-20': () => models.resnet20({ inChannels: 1, width: 8, zeroInitResidual: true }),
  // Computes again in the backward pass what would otherwise wait for it: less memory, the same bits.
  'DenseNet-BC-28': () => models.densenet({ inChannels: 1, growthRate: 8, blockConfig: [4, 4, 4], memoryEfficient: true }),
}
for (const [name, make] of Object.entries(candidates)) {
  manualSeed(0)
  const model = make()
  const optimizer = new optim.AdamW(model.parameters(), { lr: 4e-3 })
  const trainer = new Trainer(model, { optimizer, loss: 'crossEntropy', metrics: ['accuracy'] })
  await trainer.fit(train, { epochs: Number(process.env.EPOCHS ?? 3), batchSize: 32, schedule: optim.cosineWarmup(0.1), verbose: false })
  const { accuracy } = await trainer.evaluate(test)
  const size = model.parameters().reduce((sum, p) => sum + p.size, 0)
  console.log(`${name}: ${size.toLocaleString('en')} parameters, test accuracy ${(accuracy * 100).toFixed(1)} %`)
  assert(accuracy >= 0.9, `accuracy ${accuracy} is below 0.9`)
  // For inference alone: normalisations go into the convolutions before them.
  const folded = nn.fuseConvBn(model, [1, 8, 8, 1])
  const { accuracy: again } = await trainer.evaluate(test)
  console.log(`  ${folded} normalisations folded: ${(again * 100).toFixed(1)} %`)
  assert(Math.abs(again - accuracy) < 0.01)
}
