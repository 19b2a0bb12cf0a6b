// Where batches come from: data in memory, samples by number, or a stream of samples.
import { noGrad, scope, ShapeError, stack, tensor, type Tensor, ValueError } from '../index.js'
import { isTensor } from './column.js'
import { aliasOf, type Batch, type Inputs, tensorsOf } from './batch.js'
import { type Dataset, type DatasetSource, dataset } from './dataset.js'
import { flatten, isNumbers, type Nested, nestedShape, type Numbers, outsideInt32 } from './nested.js'
import { range } from './random.js'

/** One sample: its input (a number, numbers, a tensor without the batch dimension, or a record of these) and its label. */
export interface Sample {
  /** The input, without the batch's dimension. */
  inputs: unknown
  /** Its class number, or its target. */
  labels: unknown
}

/** Samples by number; `get` may be asynchronous (reading a file, say). */
export interface Indexed {
  /** How many samples there are. */
  readonly length: number
  /** The sample of a number from 0 to `length` - 1. */
  get(index: number): Sample | Promise<Sample>
}

/** What a `DataLoader` takes; of an iterable `batchSize` says whether it gives samples or batches. */
export type Source = Dataset | DatasetSource | Indexed | Iterable<Sample | Batch> | AsyncIterable<Sample | Batch>

/** A source whose kind is known. */
export type KnownSource =
  | { kind: 'dataset'; data: Dataset }
  | { kind: 'indexed'; data: Indexed }
  | { kind: 'stream'; data: Iterable<Sample | Batch> | AsyncIterable<Sample | Batch> }

/** Finds out what `source` is; `ofSamples` says that an iterable gives samples, not batches. @throws ValueError naming what is taken */
export function recognise(source: Source, ofSamples: boolean): KnownSource {
  if (typeof source === 'object' && source !== null) {
    // An array of samples has them by number: it can be shuffled, and its length is known.
    if (Array.isArray(source) && ofSamples) {
      if (source.length === 0) throw new ValueError('DataLoader: an array without samples. Give at least one.')
      return { kind: 'indexed', data: { length: source.length, get: (i) => source[i] as Sample } }
    }
    if ('inputs' in source && 'labels' in source) return { kind: 'dataset', data: dataset(source as DatasetSource) }
    if ('get' in source && typeof source.get === 'function' && 'length' in source) {
      const { length } = source
      if (!Number.isInteger(length) || length < 1)
        throw new ValueError(`DataLoader: a source with ${String(length)} samples. Give at least one.`)
      return { kind: 'indexed', data: source as Indexed }
    }
    if (Symbol.asyncIterator in source || Symbol.iterator in source) return { kind: 'stream', data: source as Iterable<Sample> }
  }
  throw new ValueError('DataLoader: a data set, { inputs, labels }, { length, get(i) } or an (async) iterable of samples or batches is wanted.')
}

/** Puts samples together: a row each. */
export function collate(samples: readonly Sample[], labelDType: 'int32' | 'float32' | undefined): Batch {
  for (const sample of samples) {
    if (typeof sample !== 'object' || sample === null || !('inputs' in sample) || !('labels' in sample))
      throw new ValueError('DataLoader: a sample is { inputs, labels }.')
  }
  return noGrad(() =>
    scope(() => ({
      inputs: collateInputs(samples.map(({ inputs }) => inputs)),
      labels: rows(
        samples.map(({ labels }) => labels),
        'labels',
        labelDType ?? 'whole',
      ),
    })),
  )
}

function collateInputs(values: readonly unknown[]): Inputs {
  const [first] = values
  if (typeof first !== 'object' || first === null || Array.isArray(first) || isNumbers(first) || isTensor(first))
    return rows(values, 'inputs', 'float32')
  return Object.fromEntries(
    Object.keys(first).map((name) => [
      name,
      rows(
        values.map((value) => (value as Record<string, unknown>)[name]),
        `inputs.${name}`,
        'float32',
      ),
    ]),
  )
}

