// Rows of unequal length as one column: each batch is padded to its own longest row.
import { type DType, DTypeError, ShapeError, tensor, type Tensor, ValueError } from '../index.js'
import { kindOf, settle } from '../internal.js'
import type { Column } from './column.js'
import { dtypeOf, flatten, isNumbers, type Nested, nestedShape, type Numbers, outsideInt32 } from './nested.js'
import type { Normalisation } from './statistics.js'

/** Options of `ragged`. */
export interface RaggedOptions {
  /** The shape of one step, for typed arrays with several numbers a step. Default []: each number is a step. */
  stepShape?: readonly number[]
  /** The side that padding stands on ('right'). */
  padding?: 'left' | 'right'
  /** The side that is cut off a row longer than `maxLength` ('right'). */
  truncation?: 'left' | 'right'
  /** Steps of a row at most; no limit where left out. */
  maxLength?: number
  /** Batches are padded to a multiple of so many steps (1). Fewer lengths are fewer steps to compile. */
  multipleOf?: number
  /** What stands where a row has no step (0). */
  value?: number
  /** What nested numbers become ('float32'); typed arrays keep theirs. */
  dtype?: 'float32' | 'int32'
}

const DEFAULTS = {
  stepShape: undefined, padding: 'right', truncation: 'right', maxLength: undefined, multipleOf: 1, value: 0, dtype: 'float32',
} as const
const SIDES: readonly unknown[] = ['left', 'right']

/** Rows of unequal length, made by `ragged`: a column of a data set, whose batches are padded to their longest row. */
export class Ragged implements Column {
  /** How many rows. */
  readonly length: number
  /** Steps of the longest row, and the shape of one step. */
  readonly shape: readonly number[]
  /** That of the batches. */
  readonly dtype: DType
  /** Steps of each row, after truncation. */
  readonly lengths: Int32Array
  readonly #rows: readonly Numbers[]
  readonly #width: number
  readonly #options: Form
  readonly #normalisation: Normalisation | undefined

