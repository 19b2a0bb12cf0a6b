import { deviceCode } from './device.js'
import { type DType, dtypeCode, isDType, isFloat } from './dtype.js'
import { DTypeError, ShapeError, ValueError } from './errors.js'
import { noTensor } from './explain.js'
import { commands, native } from './native.js'
import { run } from './native/run.js'
import { defaultGenerator, type Generator } from './random.js'
import { Scope } from './scope.js'
import { answer, type NestedNumbers, Tensor } from './tensor.js'

/** Options of every function that makes a tensor. */
export interface CreateOptions<D extends DType = DType> {
  /** float32 where nothing else is said. */
  dtype?: D
  /** 'cpu', or 'meta' for a shape without values. */
  device?: string
  /** Gradients with respect to it are wanted. */
  requiresGrad?: boolean
}

/** Options of the random ones. */
export interface RandomOptions<D extends DType = DType> extends CreateOptions<D> {
  /** Where the numbers come from; `manualSeed` seeds the default. */
  generator?: Generator
}

/** Options of {@link tensor}. */
export interface TensorOptions<D extends DType = DType> extends CreateOptions<D> {
  /** The sizes; left out, those of the nested arrays, or one dimension. */
  shape?: readonly number[]
  /** Gives the typed array away: its memory may be taken over, and it must not be used again. Without it the values are copied. */
  transfer?: boolean
}

type Source = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array | Uint8ClampedArray | Int8Array
type Nested = number | boolean | bigint | readonly Nested[]

/**
 * A tensor of these values: a typed array (whose kind says the dtype), nested arrays, or one number. Numbers are float32, booleans bool and
 * bigints int64 unless `dtype` says otherwise. PyTorch: `torch.tensor`.
 * @throws ShapeError for ragged arrays or a shape that does not fit, DTypeError, ValueError
 * @example tensor([[1, 2], [3, 4]]), tensor(new Int32Array(6), { shape: [2, 3] })
 */
export function tensor<D extends DType = DType>(data: Source | Nested | NestedNumbers, options: TensorOptions<D> = {}): Tensor<D> {
  const { dtype, device = 'cpu', requiresGrad = false } = options
  if (dtype !== undefined && !isDType(dtype)) throw new DTypeError(`tensor: no dtype is called ${String(dtype)}.`, { op: 'tensor' })
  const { values, shape, own } = ArrayBuffer.isView(data) ? typed(data as Source) : nested(data as Nested, dtype)
  const sizes = options.shape ?? shape
  if (sizes.some((size) => !Number.isInteger(size) || size < 0) || sizes.reduce((a, b) => a * b, 1) !== values.length) {
    throw new ShapeError(`tensor: ${values.length} values do not fill the shape [${sizes.join(', ')}].`, { op: 'tensor', shapes: [sizes] })
  }
  return finished(placed(values, sizes, own, dtype ?? own, device), requiresGrad) as Tensor<D>
}

