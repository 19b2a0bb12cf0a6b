import { CancelledError, concat, type data, type nn, noGrad, scope, ShapeError, type Tensor, ValueError } from '../index.js'
import { settle, Stream } from '../internal.js'
import { predictedClasses, requireClasses, type Task } from './metrics/metric.js'
import { outputOf } from './model.js'
import { type Inputs, inputBatches } from './source.js'
import { inference, inPrecision, type Precision, readable } from './step.js'

/**
 * What can be predicted: a tensor of samples, a record of them, an array of single samples (tensors, or rows of numbers as in
 * `[[1, 2], [3, 4]]`), or a data set, whose labels are not looked at. With a vectorizer, texts.
 */
export type PredictInputs = readonly string[] | Inputs | readonly Tensor[] | readonly data.Nested[] | data.Source | data.DataLoader

/** Options of `predict` and its kin. */
export interface PredictOptions {
  /** Default 256. Of an (async) iterable it says that it gives single samples; without it they are whole batches. */
  batchSize?: number
  /** Ends it between two batches; rejects with `CancelledError`. */
  signal?: AbortSignal
}

/** Batches that may be under way before the oldest is waited for. */
const ahead = 2

/** Runs the model over all inputs and joins what `read` makes of the outputs. */
export async function predictAll(
  model: nn.Module,
  inputs: PredictInputs,
  options: PredictOptions,
  precision: Precision,
  read: (output: Tensor) => Tensor,
): Promise<Tensor> {
  const { batchSize, signal } = settle('predict', options, { batchSize: undefined, signal: undefined })
  if (inputs === undefined || inputs === null) throw new ValueError('predict: the inputs are missing.\n  predict(x), with a tensor, rows of numbers or a data set.')
  const modules = model.modules()
  const parts: Tensor[] = []
  const running: Promise<unknown>[] = []
  // A queue of its own: a prediction takes turns with a training step instead of standing behind it.
  const stream = new Stream()
  try {
    for await (const batch of inputBatches(inputs, batchSize)) {
      if (signal?.aborted) throw new CancelledError('predict: cancelled.', { cause: signal.reason })
      const { part, done } = stream.run(() =>
        inference(modules, () => {
          const part = read(readable(inPrecision(precision, () => outputOf(model, batch)), precision))
          return { part, done: pulse(part) }
        }),
      )
      parts.push(part)
      done.catch(() => {})
      running.push(done)
      if (running.length > ahead) await running.shift()
    }
    await Promise.all(running.splice(0))
    if (parts.length === 0) throw new ValueError('predict: there are no inputs.\n  Give at least one sample.')
    if (parts.length === 1) return parts.pop() as Tensor
    const { joined, done } = stream.run(() =>
      noGrad(() =>
        scope(() => {
          const joined = concat(parts, 0)
          return { joined, done: pulse(joined) }
        }),
      ),
    )
    await done
    return joined
  } finally {
    await Promise.allSettled(running)
    for (const part of parts) part.dispose()
    stream.close()
  }
}

/** Settles when `value` is there: reading one element says so at no cost. */
function pulse(value: Tensor): Promise<unknown> {
  return value.size === 0 ? Promise.resolve() : value.reshape([-1]).select(0, 0).item()
}

/** Probabilities of a task's outputs. */
export function probabilitiesOf(output: Tensor, task: Task): Tensor {
  if (task.kind === 'regression') throw new ValueError('predictProbabilities: the loss is one of regression.\n  Use predict.')
  if (task.kind === 'binary') return task.fromLogits ? output.sigmoid() : output
  requireClasses(output, task, 'predictProbabilities')
  if (!task.fromLogits && (output.shape.at(-1) ?? 0) < 2) throw new ShapeError('predictProbabilities: the outputs have one column.')
  return task.fromLogits ? output.softmax(-1) : output
}

/** Class numbers of a task's outputs, int32. */
export function classesOf(output: Tensor, task: Task): Tensor {
  return predictedClasses(output, task, 'predictClasses').reshape([-1]).to('int32')
}
