// Quantised inference: a trained Linear as int8 weights, one scale a row, on inputs as bytes. A quarter of the memory, and the same answers.
//   node examples/quantized.mjs
import assert from 'node:assert/strict'
import { data, manualSeed, nn, noGrad, quantizedLinear, scope, Trainer } from 'ferrograd'

manualSeed(0)
const { train, test } = await data.digits({ size: 16 })
const model = new nn.Sequential(new nn.Flatten(), new nn.Linear(256, 64), new nn.ReLU(), new nn.Linear(64, 10))
const trainer = new Trainer(model, { optimizer: 'adam', loss: 'crossEntropy', metrics: ['accuracy'] })
await trainer.fit(train, { epochs: 8, verbose: false })

const hidden = model[1]
const inputs = test.inputs.reshape([-1, 256])
const agreement = await noGrad(() => scope(() => {
  // Weights: the largest of each row becomes 127. Inputs: their range becomes 0 to 255.
  const scale = hidden.weight.abs().amax(1).div(127)                            // [64]
  const weight = hidden.weight.div(scale.unsqueeze(1)).round().to('int8')       // [64, 256]
  const [low, high] = [inputs.amin().itemSync(), inputs.amax().itemSync()]
  const xScale = (high - low) / 255
  const xZeroPoint = Math.round(-low / xScale)
  const x = inputs.div(xScale).round().add(xZeroPoint).clamp(0, 255).to('uint8')
  const y = quantizedLinear(x, weight, scale, { xScale, xZeroPoint, bias: hidden.bias, activation: 'relu' })
  const exact = model.forward(test.inputs).argmax(1)
  return model[3].forward(y).argmax(1).eq(exact).float().mean().item()
}))
console.log(`the quantised layer gives the same digit for ${(100 * agreement).toFixed(1)} % of the test images`)
assert(agreement > 0.98, String(agreement))
