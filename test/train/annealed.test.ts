// What callbacks change between epochs, in the model or around the loss, is what the next epoch trains with, compiled or not.
import { expect, test } from 'vitest'
import { manualSeed, nn, tensor, type Tensor } from '../../ts/index.js'
import { Trainer } from '../../ts/train/index.js'

const data = { inputs: tensor(Array.from({ length: 24 }, (_, i) => [Math.sin(i), Math.cos(i)])), labels: tensor(Array.from({ length: 24 }, (_, i) => [i % 3])) }

async function losses(compile: boolean, prepare: (model: nn.Sequential) => { loss: (output: Tensor, labels: Tensor) => Tensor; onEpochEnd: () => void }): Promise<number[]> {
  manualSeed(5)
  const model = new nn.Sequential(new nn.Linear(2, 8), new nn.Dropout(0.5), new nn.Linear(8, 1))
  const { loss, onEpochEnd } = prepare(model)
  const history = await new Trainer(model, { optimizer: 'adam', loss }).fit(data, { epochs: 3, batchSize: 8, compile, verbose: false, seed: 1, callbacks: [{ onEpochEnd }] } as never)
  return history.epochs.map((epoch) => epoch.loss as number)
}

test.each<[string, Parameters<typeof losses>[1]]>([
  ['a weight in a closure', () => {
    let weight = 1
    return { loss: (output, labels) => output.sub(labels).square().mean().mul(weight), onEpochEnd: () => { weight /= 10 } }
  }],
  ["a layer's rate", (model) => ({ loss: (output, labels) => nn.mse(output, labels), onEpochEnd: () => { (model[1] as unknown as { p: number }).p = 0 } })],
  ['a layer', (model) => ({ loss: (output, labels) => nn.mse(output, labels), onEpochEnd: () => { model[1] = new nn.Tanh() } })],
])('%s', async (_, prepare) => {
  const eager = await losses(false, prepare)
  expect(await losses(true, prepare)).toEqual(eager)
  expect(new Set(eager).size).toBe(3)
})
