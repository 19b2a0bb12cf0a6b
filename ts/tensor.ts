import { captureContext } from './context.js'
import { inspect } from 'node:util'
import { arrayFor, byteSize, DTYPES, type DType, type FloatDType, isFloat, type TypedArray } from './dtype.js'
import { calledAs, DeviceError, DisposedError, DTypeError, OutOfMemoryError, ShapeError, ValueError } from './errors.js'
import type { GraphNode } from './graph.js'
import { warn } from './log.js'
import { check, commands, completion, free, native } from './native.js'
import type { RowGradient } from './row-gradient.js'
import { currentScope, isDeliberate, ownPromise, type Scope } from './scope.js'
import { show } from './show.js'
import type { Methods } from './methods.js'

/** Devices by code, as in the addon. */
export const DEVICES: readonly string[] = ['cpu', 'meta']

/** What `data()` gives for a dtype. */
export type DataOf<D extends DType> = D extends 'float64' ? Float64Array : D extends 'int64' ? BigInt64Array : D extends 'int32' ? Int32Array
  : D extends 'int8' ? Int8Array : D extends 'uint8' | 'bool' ? Uint8Array : D extends FloatDType ? Float32Array : TypedArray
export type NestedNumbers = number | boolean | NestedNumbers[]

// The engine and the ops stand above this file; they put themselves in here when they load.
export const late: {
  backward: (root: Tensor, gradient: Tensor | BackwardOptions | null | undefined, options: BackwardOptions | undefined) => void
  cast: (x: Tensor, dtype: DType) => Tensor
  move: (x: Tensor, device: string) => Tensor
  alias: (x: Tensor) => Tensor
} = {
  backward: () => {}, cast: (x) => x, move: (x) => x, alias: (x) => x,
}

/** @internal A handle and how many hold it. */
export interface Lease { readonly slot: number; readonly generation: number; references: number }

/** Options of `Tensor.backward`. */
export interface BackwardOptions {
  /** Keeps the graph for a further backward pass. */
  retainGraph?: boolean
  /** Records the gradients themselves, for second derivatives. */
  createGraph?: boolean
}

/** Freed by what took their place in `.grad`; the error on their use says so. (A field would be paid for by every tensor.) */
const freedGradients = new WeakSet<Tensor>()

/**
 * A multi-dimensional array of one dtype, on a device. It is immutable but for `assign_`-type ops. Calling an op returns at once; the
 * arithmetic runs on the library's threads, and only `await t.data()`, `item()` and the like wait for it.
 *
 * It lives until its `scope` closes, `dispose()` is called, or, made outside any scope, the garbage collector finds it.
 */
export class Tensor<D extends DType = DType> {
  /** @internal */ _slot: number
  /** @internal */ readonly _generation: number
  /** @internal */ readonly _code: number
  /** @internal */ readonly _device: number
  /** The sizes, outermost dimension first; [] for a single number. PyTorch: `Tensor.shape`. */
  readonly shape: readonly number[]
  /** @internal The tensor whose storage this one is a view of; itself for all others. */
  _base: Tensor
  /** @internal Raised by each in-place change; of `_base` alone. */
  _version = 0
  /** @internal Shared with other workers: not to be changed; of `_base` alone. */
  _frozen = false
  /** @internal The op that made it, where gradients flow. */
  _node: GraphNode | null = null
  /** @internal */ _scope: Scope | null = null
  #references = 1
  #leased: Lease | null = null
  /** The slot while only the tape holds the tensor. */
  #hidden = -1
  #requiresGrad = false
  #grad: Tensor | RowGradient | null = null
  #hooks: ((gradient: Tensor) => Tensor | void)[] | null = null

  /** @internal Tensors come from `tensor`, `zeros` and the like, or from ops. */
  constructor(slot: number, generation: number, code: number, device: number, shape: readonly number[]) {
    this._slot = slot
    this._generation = generation
    this._code = code
    this._device = device
    this.shape = shape
    this._base = this
    if (bare) return
    if (currentScope !== null) currentScope.add(this)
    else registerUnscoped(this)
  }

  /** The element type. PyTorch: `Tensor.dtype`. */
  get dtype(): D {
    return DTYPES[this._code] as D
  }
  /** 'cpu', or 'meta' for a tensor that has only a shape. */
  get device(): string {
    return DEVICES[this._device]!
  }
  /** The number of dimensions. */
  get ndim(): number {
    return this.shape.length
  }
  /** The number of elements. */
  get size(): number {
    let size = 1
    for (const d of this.shape) size *= d
    return size
  }
  /** Bytes of the elements. */
  get byteLength(): number {
    return this.size * byteSize(this.dtype)
  }

