import { CancelledError, concat, type data, type nn, noGrad, scope, ShapeError, Tensor, ValueError } from '../index.js'
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

/** A prediction's settings beside its inputs. */
export interface Prediction {
  model: nn.Module
  options: PredictOptions
  precision: Precision
}

/** Runs the model over all inputs and joins what `read` makes of the outputs. */
export async function predictAll(inputs: PredictInputs, prediction: Prediction, read: (output: Tensor) => Tensor): Promise<Tensor> {
  const parts: Tensor[] = []
  // A queue of its own: a prediction takes turns with a training step instead of standing behind it.
  const stream = new Stream()
  try {
    await overBatches(inputs, prediction, stream, parts, (output) => {
      const part = read(output)
      return { part, done: pulse(part) }
    })
    if (parts.length === 1) return parts.pop() as Tensor
    const { joined, done } = stream.run(() =>
      noGrad(() =>
        scope(() => {
          const joined = concat(alike(parts), 0)
          return { joined, done: pulse(joined) }
        }),
      ),
    )
    await done
    return joined
  } finally {
    for (const part of parts) part.dispose()
    stream.close()
  }
}

/** A class number, or a list of them for each step, column ... of a sample. */
type Classes = number | Classes[]

/** The class numbers of all inputs, a row a sample, without the steps behind its length. */
export async function predictClassRows(inputs: PredictInputs, prediction: Prediction, task: Task): Promise<Classes[]> {
  const parts: Promise<Classes[]>[] = []
  const stream = new Stream()
  try {
    await overBatches(inputs, prediction, stream, parts, (output, batch) => {
      const classes = predictedClasses(output, task, 'predictClasses')
      // One yes or no for each sample or step is itself, no list of one.
      const single = task.kind === 'binary' && classes.ndim > 1 && classes.shape.at(-1) === 1
      const part = classRows(single ? classes.squeeze(-1) : classes, lengthsOf(output, batch))
      return { part, done: part }
    })
    return (await Promise.all(parts)).flat(1)
  } finally {
    stream.close()
  }
}

async function classRows(classes: Tensor, lengths: Tensor | null): Promise<Classes[]> {
  const [values, ends] = await Promise.all([classes.to('int32').data(), lengths?.data()])
  const rows = nested(values as Int32Array, classes.shape)
  return ends === undefined ? rows : rows.map((row, i) => (row as Classes[]).slice(0, Number(ends[i])))
}

function nested(values: Int32Array, [rows = 1, ...shape]: readonly number[]): Classes[] {
  if (shape.length === 0) return Array.from(values)
  const width = values.length / rows
  return Array.from({ length: rows }, (_, row) => nested(values.subarray(row * width, (row + 1) * width), shape))
}

/** Runs the model over all inputs and gathers in `parts` what `read` makes of each batch's outputs. */
async function overBatches<T>(
  inputs: PredictInputs,
  { model, options, precision }: Prediction,
  stream: Stream,
  parts: T[],
  read: (output: Tensor, batch: Inputs) => { part: T; done: Promise<unknown> },
): Promise<void> {
  const { batchSize, signal } = settle('predict', options, { batchSize: undefined, signal: undefined })
  if (inputs === undefined || inputs === null) throw new ValueError('predict: the inputs are missing.\n  predict(x), with a tensor, rows of numbers or a data set.')
  const modules = model.modules()
  const running: Promise<unknown>[] = []
  try {
    for await (const batch of inputBatches(inputs, batchSize)) {
      if (signal?.aborted) throw new CancelledError('predict: cancelled.', { cause: signal.reason })
      const { part, done } = stream.run(() =>
        inference(modules, () => read(readable(inPrecision(precision, () => outputOf(model, batch)), precision), batch)),
      )
      parts.push(part)
      done.catch(() => {})
      running.push(done)
      if (running.length > ahead) await running.shift()
    }
    await Promise.all(running.splice(0))
    if (parts.length === 0) throw new ValueError('predict: there are no inputs.\n  Give at least one sample.')
  } finally {
    await Promise.allSettled(running)
  }
}

/**
 * How many steps of each row are its own, where outputs [N, T, ...] are steps of the inputs: of the one column that `lengths` [N] stands beside, as
 * `data.ragged` and a vectorizer give it. Null where that is not known; [N, K] are K outputs a sample, however many steps there are.
 */
function lengthsOf(output: Tensor, inputs: Inputs): Tensor | null {
  if (inputs instanceof Tensor || output.ndim < 3) return null
  const { lengths, ...columns } = inputs
  const [steps, ...others] = Object.values(columns)
  if (lengths === undefined || lengths.ndim !== 1 || others.length > 0) return null
  return steps?.shape[1] === output.shape[1] ? lengths : null
}

/** Outputs of batches of unlike lengths, each filled up at the end with 0 to the longest. */
function alike(parts: readonly Tensor[]): Tensor[] {
  const most = (dim: number): number => parts.reduce((size, { shape }) => Math.max(size, shape[dim] ?? 0), 0)
  const sizes = (parts[0] as Tensor).shape.map((_, dim) => most(dim))
  return parts.map((part) => {
    // `pad` counts dimensions from the last.
    const pads = part.shape.flatMap((size, dim) => (dim === 0 ? [] : [(sizes[dim] ?? size) - size, 0])).reverse()
    return pads.some((count) => count > 0) ? part.pad(pads) : part
  })
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
