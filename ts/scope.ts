import { type GraphNode, reachable } from './graph.js'
import { ScopeError } from './errors.js'
import { warn } from './log.js'
import { registerUnscoped, Tensor } from './tensor.js'

/** The innermost open scope, or null. */
export let currentScope: Scope | null = null

/**
 * Owns the tensors made while it is open: they die when it closes, but for those kept. Scopes nest; each closes before the one around it.
 * A scope spans no `await`: other code runs then, and would leave its tensors here.
 *
 * ```ts
 * using s = new Scope()                      // or scope(() => ...), which needs no new syntax
 * const y = s.keep(model.forward(x))
 * ```
 */
export class Scope {
  #tensors: Tensor[] = []
  #nodes: GraphNode[] = []
  #parent: Scope | null
  #open = true

  constructor() {
    this.#parent = currentScope
    currentScope = this
    if (this.#parent === null) detectLeftOpen()
  }

  /** @internal */
  add(tensor: Tensor): void {
    this.#tensors.push(tensor)
    tensor._scope = this
  }
  /** @internal */
  addNode(node: GraphNode): void {
    this.#nodes.push(node)
  }
  /** Whether it still takes tensors: `close` was not called yet. */
  get isOpen(): boolean {
    return this.#open
  }

  /** Lets tensors (also in arrays, records and Maps) out of this scope, to the one around it or to the garbage collector. */
  keep<T>(value: T): T {
    forEachTensor(value, (tensor) => {
      if (tensor._scope === this) adopt(tensor, this.#parent)
    })
    return value
  }

  /** @internal Takes a tensor from whichever scope holds it. */
  claim<T extends Tensor>(tensor: T): T {
    if (tensor._scope !== null) this.add(tensor)
    return tensor
  }
  /** @internal Moves everything to the scope around this one. */
  keepAll(): void {
    for (const tensor of this.#tensors) if (tensor._scope === this) adopt(tensor, this.#parent)
    for (const node of this.#nodes) moveNode(node, this.#parent)
    this.#nodes = []
  }

  [Symbol.dispose](): void {
    this.close()
  }

  /** Frees what was not kept. */
  close(): void {
    if (!this.#open) return
    if (currentScope !== this) {
      throw new ScopeError('scope: scopes must close in the order opposite to their opening. Close the inner one first; a scope must not span an await.')
    }
    this.#open = false
    currentScope = this.#parent
    this.#releaseNodes()
    for (const tensor of this.#tensors) if (tensor._scope === this) tensor._dropFromScope()
    this.#tensors = []
  }

  /** Closes this scope and any left open inside it. */
  abandon(): void {
    while (this.#open) (currentScope as Scope).close()
  }

  /** Graph nodes that nothing kept can still reach give back what they saved; the others move out with the tensors that need them. */
  #releaseNodes(): void {
    if (this.#nodes.length === 0) return
    // A result that is neither kept nor anyone else's any more is no way into the graph.
    const kept = this.#nodes.filter(({ output }) => !output.disposed && output._scope !== this)
    // A node leads to older ones alone: what was there before this scope's first leads to none of them.
    const alive = reachable(kept, this.#nodes.reduce((oldest, { id }) => Math.min(oldest, id), Infinity))
    for (const node of this.#nodes) {
      if (!alive.has(node)) node.release()
      else moveNode(node, this.#parent)
    }
    this.#nodes = []
  }
}

/** Moves a node to another scope; with none it is the garbage collector's. */
function moveNode(node: GraphNode, to: Scope | null): void {
  if (to === null) node.leaveToCollector()
  else to.addNode(node)
}

/** Moves a tensor to another scope; with none it is the garbage collector's. */
function adopt(tensor: Tensor, to: Scope | null): void {
  tensor._scope = null
  if (to === null) registerUnscoped(tensor)
  else to.add(tensor)
}

let looking = false
/** Microtasks run when no synchronous code does: a scope open then was left open across an `await`, or forgotten. One look serves all scopes. */
function detectLeftOpen(): void {
  if (looking) return
  looking = true
  queueMicrotask(() => {
    looking = false
    if (currentScope === null) return
    while (currentScope !== null) (currentScope as Scope).close()
    warn(
      'FERROGRAD_SCOPE',
      'a Scope was left open across an await; its tensors were freed. Close it in the same synchronous code, or use scope(() => ...).',
    )
  })
}

/**
 * Runs `fn`; tensors made inside die at its end, except those it returns (also in arrays, records and Maps) and those it kept with `keep`.
 * `await scope(() => model.forward(x).data())` reads a result and leaves nothing behind: a promise of `data()`, `item()` or `tolist()` is made
 * before the scope closes and needs no tensor any more.
 * @throws ScopeError for an async function
 */
export function scope<T>(fn: () => T): T {
  refuseAsync(fn, 'scope')
  const inner = new Scope()
  try {
    const result = fn()
    if (isPromise(result) && !ownPromises.has(result)) {
      quiet(result)
      throw new ScopeError('scope: the function returned a promise. Its tensors would die before it is done: await outside, or keep(t) what you need.')
    }
    return inner.keep(result)
  } finally {
    inner.abandon()
  }
}

/** Promises of the library's own reads: what they need is already on its way when they are made. */
const ownPromises = new WeakSet<object>()
/** @internal */
export function ownPromise<T>(promise: Promise<T>): Promise<T> {
  ownPromises.add(promise)
  return promise
}

/** Lets tensors out of the innermost scope. Outside any scope it does nothing. */
export function keep<T>(value: T): T {
  return currentScope === null ? value : currentScope.keep(value)
}

/** Runs `make` outside every scope: what it makes lives until disposed of (parameters, optimizer state, running statistics). */
export function unscoped<T>(make: () => T): T {
  const [scopeBefore, deliberateBefore] = [currentScope, deliberate]
  currentScope = null
  deliberate = true
  try {
    return make()
  } finally {
    currentScope = scopeBefore
    deliberate = deliberateBefore
  }
}
let deliberate = false
/** @internal True where tensors are meant to outlive every scope. */
export function isDeliberate(): boolean {
  return deliberate
}

export function isPromise(value: unknown): value is Promise<unknown> {
  return typeof value === 'object' && value !== null && typeof (value as { then?: unknown }).then === 'function'
}

/** Lets a promise that nobody will await fail unheard. It may be any thenable. */
export function quiet(promise: PromiseLike<unknown>): void {
  void Promise.resolve(promise).catch(() => {})
}

const AsyncFunction = (async () => {}).constructor
export function refuseAsync(fn: unknown, name: string): void {
  if (typeof fn !== 'function') throw new ScopeError(`${name}: takes a function, got ${typeof fn}.`)
  if (fn instanceof AsyncFunction) {
    throw new ScopeError(`${name}: takes a synchronous function, got an async one. Do the awaiting outside: its setting would leak into other code.`)
  }
}

/** Calls `visit` for each tensor in arrays, plain records and Maps. */
export function forEachTensor(value: unknown, visit: (tensor: Tensor) => void, seen: Set<object> = new Set()): void {
  if (value instanceof Tensor) return visit(value)
  if (typeof value !== 'object' || value === null || seen.has(value) || ArrayBuffer.isView(value)) return
  if (isPromise(value)) return
  seen.add(value)
  if (Array.isArray(value)) for (const item of value) forEachTensor(item, visit, seen)
  else if (value instanceof Map) for (const item of value.values()) forEachTensor(item, visit, seen)
  else if (Object.getPrototypeOf(value) === Object.prototype || Object.getPrototypeOf(value) === null) {
    for (const item of Object.values(value)) forEachTensor(item, visit, seen)
  }
}

let gradMode = true
/** True where ops record gradients. */
export function isGradEnabled(): boolean {
  return gradMode
}
/** @internal Sets the mode; answers with the one before. */
export function setGradEnabled(enabled: boolean): boolean {
  const before = gradMode
  gradMode = enabled
  return before
}

function withGrad<T>(enabled: boolean, fn: () => T, name: string): T {
  const before = setGradEnabled(enabled)
  try {
    return synchronous(name, fn)
  } finally {
    setGradEnabled(before)
  }
}

/** @internal What `fn`, which runs in the mode `name`, answers with. @throws ScopeError where it does not end with its synchronous part */
export function synchronous<T>(name: string, fn: () => T): T {
  refuseAsync(fn, name)
  const result = fn()
  if (!isPromise(result) || ownPromises.has(result)) return result
  quiet(result)
  throw new ScopeError(`${name}: the function returned a promise. The mode ends with the synchronous part: await outside.`)
}

/** Runs `fn` without recording gradients. PyTorch: `torch.no_grad`. @throws ScopeError for an async function */
export function noGrad<T>(fn: () => T): T {
  return withGrad(false, fn, 'noGrad')
}
/** Runs `fn` recording gradients, also inside `noGrad`. PyTorch: `torch.enable_grad`. */
export function enableGrad<T>(fn: () => T): T {
  return withGrad(true, fn, 'enableGrad')
}