  /** True where gradients reach this tensor. Settable on leaves of a floating dtype. */
  get requiresGrad(): boolean {
    return this._node !== null || this.#requiresGrad
  }
  set requiresGrad(flag: boolean) {
    if (this._node !== null) {
      if (flag) return
      throw new ValueError('requiresGrad: only leaves can be frozen; this tensor was computed. Use detach() for a copy that no gradient reaches.')
    }
    if (flag && !isFloat(this.dtype)) throw new DTypeError(`requiresGrad: only floating dtypes have gradients, this is ${this.dtype}. Convert it with .to('float32').`)
    this.#requiresGrad = flag
  }
  /** True for a tensor that was not computed from others that need gradients. */
  get isLeaf(): boolean {
    return this._node === null
  }
  /**
   * What `backward` summed up here; null before, and after `zeroGrad`. The tensor belongs to its owner: `zeroGrad()`, the next `backward()`
   * and an assignment free it, so that no training loop piles them up. Keep `p.grad.clone()` for later (PyTorch leaves it to whoever holds it).
   */
  get grad(): Tensor | null {
    const grad = this._gradient
    if (grad === null || grad instanceof Tensor) return grad
    this.#grad = grad.dense()
    grad.dispose()
    return this.#grad
  }
  /** @internal `grad` as it was computed, which may be rows alone. */
  get _gradient(): Tensor | RowGradient | null {
    captureContext()?.touchGradient(this, true)
    return this.#grad
  }
  set grad(value: Tensor | null) {
    captureContext()?.touchGradient(this, false)
    if (value !== null && !(value instanceof Tensor)) throw new ValueError('grad: takes a tensor or null.', { op: 'grad' })
    if (value !== null && !(value.shape.length === this.shape.length && value.shape.every((d, i) => d === this.shape[i]))) {
      throw new ShapeError(`grad: a gradient has its tensor's shape [${this.shape.join(', ')}], got [${value.shape.join(', ')}].`, { shapes: [this.shape, value.shape] })
    }
    if (value !== null && value._code !== this._code) {
      throw new DTypeError(`grad: a gradient has its tensor's dtype ${this.dtype}, got ${value.dtype}. Convert it with .to('${this.dtype}').`, { op: 'grad' })
    }
    const before = this.#grad
    this.#grad = value
    if (before === null || before === value) return
    if (before instanceof Tensor) freedGradients.add(before)
    before.dispose()
  }
  /** @internal Replaces the gradient without freeing the one before. */
  _swapGrad(value: Tensor | RowGradient | null): Tensor | RowGradient | null {
    const before = this.#grad
    this.#grad = value
    return before
  }

