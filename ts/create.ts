import { deviceCode } from './device.js'
import { type DType, dtypeCode, isFloat, RANGES } from './dtype.js'
import { DTypeError, ShapeError, ValueError } from './errors.js'
import { kindOf, noTensor } from './explain.js'
import { commands, native } from './native.js'
import { run } from './native/run.js'
import { checkOptions } from './options.js'
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

// The names of the interfaces above.
const CREATE_OPTIONS: { readonly [Name in keyof CreateOptions]-?: true } = { dtype: true, device: true, requiresGrad: true }
const RANDOM_OPTIONS: { readonly [Name in keyof RandomOptions]-?: true } = { ...CREATE_OPTIONS, generator: true }
const TENSOR_OPTIONS: { readonly [Name in keyof TensorOptions]-?: true } = { ...CREATE_OPTIONS, shape: true, transfer: true }

type Source = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array | Uint8ClampedArray | Int8Array
type Nested = number | boolean | bigint | readonly Nested[]

/**
 * A tensor of these values: a typed array (whose kind says the dtype), nested arrays, or one number. Numbers are float32, booleans bool and
 * bigints int64 unless `dtype` says otherwise. PyTorch: `torch.tensor`.
 * @throws ShapeError for ragged arrays or a shape that does not fit, DTypeError, ValueError
 * @example tensor([[1, 2], [3, 4]]), tensor(new Int32Array(6), { shape: [2, 3] })
 */
export function tensor<D extends DType = DType>(data: Source | Nested | NestedNumbers, options: TensorOptions<D> = {}): Tensor<D> {
  checkOptions('tensor', options, TENSOR_OPTIONS)
  const { dtype, device = 'cpu', requiresGrad = false } = options
  if (dtype !== undefined) dtypeCode(dtype, 'tensor')
  if (device !== 'cpu') deviceCode(device)
  const { values, shape, own } = ArrayBuffer.isView(data) ? typed(data as Source, dtype) : nested(data as Nested, dtype)
  const sizes = options.shape ?? shape
  if (sizes.some((size) => !Number.isInteger(size) || size < 0) || sizes.reduce((a, b) => a * b, 1) !== values.length) {
    throw new ShapeError(`tensor: ${values.length} values do not fill the shape [${sizes.join(', ')}].`, { op: 'tensor', shapes: [sizes] })
  }
  return finished(placed(values, sizes, own, dtype ?? own, device), requiresGrad) as Tensor<D>
}

