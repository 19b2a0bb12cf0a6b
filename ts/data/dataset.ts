// Data in memory: inputs and labels, row by row.
import { noGrad, oneHot, scope, ShapeError, tensor, type Tensor, ValueError } from '../index.js'
import { checkOptions, persistent } from '../internal.js'
import { type Batch, type Inputs, tensorsOf } from './batch.js'
import { ArrayColumn, type Column, type ColumnSource, isTensor, toColumn } from './column.js'
import { Ragged } from './ragged.js'
import { type Columns, columnsOf, isRecord, sequencesOf } from './record.js'
import { checkLabels, namedLabels } from './labels.js'
import { type Numbers, outsideInt32, type PlainNumbers } from './nested.js'
import { range } from './random.js'
import type { Normalisation } from './statistics.js'

/** What `dataset` takes. */
export interface DatasetSource {
  /** One row a sample: nested numbers, a typed array with `inputShape`, a tensor, or a record of these. */
  inputs: ColumnSource | Record<string, ColumnSource>
  /** Class numbers, class names, one-hot rows or numbers to predict. */
  labels: ColumnSource | readonly string[]
  /** The shape of one sample, needed for flat typed arrays. */
  inputShape?: readonly number[] | undefined
  /** Class names by class number; class numbers are checked against them. */
  classes?: readonly string[] | undefined
  /** Inputs are multiplied by this when they become float: 1 / 255 for bytes of an image. */
  scale?: number | undefined
  /** Applied after `scale`. */
  normalisation?: Normalisation | undefined
}

interface Parts {
  inputs: Column | Columns
  labels: Column
  classes: readonly string[] | undefined
  scale: number | undefined
  normalisation: Normalisation | undefined
  indices: Int32Array | null
  oneHot: number | null
}

/**
 * Inputs and labels in memory. Images stay bytes until a batch of them is made; `inputs` and `labels` give all of them at once, as a model
 * takes them. Made by `dataset`, `digits`, `cifar10`, `mnist`, `imageFolder` and `split`; parts of it share their memory.
 */
export class Dataset {
  readonly #parts: Parts
  #inputs: Inputs | null = null
  #labels: Tensor | null = null
  /** The number of samples. */
  readonly length: number

  /** @internal Use `dataset`. */
  constructor(parts: Parts) {
    this.#parts = parts
    this.length = parts.indices?.length ?? parts.labels.length
  }

  /** Class names by class number, where they are known. */
  get classes(): readonly string[] | undefined {
    return this.#parts.classes
  }
  /** Mean and deviation that are taken out of the inputs, where `normalise` set them. */
  get normalisation(): Normalisation | undefined {
    return this.#parts.normalisation
  }
  /** What raw inputs are multiplied by when they become float. */
  get scale(): number {
    return this.#parts.scale ?? 1
  }
  /** The shape of one sample's input, by name for a record. */
  get inputShape(): readonly number[] | Record<string, readonly number[]> {
    const { inputs } = this.#parts
    return isColumn(inputs) ? inputs.shape : Object.fromEntries(Object.entries(inputs).map(([name, column]) => [name, column.shape]))
  }