  /** @internal Use `ragged`. */
  constructor(rows: readonly Numbers[], stepShape: readonly number[], options: Form, normalisation?: Normalisation) {
    this.#rows = rows
    this.#options = options
    this.#normalisation = normalisation
    this.length = rows.length
    this.#width = stepShape.reduce((size, d) => size * d, 1)
    this.lengths = Int32Array.from(rows, (row) => row.length / this.#width)
    this.dtype = dtypeOf(rows[0] as Numbers)
    this.shape = [this.#padded(this.lengths), ...stepShape]
  }

  /** The chosen rows [indices.length, steps, ...step], padded to the longest of them; to one step where all are empty. */
  gather(indices: Int32Array): Tensor {
    const steps = this.#longest(indices)
    const values = this.#fill(indices, steps)
    const { mean, std } = this.#normalisation ?? {}
    if (mean !== undefined && std !== undefined) this.#normalise(values as Float32Array, indices, steps, mean, std)
    return tensor(values, { shape: [indices.length, steps, ...this.shape.slice(1)], dtype: this.dtype, transfer: true })
  }

  /**
   * How far each of the chosen rows reaches in a batch of them, int32 [indices.length]: to its last step, which with padding on the left is the batch's. Models
   * read so many steps; padding on the left is among them.
   */
  ends(indices: Int32Array): Int32Array {
    const steps = this.#longest(indices)
    return indices.map((index) => {
      const length = this.lengths[index] as number
      return length === 0 ? 0 : this.#start(index, steps) + length
    })
  }

  /** All values as they were given, each row padded to the longest. */
  async values(): Promise<Numbers> {
    return this.#fill(Int32Array.from(this.lengths, (_, i) => i), this.shape[0] as number)
  }

  /** The steps of the chosen rows one behind the other, without padding, as they were given. */
  steps(indices: Int32Array): Numbers {
    const rows = Array.from(indices, (index) => this.#rows[index] as Numbers)
    const joined = this.#array(rows.reduce((sum, row) => sum + row.length, 0))
    let at = 0
    for (const row of rows) {
      joined.set(row as never, at)
      at += row.length
    }
    return joined
  }

  /** The same rows, each batch of them with (x - mean) / std in the place of x; padding stays what it is. */
  withNormalisation(normalisation: Normalisation | undefined): Ragged {
    return new Ragged(this.#rows, this.shape.slice(1), this.#options, normalisation)
  }

  /** Steps of a batch of the chosen rows. */
  #longest(indices: Int32Array): number {
    return this.#padded(indices.length === this.length ? this.lengths : indices.map((index) => this.lengths[index] as number))
  }

  #padded(lengths: Int32Array): number {
    const { multipleOf, maxLength = Infinity } = this.#options
    const longest = lengths.reduce((most, count) => Math.max(most, count), 1)
    return Math.min(Math.ceil(longest / multipleOf) * multipleOf, maxLength)
  }

  #array(length: number): Numbers {
    return new ((this.#rows[0] as Numbers).constructor as new (length: number) => Numbers)(length)
  }

  /** Where a row's first step stands among `steps`. */
  #start(row: number, steps: number): number {
    return this.#options.padding === 'left' ? steps - (this.lengths[row] as number) : 0
  }

  #fill(indices: Int32Array, steps: number): Numbers {
    const { value } = this.#options
    const values = this.#array(indices.length * steps * this.#width)
    if (value !== 0) values.fill((values instanceof BigInt64Array ? BigInt(value) : value) as never)
    indices.forEach((index, i) => values.set(this.#rows[index] as never, (i * steps + this.#start(index, steps)) * this.#width))
    return values
  }

  #normalise(values: Float32Array, indices: Int32Array, steps: number, mean: readonly number[], std: readonly number[]): void {
    const channels = mean.length
    indices.forEach((index, i) => {
      const from = (i * steps + this.#start(index, steps)) * this.#width
      const to = from + (this.lengths[index] as number) * this.#width
      for (let at = from; at < to;) for (let c = 0; c < channels; c++, at++) values[at] = ((values[at] as number) - (mean[c] as number)) / (std[c] as number)
    })
  }
}

/** What a column needs to know of its options. */
interface Form {
  padding: 'left' | 'right'
  maxLength: number | undefined
  multipleOf: number
  value: number
}

/**
 * Rows of unequal length as inputs or labels of a data set: rows [T] or [T, ...] of numbers, T their own. A batch of them is padded to its longest row, and
 * `lengths`, int32 [N], comes beside: `{ features }` of a data set's inputs gives batches `{ features, lengths }`. They say how far each row reaches, behind
 * its last step: with padding on the left to the batch's end, and models read the padding, as those of Keras do without a mask. PyTorch: `pad_sequence`.
 *
 * ```js
 * const reviews = data.dataset({ inputs: { ids: data.ragged(await vectorizer.encodeRagged(texts)) }, labels })
 * const waves = data.ragged(recordings, { stepShape: [40] })     // Float32Arrays of 40 numbers a step
 * ```
 * @throws ValueError for no rows, rows that are no numbers, numbers that int32 does not hold and options that make no sense, ShapeError for a row that is no
 * whole number of steps
 */
export function ragged(rows: readonly Nested[], options: RaggedOptions = {}): Ragged {
  const { stepShape, padding, truncation, maxLength, multipleOf, value, dtype } = settle('ragged', options, DEFAULTS)
  for (const [name, side] of Object.entries({ padding, truncation }))
    if (!SIDES.includes(side)) throw new ValueError(`ragged: ${name} is 'left' or 'right', got ${JSON.stringify(side)}.`)
  for (const [name, count] of [['maxLength', maxLength ?? 1], ['multipleOf', multipleOf], ...(stepShape ?? []).map((d) => ['stepShape', d] as const)] as const)
    if (!Number.isInteger(count) || count < 1) throw new ValueError(`ragged: ${name} is given in positive integers, got ${String(count)}.`)
  if (dtype !== 'float32' && dtype !== 'int32') throw new ValueError(`ragged: dtype is 'float32' or 'int32', got ${JSON.stringify(dtype)}.`)
  if (!Array.isArray(rows) || rows.length === 0)
    throw new ValueError(`ragged: takes an array of rows, got ${Array.isArray(rows) ? 'none' : kindOf(rows)}.`)
  const step = stepShape ?? stepOf(rows)
  const width = step.reduce((size, d) => size * d, 1)
  const arrays = rows.map((row, i) => {
    const array = isNumbers(row) ? row : nested(row, i, step, dtype)
    if (array.constructor !== (isNumbers(rows[0]) ? rows[0].constructor : array.constructor))
      throw new DTypeError(`ragged: row ${i} is of another dtype than row 0: a ${array.constructor.name}.`)
    if (array.length % width !== 0)
      throw new ShapeError(`ragged: row ${i} has ${array.length} numbers, no whole number of steps of shape [${step.join(', ')}].`, { shapes: [[array.length], step] })
    const most = (maxLength ?? Infinity) * width
    return array.length <= most ? array : truncation === 'left' ? array.subarray(array.length - most) : array.subarray(0, most)
  })
  return new Ragged(arrays, step, { padding, maxLength, multipleOf, value })
}

/** The shape of a step, read from the first row that has one. */
function stepOf(rows: readonly Nested[]): number[] {
  const filled = rows.find((row) => typeof row === 'object' && row !== null && row.length > 0)
  return filled === undefined ? [] : nestedShape(filled).slice(1)
}

function nested(row: unknown, i: number, step: readonly number[], dtype: 'float32' | 'int32'): Numbers {
  if (!Array.isArray(row)) throw new ValueError(`ragged: row ${i} must be an array of numbers, got ${kindOf(row)}.\n  A tensor's numbers are await t.data(), with { stepShape }.`)
  const flat = flatten(row as Nested, [row.length, ...step], `ragged: row ${i}`)
  if (dtype === 'float32') return Float32Array.from(flat)
  const at = outsideInt32(flat)
  if (at >= 0)
    throw new ValueError(`ragged: row ${i} holds ${flat[at]}, which int32 does not.\n  Give whole numbers from -2^31 to 2^31 - 1, or leave out dtype for float32.`)
  return Int32Array.from(flat)
}