/** Copies the values over, and brings them to their dtype and device. */
function placed(values: Source, shape: readonly number[], from: DType, to: DType, device: string): Tensor {
  const upload = (): Tensor => {
    commands[0] = dtypeCode(from)
    commands[1] = shape.length
    commands.set(shape, 2)
    native.upload(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
    return answer()
  }
  if (from === to && device === 'cpu') return upload()
  const scope = new Scope()
  try {
    const made = upload()
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

function typed(values: Source, dtype: DType | undefined): { values: Source; shape: number[]; own: DType } {
  const kind = KINDS.find(([constructor]) => values instanceof constructor)
  if (!kind) {
    throw new DTypeError(
      `tensor: a ${(values as object).constructor.name} has no dtype here. Use Float32Array, Float64Array, Int32Array, BigInt64Array, `
        + 'Uint8Array or Int8Array.',
      { op: 'tensor' },
    )
  }
  const [, own] = kind
  if (values.length === 0 && isDetached(values.buffer)) {
    throw new ValueError(
      `tensor: the ${kind[0].name} has no memory any more: it was given away, to tensor(..., { transfer: true }) or to a worker.\n`
        + '  Give a copy away instead: values.slice().',
      { op: 'tensor' },
    )
  }
  if (dtype !== undefined && dtype !== own) checkFit('tensor', values, dtype, [values.length])
  return { values, shape: [values.length], own }
}

/** `ArrayBuffer.detached` came with Node 22. */
function isDetached(buffer: ArrayBufferLike): boolean {
  try {
    void new Uint8Array(buffer)
    return false
  } catch {
    return true
  }
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
  if (kind === 'bigint') {
    // The array below would wrap around what is too large for it.
    checkFit('tensor', flat as bigint[], 'int64', shape)
    if (dtype !== undefined) checkFit('tensor', flat as bigint[], dtype, shape)
    return { values: BigInt64Array.from(flat as bigint[]), shape, own: 'int64' }
  }
  const numbers = flat as number[]
  if (dtype === undefined || dtype === 'float32') return { values: Float32Array.from(numbers), shape, own: 'float32' }
  checkFit('tensor', numbers, dtype, shape)
  // float64 holds every number exactly; the cast to the dtype wanted runs on the stream.
  return dtype === 'int32'
    ? { values: Int32Array.from(numbers), shape, own: 'int32' }
    : { values: Float64Array.from(numbers), shape, own: 'float64' }
}

/** Throws for the first value that an integer dtype cannot hold: a cast would truncate or saturate it in silence. */
function checkFit(op: string, values: ArrayLike<number | bigint>, dtype: DType, shape: readonly number[]): void {
  const range = RANGES[dtype]
  if (range === undefined) return
  const [low, high] = [Number(range[0]), Number(range[1])]
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    const whole = typeof value === 'bigint' ? value >= range[0] && value <= range[1] : Number.isSafeInteger(value) && value >= low && value <= high
    if (!whole) throw noFit(op, value, dtype, range, ` at [${placeOf(i, shape).join(', ')}]`)
  }
}

function noFit(op: string, value: number | bigint, dtype: DType, range: readonly [bigint, bigint], where = ''): ValueError {
  const fault = typeof value === 'number' && !Number.isInteger(value)
    ? `is no ${dtype}`
    : value >= range[0] && value <= range[1] ? 'is not exact as a number (write it as a bigint)' : `does not fit ${dtype}, which holds ${range[0]} to ${range[1]}`
  return new ValueError(`${op}: the value ${value}${where} ${fault}.\n  Round or clamp the values first, or choose another dtype.`, { op })
}

/** The indices of a flat position. */
function placeOf(position: number, shape: readonly number[]): number[] {
  const place: number[] = []
  for (let i = shape.length - 1, left = position; i >= 0; left = Math.floor(left / shape[i--]!)) place.unshift(left % shape[i]!)
  return place
}

/** Sizes travel as int32. */
const LARGEST_SIZE = 0x7fffffff
/** As in `crates/tensor`. */
const MOST_DIMENSIONS = 8

/** Throws unless `shape` is a list of sizes: what the user called is named, not the op underneath. */
function checkShape(op: string, shape: readonly number[]): void {
  if (!Array.isArray(shape)) {
    throw new ValueError(`${op}: takes the sizes as one array, as in ${op}([2, 3]), got ${kindOf(shape)}.`, { op })
  }
  if (shape.some((size) => !Number.isInteger(size) || size < 0)) {
    throw new ShapeError(`${op}: the shape [${shape.join(', ')}] has a size that is no whole number of at least 0.`, { op, shapes: [shape] })
  }
  if (shape.length > MOST_DIMENSIONS) {
    throw new ShapeError(`${op}: a tensor has at most ${MOST_DIMENSIONS} dimensions, got [${shape.join(', ')}]. Merge some of them.`, { op, shapes: [shape] })
  }
  if (shape.some((size) => size > LARGEST_SIZE)) {
    throw new ShapeError(`${op}: the shape [${shape.join(', ')}] has a size above ${LARGEST_SIZE}, the largest there is.`, { op, shapes: [shape] })
  }
}

function collect(data: unknown, shape: readonly number[], depth: number, into: (number | boolean | bigint)[]): void {
  if (depth === shape.length) {
    if (typeof data === 'number' || typeof data === 'boolean' || typeof data === 'bigint') into.push(data)
    else if (Array.isArray(data)) throw ragged(shape)
    else
      throw new ValueError(
        `tensor: takes numbers, booleans, bigints, arrays of them and typed arrays, got ${typeof data === 'object' ? kindOf(data) : typeof data}.${wayFor(data, depth)}`,
        { op: 'tensor' },
      )
    return
  }
  if (!Array.isArray(data) || data.length !== shape[depth]) throw ragged(shape)
  for (const item of data) collect(item, shape, depth + 1, into)
}

/** What those who gave tensors, or arrays of typed arrays, are looking for. */
function wayFor(data: unknown, depth: number): string {
  if (data instanceof Tensor) return depth === 0 ? '\n  Copy a tensor with x.clone().' : '\n  Join tensors with stack([a, b]), or along a dimension they have with concat([a, b]).'
  if (ArrayBuffer.isView(data)) return '\n  Join typed arrays with stack(rows.map((row) => tensor(row))), or give one array of all values: tensor(values, { shape: [rows, columns] }).'
  return ''
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

/**
 * A tensor of one value: float32 for a number and bool for true or false, unless `dtype` says otherwise. PyTorch: `torch.full`, whose whole
 * numbers are int64.
 * @throws ShapeError, DTypeError, ValueError for a value that an integer dtype does not hold
 */
export function full<D extends DType = 'float32'>(shape: readonly number[], value: number, options?: CreateOptions<D>): Tensor<D>
/** True or false everywhere; bool. @see full */
export function full<D extends DType = 'bool'>(shape: readonly number[], value: boolean, options?: CreateOptions<D>): Tensor<D>
export function full(shape: readonly number[], value: number | boolean, options: CreateOptions = {}): Tensor {
  return filled('full', shape, value, options, typeof value === 'boolean' ? 'bool' : 'float32')
}

/** Zeros. PyTorch: `torch.zeros`. @throws ShapeError, DTypeError */
export function zeros<D extends DType = 'float32'>(shape: readonly number[], options: CreateOptions<D> = {}): Tensor<D> {
  return filled('zeros', shape, 0, options)
}

/** Ones. PyTorch: `torch.ones`. @throws ShapeError, DTypeError */
export function ones<D extends DType = 'float32'>(shape: readonly number[], options: CreateOptions<D> = {}): Tensor<D> {
  return filled('ones', shape, 1, options)
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
  // Lists call with the place as well: tensors.map(zerosLike).
  if (typeof options === 'number') return filled(op, x.shape, value, { dtype: x.dtype, device: x.device })
  checkOptions(op, options, CREATE_OPTIONS)
  return filled(op, x.shape, value, { dtype: x.dtype, device: x.device, ...options })
}

function filled<D extends DType>(op: string, shape: readonly number[], value: number | boolean, options: CreateOptions<D>, usual: DType = 'float32'): Tensor<D> {
  checkShape(op, shape)
  if (typeof value !== 'number' && typeof value !== 'boolean') throw new ValueError(`${op}: the value is a number, got ${kindOf(value)}.`, { op })
  checkOptions(op, options, CREATE_OPTIONS)
  const { dtype = usual, device = 'cpu', requiresGrad } = options
  const code = dtypeCode(dtype, op)
  if (typeof value === 'number' && value !== 0 && value !== 1) checkValue(op, value, dtype)
  return finished(run.full(shape, code, Number(value), deviceCode(device)), requiresGrad) as Tensor<D>
}

/** As {@link checkFit}, for one number. */
function checkValue(op: string, value: number, dtype: DType): void {
  const range = RANGES[dtype]
  if (range !== undefined && !(Number.isSafeInteger(value) && value >= range[0] && value <= range[1])) throw noFit(op, value, dtype, range)
}

/**
 * start, start + step, ... before stop; int32 for whole numbers, else float32. With one number, 0 to it. PyTorch: `torch.arange`, whose
 * integers are int64.
 * @throws ValueError for a step of 0, and where an integer dtype does not hold all values
 */
export function arange<D extends DType = DType>(start: number, stop?: number, step = 1, options: CreateOptions<D> = {}): Tensor<D> {
  for (const argument of [start, stop, step]) {
    if (argument === undefined || typeof argument === 'number') continue
    throw new ValueError(`arange: start, stop and step are numbers, options come after them: arange(0, 10, 1, { dtype: 'float32' }); got ${kindOf(argument)}.`, { op: 'arange' })
  }
  checkOptions('arange', options, CREATE_OPTIONS)
  const [from, to] = stop === undefined ? [0, start] : [start, stop]
  if (!(step !== 0 && Number.isFinite(step) && Number.isFinite(from) && Number.isFinite(to))) {
    throw new ValueError(`arange: start ${from}, stop ${to} and step ${step} must be finite, and the step not 0.`, { op: 'arange' })
  }
  const dtype = options.dtype ?? (Number.isInteger(from) && Number.isInteger(step) ? 'int32' : 'float32')
  const code = dtypeCode(dtype, 'arange')
  const length = Math.max(0, Math.ceil((to - from) / step))
  if (length > 0) for (const value of [from, from + (length - 1) * step]) checkValue('arange', Number.isInteger(value) ? value : Math.trunc(value), dtype)
  return finished(run.arange(length, code, from, step, deviceCode(options.device ?? 'cpu')), options.requiresGrad) as Tensor<D>
}

/** `count` numbers from start to stop, both included, evenly apart. PyTorch: `torch.linspace`. @throws ValueError for a count that is none */
export function linspace<D extends DType = 'float32'>(start: number, stop: number, count: number, options: CreateOptions<D> = {}): Tensor<D> {
  if (!Number.isInteger(count) || count < 0)
    throw new ValueError(`linspace: the count is a whole number, got ${count}.`, { op: 'linspace' })
  checkOptions('linspace', options, CREATE_OPTIONS)
  const { dtype, device = 'cpu', requiresGrad } = options
  const step = count > 1 ? (stop - start) / (count - 1) : 0
  return finished(run.arange(count, dtypeCode(dtype ?? 'float32', 'linspace'), start, step, deviceCode(device)), requiresGrad) as Tensor<D>
}

/** The identity matrix, or its first columns. PyTorch: `torch.eye`. */
export function eye<D extends DType = 'float32'>(rows: number, columns: number = rows, options: CreateOptions<D> = {}): Tensor<D> {
  checkShape('eye', [rows, columns])
  checkOptions('eye', options, CREATE_OPTIONS)
  const { dtype, device = 'cpu', requiresGrad } = options
  return finished(run.eye(rows, columns, dtypeCode(dtype ?? 'float32', 'eye'), deviceCode(device)), requiresGrad) as Tensor<D>
}

/** Draws with a key of the generator; the meta device has shapes only and draws nothing. */
function drawn<D extends DType>(
  op: string,
  shape: readonly number[],
  options: RandomOptions<D>,
  fallback: DType,
  draw: (key: Tensor, dtype: number) => Tensor,
): Tensor<D> {
  checkShape(op, shape)
  checkOptions(op, options, RANDOM_OPTIONS)
  const { dtype, device = 'cpu', requiresGrad, generator } = options
  const code = dtypeCode(dtype ?? fallback, op)
  if (device !== 'cpu') return finished(run.full(shape, code, 0, deviceCode(device)), requiresGrad) as Tensor<D>
  const key = (generator ?? defaultGenerator()).key()
  const made = draw(key, code)
  key.dispose()
  return finished(made, requiresGrad) as Tensor<D>
}

/** Uniform in [0, 1). PyTorch: `torch.rand`. */
export function rand<D extends DType = 'float32'>(shape: readonly number[], options: RandomOptions<D> = {}): Tensor<D> {
  return drawn('rand', shape, options, 'float32', (key, dtype) => run.uniform(key, shape, dtype, 0, 1))
}

/** Normal with mean 0 and variance 1. PyTorch: `torch.randn`. */
export function randn<D extends DType = 'float32'>(shape: readonly number[], options: RandomOptions<D> = {}): Tensor<D> {
  return drawn('randn', shape, options, 'float32', (key, dtype) => run.normal(key, shape, dtype, 0, 1))
}

/** Whole numbers from low up to, not including, high; int32. PyTorch: `torch.randint`, which answers int64. */
export function randint<D extends DType = 'int32'>(
  low: number,
  high: number,
  shape: readonly number[],
  options: RandomOptions<D> = {},
): Tensor<D> {
  return drawn('randint', shape, options, 'int32', (key, dtype) => run.randint(key, shape, dtype, low, high))
}

/** 0 to n - 1 in random order; int32. PyTorch: `torch.randperm`, which answers int64. */
export function randperm<D extends DType = 'int32'>(n: number, options: RandomOptions<D> = {}): Tensor<D> {
  return drawn('randperm', [n], options, 'int32', (key, dtype) => {
    const order = run.permutation(key, n)
    if (dtype === dtypeCode('int32')) return order
    const cast = run.cast(order, dtype)
    order.dispose()
    return cast
  })
}