  /** Runs `hook` on the gradient when it is computed; what it returns takes the gradient's place. Answers with the function that removes it. */
  registerHook(hook: (gradient: Tensor) => Tensor | void): () => void {
    if (typeof hook !== 'function') throw new ValueError(`registerHook: takes a function of the gradient, got ${hook === null ? 'null' : typeof hook}.`, { op: 'registerHook' })
    if (!this.requiresGrad) throw new ValueError('registerHook: no gradient reaches this tensor. Set requiresGrad, or compute it from a tensor that has it.')
    const list = this._node === null ? (this.#hooks ??= []) : (this._node.hooks ??= [])
    list.push(hook)
    return () => {
      const at = list.indexOf(hook)
      if (at >= 0) list.splice(at, 1)
    }
  }
  /** @internal */
  get _hooks(): readonly ((gradient: Tensor) => Tensor | void)[] | null {
    return this._node === null ? this.#hooks : this._node.hooks
  }
  /** Keeps the gradient of a computed tensor in `.grad`, as for leaves. */
  retainGrad(): this {
    if (this._node !== null) this._node.retainsGrad = true
    return this
  }

  /**
   * Computes the gradients of everything this tensor was computed from, and adds them to `.grad` of the leaves. `gradient` is that of this tensor, in its
   * shape; a tensor of one element needs none. The graph is freed, unless the options keep it. PyTorch: `Tensor.backward`.
   * @throws NoGradientError, ShapeError, ValueError for an unknown option
   * @example loss.backward(), y.backward(dy), loss.backward({ retainGraph: true })
   */
  backward(options?: BackwardOptions): void
  /** From the gradient of this tensor, in its shape; null or undefined for a tensor of one element. @see backward */
  backward(gradient: Tensor | null | undefined, options?: BackwardOptions): void
  backward(gradient?: Tensor | BackwardOptions | null, options?: BackwardOptions): void {
    late.backward(this, gradient, options)
  }
  /** The same values, cut off from the graph. Shares the storage. */
  detach(): Tensor<D> {
    return late.alias(this) as Tensor<D>
  }
  /** Cast to a dtype, or moved to a device ('cpu', 'meta'). Itself where nothing changes. */
  to<E extends DType>(dtype: E): Tensor<E>
  /** Moved to a device ('cpu', 'meta'), or cast to a dtype known only when it runs. @throws DeviceError for a name that is neither */
  to(deviceOrDtype: string): Tensor<D>
  to(target: string): Tensor {
    if (target === this.dtype || target === this.device) return this
    return (DTYPES as readonly string[]).includes(target) ? late.cast(this, target as DType) : late.move(this, target)
  }

  /** The values, in stream order: a snapshot that later changes do not touch. float16 and bfloat16 come as float32, bool as 0 and 1. */
  data(): Promise<DataOf<D>> {
    const source = this.#readable('data')
    const target = arrayOf('data', source)
    native.read(source._slot, source._generation, bytesOf(target))
    return ownPromise(completion().then(() => target as DataOf<D>))
  }
  /** As `data`, but blocks the thread until the values are there. */
  dataSync(): DataOf<D> {
    const source = this.#readable('dataSync')
    const target = arrayOf('dataSync', source)
    native.readSync(source._slot, source._generation, bytesOf(target))
    check()
    return target as DataOf<D>
  }
  /**
   * The single value; 0 or 1 for dtype bool. PyTorch: `Tensor.item`.
   * @throws ShapeError for more than one element, ValueError for an int64 value beyond 2^53, which no number holds: read `data()`
   */
  item(): Promise<number> {
    this.#single('item')
    return ownPromise(calledAs('item', 'data', () => this.data()).then((values) => exact('item', values[0]!)))
  }
  /** As `item`, but blocks the thread. */
  itemSync(): number {
    this.#single('itemSync')
    return exact('itemSync', calledAs('itemSync', 'dataSync', () => this.dataSync())[0]!)
  }
  /**
   * The values as nested arrays; of bools for dtype bool. PyTorch: `Tensor.tolist`.
   * @throws ValueError for an int64 value beyond 2^53, which no number holds: read `data()`
   */
  tolist(): Promise<NestedNumbers> {
    const { shape, dtype } = this
    return ownPromise(calledAs('tolist', 'data', () => this.data()).then((values) => nest(values, shape, dtype)))
  }

  /** Float16 and bfloat16 are read as float32, which holds each of their values. */
  #readable(op: string): Tensor {
    if (this.device === 'meta') throw new DeviceError(`${op}: a tensor on the meta device has a shape but no values. Run the model on the cpu.`, { op })
    if (this.disposed && freedGradients.has(this))
      throw new DisposedError(`${op}: this gradient [${this.shape.join(', ')}] was freed by zeroGrad(), the next backward() or another value for .grad. Keep a copy: p.grad.clone().`, { op })
    if (this.disposed) throw new DisposedError(`${op}: the tensor [${this.shape.join(', ')}] was disposed of, or its scope has closed. Keep it with keep(t), or return it from the scope; of a loader's batch, which goes when the next is taken, keep inputs.clone().`, { op })
    return this.dtype === 'float16' || this.dtype === 'bfloat16' ? late.cast(this, 'float32') : this
  }
  #single(op: string): void {
    if (this.size !== 1) throw new ShapeError(`${op}: takes a tensor of one element, got [${this.shape.join(', ')}]. Use data() for all values.`, { op, shapes: [this.shape] })
  }

  /** True after `dispose()`, and after the scope that held it has closed. */
  get disposed(): boolean {
    return this._slot < 0
  }
  /** Frees the tensor now. A graph that needs its values keeps them until `backward`. */
  dispose(): void {
    if (this._slot < 0) return
    this.#hidden = this._slot
    this._slot = -1
    unregister(this)
    this._release()
  }
  [Symbol.dispose](): void {
    this.dispose()
  }
  /** @internal */
  _dropFromScope(): void {
    this._scope = null
    if (this._slot < 0) return
    this.#hidden = this._slot
    this._slot = -1
    this._release()
  }
  /** @internal From now on the garbage collector's, and meant to be. */
  _leaveScope(): this {
    if (this._scope === null) unregister(this)
    this._scope = null
    registerUnscoped(this, true)
    return this
  }
  /** @internal */
  _retain(): void {
    if (this.#leased === null) this.#references++
    else this.#leased.references++
  }
  /** @internal */
  _release(): void {
    const left = this.#leased === null ? --this.#references : --this.#leased.references
    if (left > 0) return
    const slot = this._slot < 0 ? this.#hidden : this._slot
    this.#hidden = -1
    if (slot >= 0) free(slot, this._generation)
  }
  /** @internal The references counted apart from the tensor, so that they can be given back when it is gone. */
  _lease(): Lease {
    return (this.#leased ??= { slot: this._slot < 0 ? this.#hidden : this._slot, generation: this._generation, references: this.#references })
  }
  /** @internal This tensor, or a stand-in for one that only the tape still holds. */
  _revive(): Tensor {
    if (this._slot >= 0) return this
    bare = true
    const stand = new Tensor(this.#hidden, this._generation, this._code, this._device, this.shape)
    bare = false
    stand._base = this._base
    stand._node = this._node
    return stand
  }

  toString(): string {
    return `tensor(${this.dtype} [${this.shape.join(', ')}])`
  }
  [Symbol.toPrimitive](): never {
    throw new ValueError('a tensor is no number: use `await t.item()` for its value, and t.add(u), t.lt(u) ... instead of operators.')
  }
  toJSON(): never {
    throw new ValueError('a tensor does not turn into JSON by itself: use `await t.tolist()`.')
  }
}

// console.log prints like PyTorch, and never throws.
Object.defineProperty(Tensor.prototype, inspect.custom, { value(this: Tensor) { return show(this) } })

// Every op is a method with the tensor as its first argument; `ops/index.ts` puts them on the prototype.
export interface Tensor<D extends DType> extends Methods<D> {}

/** A tensor that a module trains. It requires gradients and belongs to no scope. */
export class Parameter<D extends FloatDType = FloatDType> extends Tensor<D> {
  /** True once `Module.to` has put another tensor in its place: an optimizer that still holds this one trains nothing. */
  _replaced = false

  /** Takes over `source`'s values; `source` itself is used up. */
  constructor(source: Tensor<D>, requiresGrad = true) {
    const owned = takeOver(source)
    super(owned.slot, owned.generation, source._code, source._device, source.shape)
    this._leaveScope()
    this.requiresGrad = requiresGrad
  }
}

/** The handle of an alias of `source`, which may go on living or die with its scope. */
function takeOver(source: Tensor): { slot: number; generation: number } {
  const alias = late.alias(source)
  const slot = alias._slot
  alias._scope = null
  unregister(alias)
  alias._slot = -1
  return { slot, generation: alias._generation }
}


/** Set while a stand-in is made, whose handle belongs to another tensor. */
let bare = false

const buffers = new WeakSet<Tensor>()
/** Marks a tensor as a module's buffer: state that is saved but not trained, as running statistics are. It leaves its scope. */
export function buffer<T extends Tensor>(tensor: T): T {
  if (!(tensor instanceof Tensor)) throw new ValueError(`buffer: takes a tensor, got ${tensor === null ? 'null' : typeof tensor}. Make one with tensor(...).`)
  buffers.add(tensor)
  return tensor._leaveScope()
}
/** Whether `buffer` marked the tensor as a module's state. */
export function isBuffer(tensor: Tensor): boolean {
  return buffers.has(tensor)
}

/** The one tensor that the last call answered with. */
export function answer(): Tensor {
  check()
  return at(1)
}
/** All tensors that the last call answered with. */
export function answers(): Tensor[] {
  check()
  const found: Tensor[] = []
  for (let i = 0, position = 1, count = commands[0]!; i < count; i++) {
    found.push(at(position))
    position += 5 + commands[position + 4]!
  }
  return found
}
function at(position: number): Tensor {
  const rank = commands[position + 4]!
  const shape = new Array<number>(rank)
  for (let i = 0; i < rank; i++) shape[i] = commands[position + 5 + i]!
  return new Tensor(commands[position]!, commands[position + 1]!, commands[position + 2]!, commands[position + 3]!, shape)
}

interface Held { slot: number; generation: number; bytes: number; deliberate: boolean }
const held = new WeakMap<Tensor, Held>()
const collector = new FinalizationRegistry<Held>((own) => {
  free(own.slot, own.generation)
  account(own, -1)
})
/** Bytes that the collector is to free: all of them, and those that nobody meant to leave to it (parameters and optimizer state are meant to live). */
const weight = { all: 0, stray: 0, strays: 0, piled: 0, reported: 0 }
/** Strays are warned of when so many bytes are piled up; after a warning, when they are four times as many. */
let warnAt = 32 * 2 ** 20
/** The most that one tensor counts for: a loop that piles up tensors makes many, a few large ones are data, held on purpose. */
const share = warnAt / 16
/** Strays made since they were last looked at: to look costs a call. */
let unseen = 0
const lookEvery = 16
let lookingLater = false

/** @internal A tensor outside any scope is freed by the garbage collector, which has to know its weight. */
export function registerUnscoped(tensor: Tensor, deliberate: boolean = isDeliberate()): void {
  const own: Held = { slot: tensor._slot, generation: tensor._generation, bytes: tensor._device === 0 ? tensor.byteLength : 0, deliberate }
  held.set(tensor, own)
  collector.register(tensor, own, tensor)
  account(own, 1)
}
function unregister(tensor: Tensor): void {
  const own = held.get(tensor)
  if (own === undefined) return
  held.delete(tensor)
  collector.unregister(tensor)
  account(own, -1)
}
function account({ bytes, deliberate }: Held, count: 1 | -1): void {
  weight.all += count * bytes
  if (!deliberate) {
    weight.stray += count * bytes
    weight.strays += count
    weight.piled += count * Math.min(bytes, share)
    if (count === 1 && ++unseen >= lookEvery && weight.piled >= warnAt) lookAtStrays()
  }
  if (Math.abs(weight.all - weight.reported) < 2 ** 20) return
  native.adjustExternal(weight.all - weight.reported)
  weight.reported = weight.all
}
/** Warns where strays do hold what their shapes say: memory that was refused, or is yet to be had, holds nothing. */
function lookAtStrays(delay = 20): void {
  unseen = 0
  if (weight.piled < warnAt) return
  const meant = weight.all - weight.stray
  const bytes = Math.min(weight.stray, native.memory()[0]! - meant)
  if (bytes >= warnAt) return warnOfStrays(bytes)
  // The device may be behind, for as long as the machine is busy, and the loop over when it has done what was asked.
  if (lookingLater) return
  lookingLater = true
  const look = (): void => {
    lookingLater = false
    clearTimeout(timer)
    process.off('beforeExit', look)
    lookAtStrays(Math.min(4 * delay, 1000))
  }
  const timer = setTimeout(look, delay).unref()
  process.once('beforeExit', look)
}
function warnOfStrays(bytes: number): void {
  warnAt = 4 * weight.piled
  warn(
    'FERROGRAD_UNSCOPED',
    `${weight.strays} tensors outside any scope hold ${Math.round(bytes / 2 ** 20)} MiB; the garbage collector frees them late, and in a `
    + 'synchronous loop never. Wrap the loop\'s body in scope(() => ...), or dispose() of what you no longer need.',
  )
}

/** An array for a tensor's values. JavaScript's own error would name neither. */
function arrayOf(op: string, { dtype, size, shape }: Tensor): TypedArray {
  try {
    return arrayFor(dtype, size)
  } catch (error) {
    const gigabytes = ((size * byteSize(dtype)) / 2 ** 30).toFixed(1)
    throw new OutOfMemoryError(`${op}: an array of ${gigabytes} GiB for the values of [${shape.join(', ')}] cannot be had. Reduce the tensor first, or read parts of it: x.narrow(0, 0, 1000).`, { op, cause: error })
  }
}

function bytesOf(array: TypedArray): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength)
}

/** A value as a number. An int64 may be none: a number beside it would be an answer that looks right. */
function exact(op: string, value: number | bigint): number {
  if (typeof value === 'number') return value
  const number = Number(value)
  if (Number.isSafeInteger(number)) return number
  throw new ValueError(`${op}: the int64 value ${value} is larger than any exact number. Read data(), which gives bigints.`, { op })
}

function nest(values: TypedArray, shape: readonly number[], dtype: DType): NestedNumbers {
  let position = 0
  const level = (depth: number): NestedNumbers => {
    if (depth < shape.length) return Array.from({ length: shape[depth]! }, () => level(depth + 1))
    const value = exact('tolist', values[position++]!)
    return dtype === 'bool' ? value !== 0 : value
  }
  return level(0)
}