  /** All inputs [length, ...inputShape], scaled and normalised. Made at the first use and kept until `dispose`. */
  get inputs(): any {
    if (this.#inputs === null || [...tensorsOf(this.#inputs)].some(({ disposed }) => disposed))
      this.#inputs = this.#hold(
        () => this.prepare({ inputs: this.#gatherInputs(this.#rows(range(this.length))), labels: null }).inputs as Inputs,
      )
    return this.#inputs
  }
  /** All labels: int32 [length] for class numbers, [length, classes] for one-hot. Made at the first use and kept until `dispose`. */
  get labels(): Tensor {
    if (this.#labels === null || this.#labels.disposed) this.#labels = this.#hold(() => this.#gatherLabels(this.#rows(range(this.length))))
    return this.#labels
  }

  /** All labels as plain numbers, row by row: class numbers, or the targets as they are. */
  async labelValues(): Promise<PlainNumbers> {
    const { labels, indices } = this.#parts
    return pick(plain(await labels.values()), indices, labels.shape)
  }
  /** All raw inputs, neither scaled nor normalised, row by row (of a record: the named column). */
  async inputValues(name?: string): Promise<PlainNumbers> {
    const { inputs, indices } = this.#parts
    const column = isColumn(inputs) ? inputs : inputs[name ?? '']
    if (column === undefined)
      throw new ValueError(`data: the inputs have no column '${name ?? ''}'. There are ${Object.keys(inputs).join(', ')}.`)
    return pick(plain(await column.values()), indices, column.shape)
  }

  /** Steps of each sample of the first `ragged` column of inputs; null where there is none. */
  get rowLengths(): Int32Array | null {
    const { inputs } = this.#parts
    const column = isColumn(inputs) ? undefined : Object.values(inputs).find((each) => each instanceof Ragged)
    if (column === undefined) return null
    const { lengths } = column as Ragged
    return Int32Array.from(this.#rows(range(this.length)), (row) => lengths[row] as number)
  }

  /** The steps of the one `ragged` column of floats without padding, one behind the other, as they were given, and the numbers that a step has. */
  stepValues(): { values: PlainNumbers; channels: number } {
    const { inputs } = this.#parts
    const [, column] = isColumn(inputs) ? [null, null] : sequencesOf(inputs, 'statistics')
    if (column === null) throw new ValueError('statistics: the inputs are no record with a column of data.ragged floats.')
    return { values: plain(column.steps(this.#rows(range(this.length)))), channels: channelsOf(column) }
  }

  /** The samples at `indices` as a batch ready for a model; the caller disposes of it. */
  batch(indices: Int32Array | readonly number[]): Batch {
    return this.#make(() => this.prepare(this.rawBatch(indices)))
  }

  /** The samples at `indices`, inputs neither scaled nor normalised: augmentation comes between this and `prepare`. */
  rawBatch(indices: Int32Array | readonly number[]): Batch {
    const rows = this.#rows(indices)
    return this.#make(() => ({ inputs: this.#gatherInputs(rows), labels: this.#gatherLabels(rows) }))
  }

  /** Scales and normalises the inputs of a raw batch. */
  prepare({ inputs, labels }: Batch): Batch {
    const { scale, normalisation } = this.#parts
    if ((scale === undefined && normalisation === undefined) || !isTensor(inputs)) return { inputs, labels }
    const x = inputs.dtype === 'float64' ? inputs : inputs.to('float32')
    if (normalisation === undefined) return { inputs: x.mul(scale ?? 1), labels }
    // (scale x - mean) / std, as one product and one sum.
    const factor = normalisation.std.map((std) => (scale ?? 1) / std)
    const offset = normalisation.mean.map((mean, i) => -mean / (normalisation.std[i] as number))
    return { inputs: x.mul(tensor(factor, { dtype: x.dtype })).add(tensor(offset, { dtype: x.dtype })), labels }
  }

  /** The samples at `indices`, in that order, as a data set of their own. */
  subset(indices: Int32Array | readonly number[]): Dataset {
    if (indices.length === 0) throw new ValueError('data: a part without samples. Give at least one index.')
    return new Dataset({ ...this.#parts, indices: this.#rows(indices) })
  }

  /** The same data with one-hot labels [length, classes], as losses on probabilities in Keras' manner take them. */
  oneHot(classes: number | undefined = this.#parts.classes?.length): Dataset {
    const { labels } = this.#parts
    if (this.#parts.oneHot === classes && classes !== undefined) return this
    if (labels.shape.length > 0 || labels.dtype === 'float32' || labels.dtype === 'float64')
      throw new ValueError('oneHot: the labels are no class numbers.', { shapes: [labels.shape] })
    if (classes === undefined) throw new ValueError('oneHot: how many classes there are is not known.\n  Write oneHot(10).')
    if (labels instanceof ArrayColumn) checkLabels(labels.array, classes)
    return new Dataset({ ...this.#parts, oneHot: classes })
  }

  /** The same data with other statistics taken out. */
  withNormalisation(normalisation: Normalisation | undefined): Dataset {
    const { inputs } = this.#parts
    if (normalisation === undefined) return new Dataset({ ...this.#parts, inputs: raw(inputs), normalisation })
    const [name, column] = isColumn(inputs) ? [null, inputs] : sequencesOf(inputs, 'normalisation')
    const { mean, std } = normalisation
    const channels = channelsOf(column)
    if (mean.length !== std.length || (mean.length !== channels && mean.length !== 1)) {
      throw new ShapeError(
        `normalisation: ${mean.length} means and ${std.length} deviations do not fit inputs of shape [${column.shape.join(', ')}].\n` +
          `  Give one for each of the ${channels} channels.`,
      )
    }
    if (!std.every((value) => value > 0 && Number.isFinite(value)) || !mean.every(Number.isFinite))
      throw new ValueError('normalisation: means must be finite and deviations above 0.')
    // Padding is no value of a sequence and stays as it is: the column itself takes the statistics out.
    const taken = name === null ? inputs : { ...inputs, [name]: (column as Ragged).withNormalisation(normalisation) } as Columns
    return new Dataset({ ...this.#parts, inputs: taken, normalisation })
  }

  /** Whether the labels are class numbers (one-hot or not). */
  get isClassification(): boolean {
    const { labels } = this.#parts
    return labels.shape.length === 0 && labels.dtype !== 'float32' && labels.dtype !== 'float64'
  }

  /** Frees the tensors made by `inputs` and `labels`; they are made again when asked for. */
  dispose(): void {
    for (const value of [...tensorsOf(this.#inputs ?? {}), ...(this.#labels === null ? [] : [this.#labels])]) value.dispose()
    this.#inputs = this.#labels = null
  }

  #gatherInputs(rows: Int32Array): Inputs {
    const { inputs } = this.#parts
    return isColumn(inputs)
      ? inputs.gather(rows)
      : Object.fromEntries(Object.entries(inputs).map(([name, column]) => [name, column.gather(rows)]))
  }

  #gatherLabels(rows: Int32Array): Tensor {
    const { labels, oneHot: classes } = this.#parts
    return classes === null ? labels.gather(rows) : oneHot(labels.gather(rows), classes)
  }

  /** Runs `make`; what it makes on the way is freed. */
  #make<T>(make: () => T): T {
    return noGrad(() => scope(make))
  }

  /** As `#make`; what it gives outlives every scope, and is meant to. */
  #hold<T>(make: () => T): T {
    return persistent(() => this.#make(make))
  }

  #rows(indices: Int32Array | readonly number[]): Int32Array {
    const own = this.#parts.indices
    return Int32Array.from(indices, (index) => {
      if (!Number.isInteger(index) || index < 0 || index >= this.length)
        throw new ValueError(`data: there is no sample ${index}; they are 0 to ${this.length - 1}.`)
      return own === null ? index : (own[index] as number)
    })
  }
}

/**
 * Makes a data set of arrays, typed arrays or tensors; a `Dataset` is given back as it is.
 *
 * ```js
 * const points = data.dataset({ inputs: [[0, 0], [0, 1], [1, 0], [1, 1]], labels: [0, 1, 1, 0], classes: ['same', 'different'] })
 * ```
 * @throws ValueError for empty data or bad labels, ShapeError for unequal lengths or ragged rows
 */
export function dataset(source: DatasetSource | Dataset): Dataset {
  if (source instanceof Dataset) return source
  checkOptions('data', source, { inputs: null, labels: null, inputShape: null, classes: null, scale: null, normalisation: null })
  const { inputs: given, scale, normalisation, inputShape } = source
  if (given === undefined || source.labels === undefined) throw new ValueError('data: a data set has { inputs, labels }.')
  if (given instanceof Ragged) throw new ValueError('data: rows of unequal length go with their lengths.\n  Give them a name, which the model reads them by: inputs: { features: data.ragged(rows) }.')
  const inputs = isRecord(given) ? columnsOf(given) : toColumn(given as ColumnSource, 'inputs', { shape: inputShape })
  const { values, classes } = namedLabels(source.labels, source.classes)
  const labels = classNumbers(toColumn(values, 'labels', { whole: true }))
  const lengths = isColumn(inputs)
    ? { inputs: inputs.length }
    : Object.fromEntries(Object.entries(inputs).map(([name, { length }]) => [`inputs.${name}`, length]))
  for (const [name, length] of Object.entries(lengths)) {
    if (length === 0 && labels.length === 0) throw new ValueError(`data: ${name} and labels are empty. Give at least one sample.`)
    if (length !== labels.length)
      throw new ShapeError(`data: ${name} has ${length} samples, labels has ${labels.length}.\n  Each sample needs its label.`, {
        shapes: [[length], [labels.length]],
      })
  }
  if (labels instanceof ArrayColumn) checkLabels(labels.array, labels.shape.length === 0 ? classes?.length : undefined)
  const made = new Dataset({ inputs, labels, classes, scale, normalisation: undefined, indices: null, oneHot: null })
  return normalisation === undefined ? made : made.withNormalisation(normalisation)
}

/** Bytes and 64-bit integers as labels mean class numbers, which are int32 here. */
function classNumbers(labels: Column): Column {
  if (!(labels instanceof ArrayColumn) || labels.shape.length > 0 || labels.dtype === 'int32' || labels.dtype.startsWith('float'))
    return labels
  const at = outsideInt32(labels.array)
  if (at >= 0) throw new ValueError(`labels: sample ${at} has the label ${labels.array[at]}; class numbers are int32, at most 2^31 - 1.\n  Numbers to predict are given as floats.`)
  return new ArrayColumn(Int32Array.from(labels.array as Uint8Array, Number), labels.length, labels.shape)
}

function isColumn(value: Column | Record<string, Column>): value is Column {
  return typeof (value as Partial<Column>).gather === 'function'
}

/** Numbers of the last dimension, which statistics are of; of rows of numbers that have no step of their own, one. */
function channelsOf(column: Column): number {
  return column instanceof Ragged && column.shape.length === 1 ? 1 : (column.shape.at(-1) ?? 1)
}

/** Columns without statistics taken out. */
function raw(inputs: Column | Columns): Column | Columns {
  if (isColumn(inputs)) return inputs
  return Object.fromEntries(Object.entries(inputs).map(([name, column]) => [name, column instanceof Ragged ? column.withNormalisation(undefined) : column]))
}

/** 64-bit integers as float64, which holds those up to 2^53. */
function plain(values: Numbers): PlainNumbers {
  return values instanceof BigInt64Array ? Float64Array.from(values, Number) : values
}

function pick(values: PlainNumbers, indices: Int32Array | null, shape: readonly number[]): PlainNumbers {
  if (indices === null) return values
  const width = shape.reduce((size, d) => size * d, 1)
  const target = new (values.constructor as new (length: number) => PlainNumbers)(indices.length * width)
  indices.forEach((index, i) => target.set(values.subarray(index * width, (index + 1) * width) as never, i * width))
  return target
}
