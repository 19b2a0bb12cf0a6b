// Mixed precision: products in bfloat16, weights and their gradients in float32. By the Trainer's option, and by hand with `autocast`.
//   node examples/mixed-precision.mjs
import assert from 'node:assert/strict'
import { autocast, compile, data, manualSeed, nn, optim, Trainer } from 'ferrograd'

const { train, test } = await data.digits({ size: 16 })

function network() {
  manualSeed(0)
  return new nn.Sequential(new nn.Flatten(), new nn.Linear(256, 512), new nn.ReLU(), new nn.Linear(512, 256), new nn.ReLU(), new nn.Linear(256, 10))
}

/** The share of test images that a network reads, with and without autocast: it is a way to compute, no property of the weights. */
async function accuracies(model) {
  const options = { loss: 'crossEntropy', metrics: ['accuracy'] }
  const measured = [new Trainer(model, options), new Trainer(model, { ...options, autocast: 'bfloat16' })].map((trainer) => trainer.evaluate(test))
  return (await Promise.all(measured)).map(({ accuracy }) => accuracy)
}

// With the Trainer: one option.
const model = network()
const trainer = new Trainer(model, { optimizer: 'adam', loss: 'crossEntropy', metrics: ['accuracy'], autocast: 'bfloat16' })
await trainer.fit(train, { epochs: 5, verbose: false })
const output = await trainer.predict(test.inputs)
assert(output.dtype === 'float32' && model.parameters().every(({ dtype }) => dtype === 'float32'))

// By hand: forward pass and loss inside, backward and the optimizer outside.
const byHand = network()
const optimizer = new optim.Adam(byHand.parameters())
const step = compile((inputs, labels) => {
  const loss = autocast(() => nn.crossEntropy(byHand.forward(inputs), labels))
  loss.backward()
  optimizer.step()
  optimizer.zeroGrad()
  return loss.detach()
})
const loader = new data.DataLoader(train, { batchSize: 32, shuffle: true, seed: 0 })
for (let epoch = 0; epoch < 5; epoch++) for await (const { inputs, labels } of loader) step(inputs, labels).dispose()

for (const [name, trained] of Object.entries({ Trainer: model, 'by hand': byHand })) {
  const [float32, bfloat16] = await accuracies(trained)
  console.log(`${name}: test accuracy ${(float32 * 100).toFixed(1)} % in float32, ${(bfloat16 * 100).toFixed(1)} % under autocast`)
  assert(bfloat16 >= 0.9 && Math.abs(float32 - bfloat16) < 0.02, `accuracy ${bfloat16} is below 0.9, or far from ${float32}`)
}
