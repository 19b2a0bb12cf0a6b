// A CNN that reads handwritten digits, in twenty lines.
//   node examples/digits-cnn.mjs        EPOCHS=5 by default: about 96 % of the test digits
import assert from 'node:assert/strict'
import { data, manualSeed, nn, Trainer } from 'ferrograd'

manualSeed(0)
const { train, test } = await data.digits()
const model = new nn.Sequential(
  new nn.Conv2d(1, 32, 3), new nn.ReLU(), new nn.MaxPool2d(2),
  new nn.Conv2d(32, 64, 3), new nn.ReLU(), new nn.MaxPool2d(2),
  new nn.Conv2d(64, 64, 3), new nn.ReLU(), new nn.Flatten(),
  new nn.Linear(1024, 64), new nn.ReLU(), new nn.Linear(64, 10),
)
const trainer = new Trainer(model, { optimizer: 'adam', loss: 'crossEntropy', metrics: ['accuracy'] })
await trainer.fit(train, { epochs: Number(process.env.EPOCHS ?? 5), batchSize: 32, validation: 0.1 })

const { loss, accuracy } = await trainer.evaluate(test)
console.log(`test: loss ${loss.toFixed(4)}, accuracy ${(accuracy * 100).toFixed(1)} %`)
console.log('predicted:', (await trainer.predictClasses(test.inputs)).slice(0, 10).join(' '))
console.log('    truth:', (await test.labelValues()).slice(0, 10).join(' '))
assert(accuracy >= 0.93, `accuracy ${accuracy} is below 0.93`)
