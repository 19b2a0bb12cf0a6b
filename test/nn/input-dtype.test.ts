// An input of another dtype than the weights: the message says to convert the input, not the weights to integers.
import { expect, test } from 'vitest'
import { DTypeError, nn, ones, Trainer } from '../../ts/index.js'

const layers: [string, nn.Module, number[]][] = [
  ['Linear', new nn.Linear(2, 3), [1, 2]],
  ['Conv1d', new nn.Conv1d(2, 3, 1), [1, 4, 2]],
  ['Conv2d', new nn.Conv2d(2, 3, 1), [1, 4, 4, 2]],
  ['ConvTranspose2d', new nn.ConvTranspose2d(2, 3, 1), [1, 4, 4, 2]],
  ['PReLU', new nn.PReLU(), [1, 2]],
]
test.each(layers)('%s', (name, layer, shape) => {
  for (const dtype of ['int32', 'uint8', 'bool'] as const) {
    expect(() => layer.forward(ones(shape, { dtype }))).toThrow(DTypeError)
    expect(() => layer.forward(ones(shape, { dtype }))).toThrow(new RegExp(`${name}: the input \\[${shape.join(', ')}\\] is ${dtype}, the weights are float32\\.\n  Convert the input with x\\.to\\('float32'\\)\\.`))
  }
  expect(() => layer.forward(ones(shape, { dtype: 'float64' }))).toThrow(/Convert the input with x\.to\('float32'\), or the layer with layer\.to\('float64'\)/)
})

test('LazyLinear, once it has its weights', () => {
  const lazy = new nn.LazyLinear(3)
  lazy.forward(ones([1, 2]))
  expect(() => lazy.forward(ones([1, 2], { dtype: 'int32' }))).toThrow(/Convert the input with x\.to\('float32'\)/)
})

test('in fit', async () => {
  const trainer = new Trainer(new nn.Sequential(new nn.Conv2d(1, 2, 1), new nn.Flatten(), new nn.Linear(8, 2)), { loss: 'crossEntropy' })
  await expect(trainer.fit({ inputs: ones([4, 2, 2, 1], { dtype: 'int32' }), labels: [0, 1, 0, 1] }, { verbose: false })).rejects.toThrow(/Convert the input with x\.to\('float32'\)/)
})