/** Copies the values over, and brings them to their dtype and device. */
function placed(values: Source, shape: readonly number[], from: DType, to: DType, device: string): Tensor {
  const scope = new Scope()
  try {
    commands[0] = dtypeCode(from)
    commands[1] = shape.length
    commands.set(shape, 2)
    native.upload(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    const made = answer()
    const cast = from === to ? made : run.cast(made, dtypeCode(to))
    return scope.keep(device === 'cpu' ? cast : cast.to(device))
  } finally {
    scope.abandon()
  }
}

const KINDS: readonly (readonly [new (...args: any[]) => Source, DType])[] = [
  [Float32Array, 'float32'],
  [Float64Array, 'float64'],
  [Int32Array, 'int32'],
  [BigInt64Array, 'int64'],
  [Uint8Array, 'uint8'],
  [Uint8ClampedArray, 'uint8'],
  [Int8Array, 'int8'],
]

function typed(values: Source): { values: Source; shape: number[]; own: DType } {
  const kind = KINDS.find(([constructor]) => values instanceof constructor)
  if (!kind) {
    throw new DTypeError(
      `tensor: a ${(values as object).constructor.name} has no dtype here. Use Float32Array, Float64Array, Int32Array, BigInt64Array, `
        + 'Uint8Array or Int8Array.',
      { op: 'tensor' },
    )
  }
  return { values, shape: [values.length], own: kind[1] }
}

/** Nested arrays, flattened, in a typed array from which their dtype can be made without loss. */
function nested(data: Nested, dtype: DType | undefined): { values: Source; shape: number[]; own: DType } {
  const shape: number[] = []
  for (let level: unknown = data; Array.isArray(level); level = level[0]) shape.push(level.length)
  const flat: (number | boolean | bigint)[] = []
  collect(data, shape, 0, flat)
  const kind = typeof flat[0]
  if (flat.some((value) => typeof value !== kind))
    throw new ValueError('tensor: numbers, booleans and bigints do not mix in one tensor.', { op: 'tensor' })
  if (kind === 'boolean') return { values: Uint8Array.from(flat as boolean[], Number), shape, own: 'bool' }
  if (kind === 'bigint') return { values: BigInt64Array.from(flat as bigint[]), shape, own: 'int64' }
  const numbers = flat as number[]
  if (dtype === undefined || dtype === 'float32') return { values: Float32Array.from(numbers), shape, own: 'float32' }
  if (!isFloat(dtype) && dtype !== 'bool' && numbers.some((value) => !Number.isSafeInteger(value))) {
    throw new ValueError(
      `tensor: ${numbers.find((value) => !Number.isSafeInteger(value))} is no ${dtype}. Round the values first, or choose a float dtype.`,
      { op: 'tensor' },
    )
  }
  // float64 holds every number exactly; the cast to the dtype wanted runs on the stream.
  return dtype === 'int32'
    ? { values: Int32Array.from(numbers), shape, own: 'int32' }
    : { values: Float64Array.from(numbers), shape, own: 'float64' }
}

function collect(data: unknown, shape: readonly number[], depth: number, into: (number | boolean | bigint)[]): void {
  if (depth === shape.length) {
    if (typeof data === 'number' || typeof data === 'boolean' || typeof data === 'bigint') into.push(data)
    else if (Array.isArray(data)) throw ragged(shape)
    else
      throw new ValueError(
        `tensor: takes numbers, booleans, bigints, arrays of them and typed arrays, got ${data === null ? 'null' : typeof data}.`,
        { op: 'tensor' },
      )
    return
  }
  if (!Array.isArray(data) || data.length !== shape[depth]) throw ragged(shape)
  for (const item of data) collect(item, shape, depth + 1, into)
}

function ragged(shape: readonly number[]): ShapeError {
  return new ShapeError(`tensor: nested arrays must all have one length a level; the first ones say [${shape.join(', ')}].`, {
    op: 'tensor',
    shapes: [shape],
  })
}

function finished<T extends Tensor>(made: T, requiresGrad: boolean | undefined): T {
  if (requiresGrad) made.requiresGrad = true
  return made
}

/** A tensor of one value. PyTorch: `torch.full`. */
export function full<D extends DType = 'float32'>(
  shape: readonly number[],
  value: number,
  { dtype, device = 'cpu', requiresGrad }: CreateOptions<D> = {},
): Tensor<D> {
  return finished(run.full(shape, dtypeCode(dtype ?? 'float32'), value, deviceCode(device)), requiresGrad) as Tensor<D>
}

/** Zeros. PyTorch: `torch.zeros`. */
export function zeros<D extends DType = 'float32'>(shape: readonly number[], options: CreateOptions<D> = {}): Tensor<D> {
  return full(shape, 0, options)
}

/** Ones. PyTorch: `torch.ones`. */
export function ones<D extends DType = 'float32'>(shape: readonly number[], options: CreateOptions<D> = {}): Tensor<D> {
  return full(shape, 1, options)
}

/** One value in the shape, dtype and device of x. PyTorch: `torch.full_like`. */
export function fullLike(x: Tensor, value: number, options: CreateOptions = {}): Tensor {
  return like('fullLike', x, value, options)
}

/** Zeros in the shape, dtype and device of x. PyTorch: `torch.zeros_like`. */
export function zerosLike(x: Tensor, options: CreateOptions = {}): Tensor {
  return like('zerosLike', x, 0, options)
}

/** Ones in the shape, dtype and device of x. PyTorch: `torch.ones_like`. */
export function onesLike(x: Tensor, options: CreateOptions = {}): Tensor {
  return like('onesLike', x, 1, options)
}

function like(op: string, x: Tensor, value: number, options: CreateOptions): Tensor {
  if (!(x instanceof Tensor)) throw noTensor(op, 'x', x)
  return full(x.shape, value, { dtype: x.dtype, device: x.device, ...options })
}

/**
 * start, start + step, ... before stop; int32 for whole numbers, else float32. With one number, 0 to it. PyTorch: `torch.arange`, whose
 * integers are int64.
 */
export function arange<D extends DType = DType>(start: number, stop?: number, step = 1, options: CreateOptions<D> = {}): Tensor<D> {
  const [from, to] = stop === undefined ? [0, start] : [start, stop]
  if (!(step !== 0 && Number.isFinite(step) && Number.isFinite(from) && Number.isFinite(to))) {
    throw new ValueError(`arange: start ${from}, stop ${to} and step ${step} must be finite, and the step not 0.`, { op: 'arange' })
  }
  const dtype = options.dtype ?? (Number.isInteger(from) && Number.isInteger(step) ? 'int32' : 'float32')
  const length = Math.max(0, Math.ceil((to - from) / step))
  return finished(run.arange(length, dtypeCode(dtype), from, step, deviceCode(options.device ?? 'cpu')), options.requiresGrad) as Tensor<D>
}

/** `count` numbers from start to stop, both included, evenly apart. PyTorch: `torch.linspace`. */
export function linspace<D extends DType = 'float32'>(
  start: number,
  stop: number,
  count: number,
  { dtype, device = 'cpu', requiresGrad }: CreateOptions<D> = {},
): Tensor<D> {
  if (!Number.isInteger(count) || count < 0)
    throw new ValueError(`linspace: the count is a whole number, got ${count}.`, { op: 'linspace' })
  const step = count > 1 ? (stop - start) / (count - 1) : 0
  return finished(run.arange(count, dtypeCode(dtype ?? 'float32'), start, step, deviceCode(device)), requiresGrad) as Tensor<D>
}

/** The identity matrix, or its first columns. PyTorch: `torch.eye`. */
export function eye<D extends DType = 'float32'>(
  rows: number,
  columns: number = rows,
  { dtype, device = 'cpu', requiresGrad }: CreateOptions<D> = {},
): Tensor<D> {
  return finished(run.eye(rows, columns, dtypeCode(dtype ?? 'float32'), deviceCode(device)), requiresGrad) as Tensor<D>
}

/** Draws with a key of the generator; the meta device has shapes only and draws nothing. */
function drawn<D extends DType>(
  shape: readonly number[],
  { dtype, device = 'cpu', requiresGrad, generator }: RandomOptions<D>,
  fallback: DType,
  draw: (key: Tensor, dtype: number) => Tensor,
): Tensor<D> {
  const code = dtypeCode(dtype ?? fallback)
  if (device !== 'cpu') return finished(run.full(shape, code, 0, deviceCode(device)), requiresGrad) as Tensor<D>
  const key = (generator ?? defaultGenerator()).key()
  const made = draw(key, code)
  key.dispose()
  return finished(made, requiresGrad) as Tensor<D>
}

/** Uniform in [0, 1). PyTorch: `torch.rand`. */
export function rand<D extends DType = 'float32'>(shape: readonly number[], options: RandomOptions<D> = {}): Tensor<D> {
  return drawn(shape, options, 'float32', (key, dtype) => run.uniform(key, shape, dtype, 0, 1))
}

/** Normal with mean 0 and variance 1. PyTorch: `torch.randn`. */
export function randn<D extends DType = 'float32'>(shape: readonly number[], options: RandomOptions<D> = {}): Tensor<D> {
  return drawn(shape, options, 'float32', (key, dtype) => run.normal(key, shape, dtype, 0, 1))
}

/** Whole numbers from low up to, not including, high; int32. PyTorch: `torch.randint`, which answers int64. */
export function randint<D extends DType = 'int32'>(
  low: number,
  high: number,
  shape: readonly number[],
  options: RandomOptions<D> = {},
): Tensor<D> {
  return drawn(shape, options, 'int32', (key, dtype) => run.randint(key, shape, dtype, low, high))
}

/** 0 to n - 1 in random order; int32. PyTorch: `torch.randperm`, which answers int64. */
export function randperm<D extends DType = 'int32'>(n: number, options: RandomOptions<D> = {}): Tensor<D> {
  return drawn([n], options, 'int32', (key, dtype) => {
    const order = run.permutation(key, n)
    if (dtype === dtypeCode('int32')) return order
    const cast = run.cast(order, dtype)
    order.dispose()
    return cast
  })
}