function rows(values: readonly unknown[], what: string, dtype: 'float32' | 'int32' | 'whole'): Tensor {
  const [first] = values
  if (isTensor(first)) {
    for (const value of values) {
      if (!isTensor(value)) throw new ValueError(`DataLoader: ${what} are tensors in some samples and not in others.`)
      if (String(value.shape) !== String(first.shape)) {
        throw new ShapeError(
          `DataLoader: ${what} of one batch differ in shape, [${first.shape.join(', ')}] and [${value.shape.join(', ')}].\n` +
            `  Pad or resize them in get(i).`,
          { shapes: [first.shape, value.shape] },
        )
      }
    }
    return stack(values as Tensor[])
  }
  if (
    isNumbers(first) &&
    values.every((value) => isNumbers(value) && value.constructor === first.constructor && value.length === first.length)
  ) {
    const array = new (first.constructor as new (length: number) => Numbers)(first.length * values.length)
    values.forEach((value, i) => array.set(value as never, i * first.length))
    return tensor(array, { shape: [values.length, first.length], transfer: true })
  }
  const shape = nestedShape(values as Nested)
  const flat = flatten(values as Nested, shape, `DataLoader: ${what}`)
  if (dtype !== 'float32')
    for (const value of flat) if (!Number.isFinite(value)) throw new ValueError(`DataLoader: a label is ${value}. Leave such samples out.`)
  const at = dtype === 'float32' ? -1 : outsideInt32(flat)
  if (dtype === 'int32' && at >= 0) throw new ValueError(`DataLoader: a label is ${flat[at]}, which int32 does not hold.\n  Leave labelDType out, or give 'float32' for numbers to predict.`)
  const whole = dtype !== 'float32' && at < 0
  return tensor(whole ? Int32Array.from(flat) : Float32Array.from(flat), { shape, transfer: true })
}

/** A batch from an iterable: handles of the loader's own on its tensors, or tensors made of its numbers. */
export function toBatch(batch: Batch, labelDType: 'int32' | 'float32' | undefined): Batch {
  if (typeof batch !== 'object' || batch === null || !('inputs' in batch) || !('labels' in batch))
    throw new ValueError('DataLoader: a batch is { inputs, labels }.')
  const { inputs, labels } = batch
  if (typeof labels === 'number' || typeof labels === 'bigint' || typeof labels === 'boolean' || (isTensor(labels) && labels.ndim === 0)) {
    throw new ValueError(
      'DataLoader: the iterable gives single samples (its labels are one value), and no batchSize was given, which means whole batches.\n' +
        '  Give batchSize: so many samples are put together.',
    )
  }
  if (Array.isArray(labels) && typeof labels[0] === 'string') {
    throw new ValueError(
      'DataLoader: the labels of a batch are names; which number each has is not known from one batch.\n' +
        '  Give class numbers, classes.indexOf(name), or all samples as one data set.',
    )
  }
  if ([...tensorsOf(inputs)].length > 0)
    return { inputs: aliasOf(inputs), labels: [...tensorsOf(labels)].length > 0 ? aliasOf(labels) : plainLabels(labels as Nested, labelDType) }
  const made = dataset(batch as DatasetSource)
  const own = made.batch(range(made.length))
  if (labelDType === undefined || isTensor(labels)) return own
  // Made anew rather than converted, which would cut off fractions.
  const asked = plainLabels(labels as Nested, labelDType)
  ;(own.labels as Tensor).dispose()
  return { ...own, labels: asked }
}

/** Labels given as numbers beside inputs given as tensors. */
function plainLabels(labels: Nested, labelDType: 'int32' | 'float32' | undefined): Tensor {
  return isNumbers(labels) && labelDType === undefined ? tensor(labels) : rows(Array.from(labels as ArrayLike<number>), 'labels', labelDType ?? 'whole')
}
