// One column of a data set: rows of equal shape, in a typed array of this process or in a tensor.
import { type DType, DTypeError, tensor, type Tensor, ValueError } from '../index.js'
import { Ragged } from './ragged.js'
import { dtypeOf, flatten, isNumbers, type Nested, nestedShape, type Numbers, outsideInt32 } from './nested.js'

/** Rows that can be gathered into a tensor. */
export interface Column {
  /** How many rows. */
  readonly length: number
  /** The shape of one row. */
  readonly shape: readonly number[]
  readonly dtype: DType
  /** The chosen rows, as a tensor [indices.length, ...shape]. */
  gather(indices: Int32Array): Tensor
  /** All values in row-major order. */
  values(): Promise<Numbers>
}

/** Rows in a typed array. */
export class ArrayColumn implements Column {
  readonly length: number
  readonly shape: readonly number[]
  readonly dtype: DType
  readonly array: Numbers
  readonly #width: number

  constructor(array: Numbers, length: number, shape: readonly number[]) {
    this.array = array
    this.length = length
    this.shape = shape
    this.dtype = dtypeOf(array)
    this.#width = shape.reduce((size, d) => size * d, 1)
  }

  gather(indices: Int32Array): Tensor {
    const width = this.#width
    const target = new (this.array.constructor as new (length: number) => Numbers)(indices.length * width)
    for (let i = 0; i < indices.length; i++) {
      const from = (indices[i] as number) * width
      // A run of neighbouring rows is one copy.
      let rows = 1
      while (i + rows < indices.length && indices[i + rows] === (indices[i] as number) + rows) rows++
      target.set(this.array.subarray(from, from + rows * width) as never, i * width)
      i += rows - 1
    }
    return tensor(target, { shape: [indices.length, ...this.shape], dtype: this.dtype, transfer: true })
  }

  async values(): Promise<Numbers> {
    return this.array
  }
}

/** Rows of a tensor, which stays its owner's. */
export class TensorColumn implements Column {
  readonly length: number
  readonly shape: readonly number[]
  readonly dtype: DType
  readonly #tensor: Tensor

  constructor(rows: Tensor) {
    this.#tensor = rows
    this.length = rows.shape[0] ?? 0
    this.shape = rows.shape.slice(1)
    this.dtype = rows.dtype
  }

  gather(indices: Int32Array): Tensor {
    // The loader may ask from within other work's scope of time, so the tensor's life is looked at here, where the message can say whose it
    // is.
    if (this.#tensor.disposed)
      throw new ValueError('data: the tensor behind this data set was disposed of.\n  Keep it with keep(t), or give typed arrays.')
    return this.#tensor.indexSelect(0, tensor(indices.slice(), { transfer: true }))
  }

  async values(): Promise<Numbers> {
    return (await this.#tensor.data()) as Numbers
  }
}

/** What a column can be made of. */
export type ColumnSource = Tensor | Nested | Ragged

/** Whether a value is one of the library's tensors (no import of the class: it may not be loaded yet). */
export function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && 'dtype' in value && 'requiresGrad' in value
}

/**
 * Makes a column. A flat typed array needs `shape`, the shape of one row ([] when each number is a row); nested numbers become float32, or
 * int32 for whole numbers where `whole` asks for it and int32 holds them.
 */
export function toColumn(
  source: ColumnSource,
  what: string,
  { shape, whole = false }: { shape?: readonly number[] | undefined; whole?: boolean } = {},
): Column {
  if (source instanceof Ragged) return source
  if (isTensor(source)) {
    if (source.ndim === 0) throw new ValueError(`${what}: a tensor of no dimension has no rows.`)
    return new TensorColumn(source)
  }
  if (isNumbers(source)) {
    const row = shape ?? []
    const width = row.reduce((size, d) => size * d, 1)
    if (!Number.isInteger(source.length / width)) {
      throw new ValueError(
        `${what}: ${source.length} numbers are no whole number of rows of shape [${row.join(', ')}].\n  Give the shape of one row.`,
        { shapes: [row] },
      )
    }
    return new ArrayColumn(source, source.length / width, row)
  }
  if (!Array.isArray(source))
    throw new DTypeError(`${what}: arrays of numbers, typed arrays or tensors are wanted, not ${source === null ? 'null' : typeof source}.`)
  const found = nestedShape(source as Nested)
  const flat = flatten(source as Nested, found, what)
  const row = shape ?? found.slice(1)
  const rows =
    shape === undefined
      ? (found[0] as number)
      : flat.length /
        Math.max(
          1,
          row.reduce((size, d) => size * d, 1),
        )
  if (!Number.isInteger(rows))
    throw new ValueError(`${what}: ${flat.length} numbers are no whole number of rows of shape [${row.join(', ')}].`, { shapes: [row] })
  return new ArrayColumn(whole && outsideInt32(flat) < 0 ? Int32Array.from(flat) : Float32Array.from(flat), rows, row)
}
