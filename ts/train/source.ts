// What the trainer goes through: batches of training data, and inputs to predict.
import { data, noGrad, scope, stack, Tensor, ValueError } from '../index.js'

/** A tensor, or several by name for models that take a record. */
export type Inputs = data.Inputs
/** One batch: tensors with one row a sample. */
export type Batch = data.Batch
/** Batches by epoch, with a place that can be saved. */
export type Batches = data.DataLoader
/**
 * A `Dataset`, `{ inputs, labels }`, `[inputs, labels]`, `{ length, get(i) }`, a `DataLoader`, or an (async) iterable: of single samples
 * where `batchSize` is given, of whole batches where it is not. Labels may be class names: those of training number them, in validation and in
 * `evaluate` too.
 */
export type TrainingData = data.Source | data.DataLoader | readonly [inputs: data.ColumnSource, labels: data.ColumnSource]

/** How data becomes batches. */
export interface BatchOptions {
  /** Whose options these are. */
  owner: string
  /** What the user asked for. */
  batchSize: number | null | undefined
  shuffle?: boolean | undefined
  augment?: data.LoaderOptions['augment'] | undefined
  /** What stands for a batch size not asked for, where samples have numbers. Infinity: all in one. */
  usual: number
  /** Whether samples that have numbers are shuffled unasked. */
  shuffled?: boolean
  seed?: number
}

/** Batches of any training data. @throws ValueError for an option that the data cannot follow */
export function toBatches(source: TrainingData, { owner, batchSize, shuffle, augment, usual, shuffled = false, seed = 0 }: BatchOptions): Batches {
  const given = fromPair(source)
  if (given instanceof data.DataLoader) {
    const settings = { batchSize: batchSize ?? undefined, shuffle: shuffle === true ? true : undefined, augment }
    const names = Object.entries(settings).filter(([, value]) => value !== undefined).map(([name]) => name)
    if (names.length === 0) return given
    throw new ValueError(
      `${owner}: a DataLoader has its own options; ${names.join(', ')} would change nothing.\n` +
        `  Give ${names.join(', ')} where the DataLoader is made, or give ${owner} the data itself.`,
    )
  }
  // Of an array, too, batchSize says whether it holds samples.
  const stream = isIterable(given) && !(Array.isArray(given) && typeof batchSize === 'number')
  if (stream && usual === Infinity) refuseFullBatch(batchSize)
  const size = batchSize ?? (stream ? null : Number.isFinite(usual) ? usual : lengthOf(given))
  return data.loader(given, { batchSize: size, shuffle: shuffle ?? (shuffled && !stream), seed, ...(augment === undefined ? {} : { augment }) })
}

/** Whether data comes as a stream: of samples, or of batches. */
export function isIterable(source: object): source is Iterable<data.Sample | Batch> | AsyncIterable<data.Sample | Batch> {
  return typeof source === 'object' && source !== null && !(source instanceof Tensor || source instanceof data.DataLoader) && !ArrayBuffer.isView(source) && !('inputs' in source) && !('get' in source) && (Symbol.iterator in source || Symbol.asyncIterator in source)
}

/**
 * The first item of a stream, alone, and the stream with that item still to come; of other data both are the data itself. The first pass over
 * `whole` goes on with the iterator that was opened, as some sources give only one.
 */
export async function peek(source: TrainingData): Promise<{ first: TrainingData; whole: TrainingData }> {
  const given = fromPair(source)
  if (given instanceof data.DataLoader || Array.isArray(given) || !isIterable(given)) return { first: source, whole: source }
  const stream = given as AsyncIterable<data.Sample | Batch> | Iterable<data.Sample | Batch>
  const iterator = Symbol.asyncIterator in stream ? stream[Symbol.asyncIterator]() : stream[Symbol.iterator]()
  const first = await iterator.next()
  let opened = true
  async function* pass(): AsyncGenerator<data.Sample | Batch, void, undefined> {
    if (!opened) return yield* stream
    opened = false
    try {
      for (let item = first; item.done !== true; item = await iterator.next()) yield item.value
    } finally {
      await iterator.return?.()
    }
  }
  return { first: first.done === true ? [] : [first.value], whole: { [Symbol.asyncIterator]: pass } }
}

/** Training data without what is held out, and the validation data. */
export async function holdOut(
  source: TrainingData,
  validation: number | TrainingData | undefined,
  seed: number,
): Promise<{ training: TrainingData; validation: TrainingData | null }> {
  if (validation === undefined || validation === 0) return { training: source, validation: null }
  if (typeof validation !== 'number') return { training: source, validation }
  const given = fromPair(source)
  if (!(typeof given === 'object' && 'inputs' in given && 'labels' in given)) {
    throw new ValueError(
      'fit: a share for validation wants a data set in memory ({ inputs, labels }).\n' +
        '  Split other sources yourself and give validation its own data.',
    )
  }
  const parts = await data.split(given as data.DatasetSource, { validation, seed })
  return { training: parts.train, validation: parts.validation }
}

type Given = Exclude<TrainingData, readonly [unknown, unknown]>

