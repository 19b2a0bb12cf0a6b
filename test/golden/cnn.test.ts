// The article's CNN against PyTorch: same weights, same batches, 20 steps with each optimizer (cnn.json, written by make.py).
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { nn, optim, scope, tensor, type Tensor } from '../../ts/index.js'
import { hashes, uniform } from './formula.js'

interface Summary { sum: number; magnitude: number; values: number[] }
interface Run { losses: number[]; parameters: Record<string, Summary> }
interface Golden {
  steps: number
  batch: number
  parameters: { name: string; shape: number[]; fanIn: number }[]
  float64: Record<string, Run & { class: 'SGD' | 'RMSprop' | 'Adagrad' | 'Adam' | 'AdamW'; options: Record<string, number | boolean>; sameBatch: boolean }>
  float32: Record<'sgd' | 'adam', Run & { afterOneStep: Record<string, Summary> }>
}
type Float = 'float32' | 'float64'

const golden = JSON.parse(readFileSync(new URL('./cnn.json', import.meta.url), 'utf8')) as Golden

function cnn(dtype: Float): nn.Sequential {
  const model = new nn.Sequential(
    new nn.Conv2d(3, 32, 3), new nn.ReLU(), new nn.MaxPool2d(2),
    new nn.Conv2d(32, 64, 3), new nn.ReLU(), new nn.MaxPool2d(2),
    new nn.Conv2d(64, 64, 3), new nn.ReLU(), new nn.Flatten(),
    new nn.Linear(1024, 64), new nn.ReLU(), new nn.Linear(64, 10),
  )
  model.to(dtype)
  const keys = Object.keys(model.stateDict())
  model.loadStateDict(Object.fromEntries(golden.parameters.map(({ shape, fanIn }, i) => {
    const values = uniform(i + 1, shape.reduce((a, b) => a * b, 1), 1 / Math.sqrt(fanIn))
    return [keys[i] as string, tensor(values, { shape, dtype })]
  })))
  return model
}

function batch(step: number, dtype: Float): { inputs: Tensor; labels: Tensor } {
  const pixels = uniform(1000 + step, golden.batch * 32 * 32 * 3).map((v) => (v + 1) / 2)
  const labels = Int32Array.from(hashes(2000 + step, golden.batch), (h) => h % 10)
  return { inputs: tensor(pixels, { shape: [golden.batch, 32, 32, 3], dtype }), labels: tensor(labels) }
}

function optimizerFor(name: string, model: nn.Module): optim.Optimizer {
  const { class: kind, options } = golden.float64[name] as Golden['float64'][string]
  const ours = Object.fromEntries(Object.entries(options).map(([key, value]) => [key.replace(/_(.)/g, (_, c: string) => c.toUpperCase()), value]))
  return name === 'gd' ? new optim.GD(model.parameters(), ours) : new optim[kind](model.parameters(), ours)
}

async function train(name: string, dtype: Float, steps = golden.steps): Promise<Run> {
  const model = cnn(dtype)
  const optimizer = optimizerFor(name, model)
  const losses: number[] = []
  for (let step = 0; step < steps; step++) {
    losses.push(await scope(() => {
      const { inputs, labels } = batch(golden.float64[name]?.sameBatch ? 0 : step, dtype)
      const loss = nn.crossEntropy(model.forward(inputs), labels)
      optimizer.zeroGrad()
      loss.backward()
      optimizer.step()
      return loss.item()
    }))
  }
  const parameters: Record<string, Summary> = {}
  const values = [...model.parameters()]
  for (const [i, { name: key }] of golden.parameters.entries()) parameters[key] = await summary(values[i] as Tensor)
  return { losses, parameters }
}

async function summary(parameter: Tensor): Promise<Summary> {
  const flat = Array.from(await parameter.data() as Float64Array)
  return {
    sum: flat.reduce((a, b) => a + b, 0),
    magnitude: flat.reduce((a, b) => a + Math.abs(b), 0),
    values: Array.from({ length: 8 }, (_, i) => flat[Math.floor((i * (flat.length - 1)) / 7)] as number),
  }
}

/** Largest relative difference. */
const apart = (ours: number[], theirs: number[]): number => Math.max(...theirs.map((value, i) => Math.abs((ours[i] as number) - value) / Math.abs(value)))

function expectParameters(ours: Record<string, Summary>, theirs: Record<string, Summary>, tolerance: number): void {
  expect(Object.keys(ours)).toEqual(Object.keys(theirs))
  for (const [key, { values, magnitude, sum }] of Object.entries(theirs)) {
    const mine = ours[key] as Summary
    values.forEach((value, i) => expect(Math.abs((mine.values[i] as number) - value), `${key} element ${i}`).toBeLessThan(tolerance))
    expect(Math.abs(mine.magnitude - magnitude) / magnitude, `${key} magnitude`).toBeLessThan(tolerance)
    expect(Math.abs(mine.sum - sum) / magnitude, `${key} sum`).toBeLessThan(tolerance)
  }
}

describe('float64: 20 steps give the losses of PyTorch within 1e-9', () => {
  it.each(Object.keys(golden.float64))('%s', async (name) => {
    const ours = await train(name, 'float64')
    const theirs = golden.float64[name] as Run
    expect(ours.losses).toHaveLength(golden.steps)
    expect(apart(ours.losses, theirs.losses)).toBeLessThan(1e-9)
    expectParameters(ours.parameters, theirs.parameters, 1e-7)
  })
})

describe('float32', () => {
  it.each(['sgd', 'adam'] as const)('one step of %s from a common state: parameters within 1e-5', async (name) => {
    const { parameters } = await train(name, 'float32', 1)
    expectParameters(parameters, golden.float32[name].afterOneStep, 1e-5)
  })

  // With PyTorch's float32 run: in both, something that rounding decides moves conv3.bias by 1.5e-5 from the float64 run.
  it('20 steps of SGD: losses and parameters within 1e-5 of PyTorch in float32', async () => {
    const ours = await train('sgd', 'float32')
    expect(apart(ours.losses, golden.float32.sgd.losses)).toBeLessThan(1e-5)
    expectParameters(ours.parameters, golden.float32.sgd.parameters, 1e-5)
  })
})
