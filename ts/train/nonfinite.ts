// Finding the op that made the first NaN: the batch runs once more, eagerly, and every result is tested.
import { Generator, noGrad, type nn, scope } from '../index.js'
import { anomaly, run, withGenerator } from '../internal.js'
import type { Inputs } from './source.js'
import { inMode, type TrainStep } from './step.js'

/**
 * Runs forward and backward of a batch in anomaly mode and gives the error that names op and layer, or null where all is finite.
 * Parameters, gradients, running statistics and the run's random stream stay as they are.
 */
export async function findNonFinite(model: nn.Module, step: TrainStep, inputs: Inputs, labels: unknown): Promise<Error | null> {
  const parameters = model.parameters()
  const gradients = parameters.map(({ grad }) => (grad === null ? null : grad.detach()))
  const buffers = model.buffers().map((tensor) => ({ tensor, copy: noGrad(() => tensor.clone()) }))
  for (const parameter of parameters) parameter.grad = null
  anomaly(true)
  try {
    const reads = inMode(model.modules(), true, () =>
      withGenerator(new Generator(0), () =>
        scope(() => {
          const { loss } = step.forward(inputs, labels)
          loss.backward()
          return [loss.detach(), ...parameters.flatMap(({ grad }) => grad ?? [])].map((value) => value.sum().item())
        }),
      ),
    )
    await Promise.all(reads)
    return null
  } catch (error) {
    return error as Error
  } finally {
    anomaly(false)
    parameters.forEach((parameter, i) => {
      parameter.grad = gradients[i] ?? null
    })
    noGrad(() => {
      for (const { tensor, copy } of buffers) run.assign(tensor, copy)
    })
    for (const { copy } of buffers) copy.dispose()
  }
}