/** `[inputs, labels]`, as Keras takes them side by side, as a record. */
export function fromPair(source: TrainingData): Given {
  if (!Array.isArray(source) || source.length !== 2 || (typeof source[0] === 'object' && source[0] !== null && 'labels' in source[0]))
    return source as Given
  return { inputs: source[0], labels: source[1] } as data.DatasetSource
}

function lengthOf(source: Given): number {
  if (source instanceof data.DataLoader) return source.samples
  if ('length' in source && typeof source.length === 'number') return source.length
  if ('inputs' in source && 'labels' in source) return data.dataset(source as data.DatasetSource).length
  throw new ValueError(unknownLength)
}

const unknownLength = 'GD: how many samples there are is not known.\n  Give batchSize, or a data set in memory.'

/** GD steps on all samples at once. */
function refuseFullBatch(batchSize: number | null | undefined): void {
  if (typeof batchSize !== 'number') throw new ValueError(unknownLength)
}

/** Samples in a batch. */
export function batchSizeOf({ inputs }: Batch): number {
  return rowsOf(inputs as Inputs)
}

function rowsOf(inputs: Inputs): number {
  const first = inputs instanceof Tensor ? inputs : Object.values(inputs)[0]
  return first?.shape[0] ?? 1
}

/** A batch held beyond its loader's reach. */
export interface Retained extends Batch {
  release(): void
}

/** Handles of one's own on a batch's tensors: the loader frees its own when the next batch is taken. */
export function retain({ inputs, labels }: Batch): Retained {
  const held: Tensor[] = []
  const hold = (value: unknown): unknown => {
    if (value instanceof Tensor) {
      const alias = value.detach()
      held.push(alias)
      return alias
    }
    return typeof value === 'object' && value !== null
      ? Object.fromEntries(Object.entries(value).map(([name, item]) => [name, hold(item)]))
      : value
  }
  return {
    inputs: hold(inputs),
    labels: hold(labels),
    release: () => {
      for (const alias of held) alias.dispose()
    },
  }
}

/** Samples at a time where nothing is learnt and nobody asked for a number. */
export const usualInference = 256

/** Inputs in batches; each is freed when the next is taken. */
export async function* inputBatches(source: unknown, asked: number | undefined): AsyncGenerator<Inputs, void, undefined> {
  const batchSize = asked ?? usualInference
  if (!(Number.isInteger(batchSize) && batchSize >= 1))
    throw new ValueError(`predict: batchSize is ${batchSize}; it must be a whole number of at least 1.`)
  if (source instanceof Tensor || isRecordOfTensors(source)) {
    yield* slices(source, batchSize)
  } else if (Array.isArray(source) && source.every((item) => item instanceof Tensor)) {
    // Single samples: stacked, a batch of them at a time.
    for (let at = 0; at < source.length; at += batchSize) {
      const batch = noGrad(() => stack(source.slice(at, at + batchSize) as Tensor[]))
      yield batch
      batch.dispose()
    }
  } else if (ArrayBuffer.isView(source)) {
    throw new ValueError(`predict: a ${source.constructor.name} does not say where its samples end.\n  Give tensor(x, { shape: [samples, ...] }).`)
  } else if (isNested(source)) {
    // A data set cuts its rows into batches; nobody looks at its labels.
    const rows = data.dataset({ inputs: source, labels: new Int32Array(source.length) })
    for await (const { inputs } of toBatches(rows, { owner: 'predict', batchSize: asked, usual: usualInference })) yield inputs as Inputs
  } else {
    const batches = toBatches(source as TrainingData, { owner: 'predict', batchSize: asked, usual: usualInference })
    for await (const { inputs } of batches) yield inputs as Inputs
  }
}

/** Whether these are rows of numbers: two of them are two samples, no pair of inputs and labels. */
function isNested(source: unknown): source is readonly data.Nested[] {
  return Array.isArray(source) && source.every((row) => typeof row === 'number' || typeof row === 'boolean' || Array.isArray(row) || ArrayBuffer.isView(row))
}

function* slices(inputs: Inputs, batchSize: number): Generator<Inputs, void, undefined> {
  const rows = rowsOf(inputs)
  for (let at = 0; at < rows; at += batchSize) {
    const part = (value: Tensor): Tensor => value.narrow(0, at, Math.min(batchSize, rows - at))
    const batch = noGrad(() =>
      scope(() =>
        inputs instanceof Tensor ? part(inputs) : Object.fromEntries(Object.entries(inputs).map(([name, value]) => [name, part(value)])),
      ),
    )
    yield batch
    for (const value of batch instanceof Tensor ? [batch] : Object.values(batch)) value.dispose()
  }
}

function isRecordOfTensors(source: unknown): source is Record<string, Tensor> {
  if (typeof source !== 'object' || source === null || Array.isArray(source)) return false
  const values = Object.values(source)
  return (
    values.length > 0 &&
    Object.getPrototypeOf(source) === Object.prototype &&
    !('labels' in source) &&
    values.every((value) => value instanceof Tensor)
  )
}
