import { inspect } from 'node:util'
import '../attach.js'
import { captureContext, enterModule, leaveModule, moduleStack, setModuleNaming } from '../context.js'
import type { DType } from '../dtype.js'
import { CaptureError, ValueError } from '../errors.js'
import { explainForward } from '../explain.js'
import { settle } from '../options.js'
import { Parameter, type Tensor } from '../tensor.js'
import { type LoadOptions, loadModule, saveModule } from './files.js'
import { loadStateDict, type LoadResult, type StateDict, stateDict } from './state.js'
import { convert } from './convert.js'
import { modulePath } from './path.js'
import { children, distinctSlots, namedModules } from './walk.js'

/** Runs after a layer: `output` is replaced by what the hook returns, unless that is undefined. */
export type ForwardHook = (module: Module, inputs: unknown[], output: any) => unknown
/** Runs before a layer: the inputs are replaced by the array the hook returns, unless that is undefined. */
export type ForwardPreHook = (module: Module, inputs: unknown[]) => unknown[] | undefined | void

interface Hooks { before: Set<ForwardPreHook>; after: Set<ForwardHook> }

const wrapped = new WeakSet<object>()
let readHooks: (module: Module) => Hooks | null
/** Modules whose `train` or `toString` is under way. */
const switching = new Set<Module>()
const printing = new Set<Module>()

/**
 * A layer or a model: fields that hold parameters, buffers and further modules, and a `forward` that computes with them.
 *
 * State is found by walking the fields (arrays, plain objects and Maps too), so that nothing has to be registered; its keys are the
 * property paths, as in `layers.0.weight`. A field that is a plain `Tensor` throws there: write `new Parameter(t)` or `buffer(t)`.
 * PyTorch: `torch.nn.Module`.
 *
 * ```js
 * class Net extends nn.Module {
 *   hidden = new nn.Linear(4, 16)
 *   head = new nn.Linear(16, 3)
 *   forward(x) { return this.head.forward(this.hidden.forward(x).relu()) }   // [N, 4] -> [N, 3]
 * }
 * ```
 */
export abstract class Module {
  /** True in training; dropout and batch normalisation read it. Set by `train()` and `eval()`. */
  training = true

  // Private fields stay out of the walk, and out of a subclass's way.
  #hooks: Hooks | null = null

  static {
    readHooks = (module) => module.#hooks
  }

  constructor() {
    wrapForward(new.target.prototype as object)
  }

  /** Computes the outputs. */
  abstract forward(...inputs: any[]): any

  /** True while weights wait for the first input's size. */
  get isLazy(): boolean {
    return false
  }

  /** Lazy modules make their weights here, from the shapes of a state dict that is about to be loaded. */
  materialize(_shapeOf: (key: string) => readonly number[] | undefined): void {}

  /** What stands in the parentheses of a printed layer, as in `Linear(4, 16)`. */
  extraRepr(): string {
    return ''
  }

  /**
   * Of Linear layers below this module (by path) that read a flattened image, its channels; 0 for those that read none. Loading PyTorch's
   * weights goes by it where `forward` hides what stands before a Linear.
   */
  get flattened(): Readonly<Record<string, number>> {
    return {}
  }

  /** Floating point operations of one call (a multiply-add counts as two); `summary` adds them up. Containers give 0. */
  flops(_inputs: readonly Tensor[], _output: Tensor): number {
    return 0
  }

  /** All parameters below this module, each once, in the order of the fields. */
  parameters(): Parameter[] {
    return this.namedParameters().map(([, parameter]) => parameter)
  }

  /** All parameters with their property paths. */
  namedParameters(): [string, Parameter][] {
    return distinctSlots(this).filter(({ kind }) => kind === 'parameter').map(({ path, tensor }) => [path, tensor as Parameter])
  }

  /** All buffers (running statistics) below this module, each once. */
  buffers(): Tensor[] {
    return this.namedBuffers().map(([, tensor]) => tensor)
  }

  /** All buffers with their property paths. */
  namedBuffers(): [string, Tensor][] {
    return distinctSlots(this).filter(({ kind }) => kind === 'buffer').map(({ path, tensor }) => [path, tensor])
  }

  /** Every module below this one, this one first. */
  modules(): Module[] {
    return this.namedModules().map(([, module]) => module)
  }

  /** Every module with its path; this one's is ''. */
  namedModules(): [string, Module][] {
    return namedModules(this)
  }

  /** Parameters and buffers by path: the live tensors, not copies. */
  stateDict(): StateDict {
    return stateDict(this)
  }

  /**
   * Copies `state` into the parameters and buffers, in place, casting between float types. All keys and shapes are compared first.
   * @throws CheckpointError with every missing, unexpected and mismatched key; nothing was written then. `strict: false` forgives the first
   * two.
   */
  loadStateDict(state: StateDict, options: { strict?: boolean } = {}): LoadResult {
    return loadStateDict(this, state, settle('loadStateDict', options, { strict: true }).strict)
  }

  /** Writes parameters and buffers to a safetensors file, durably; resolves when it is there. */
  save(path: string, options: { metadata?: Record<string, string> } = {}): Promise<void> {
    return saveModule(this, path, options)
  }

  /** Reads a safetensors file, or the weights of a checkpoint, into this module. `from: 'torch'` takes a file with PyTorch's names and layouts. @see LoadOptions */
  load(path: string, options: LoadOptions = {}): Promise<LoadResult> {
    return loadModule(this, path, options)
  }

  /**
   * Training mode for this module, and `train(mode)` of each that it holds. `fit` calls it on the model and gives every module its mode back
   * afterwards, so that `eval()` before `fit` keeps nothing in evaluation mode. What shall stay there overrides `train`, as in PyTorch:
   *
   * ```js
   * class FineTuned extends models.ResNet {
   *   train(mode = true) {
   *     super.train(mode)
   *     for (const module of this.modules()) if (module instanceof nn.BatchNorm2d) module.eval()   // running statistics stay
   *     return this
   *   }
   * }
   * ```
   */
  train(mode: boolean = true): this {
    // A module that holds its parent leads back up to one that is on its way already.
    if (switching.has(this)) return this
    switching.add(this)
    try {
      this.training = mode
      for (const [, child] of children(this)) child.train(mode)
    } finally {
      switching.delete(this)
    }
    return this
  }

  /** Evaluation mode, by `train(false)`: no dropout, running statistics instead of the batch's. */
  eval(): this {
    return this.train(false)
  }

  /** Freezes (`false`) or unfreezes every parameter. Running statistics are no parameters: see `train` for what keeps them. */
  requiresGrad_(flag: boolean = true): this {
    for (const parameter of this.parameters()) parameter.requiresGrad = flag
    return this
  }

  /** Forgets every parameter's gradient and frees it, also where someone else still holds it: keep `p.grad.clone()` for later. */
  zeroGrad(): void {
    for (const parameter of this.parameters()) parameter.grad = null
  }

  /**
   * Moves the module to a device ('cpu', 'cuda:0', 'meta') or casts its float parameters and buffers ('float64', 'bfloat16').
   * The parameters become new tensors: call it before the optimizer is made.
   */
  to(deviceOrDtype: string | DType): this {
    convert(this, deviceOrDtype)
    return this
  }

  /** Calls `fn` with every module, children before their parents; for initialisation. */
  apply(fn: (module: Module) => void): this {
    for (const module of this.modules().reverse()) fn(module)
    return this
  }

  /** Calls `hook` after every `forward` of this module; answers with the function that removes it. */
  registerForwardHook(hook: ForwardHook): () => void {
    const { after } = this.#ensureHooks()
    after.add(hook)
    return () => { after.delete(hook) }
  }

  /** Calls `hook` before every `forward` of this module; answers with the function that removes it. */
  registerForwardPreHook(hook: ForwardPreHook): () => void {
    const { before } = this.#ensureHooks()
    before.add(hook)
    return () => { before.delete(hook) }
  }

  /** True while hooks are registered here: containers then call this module by itself instead of fusing it with its neighbour. */
  get hasHooks(): boolean {
    return this.#hooks !== null && this.#hooks.before.size + this.#hooks.after.size > 0
  }

  #ensureHooks(): Hooks {
    this.#hooks ??= { before: new Set(), after: new Set() }
    return this.#hooks
  }

  /** The tree of layers, as PyTorch prints it. */
  toString(): string {
    const head = this.constructor.name
    // A module that holds its parent leads back up to one that is being printed.
    if (printing.has(this)) return `${head}(...)`
    printing.add(this)
    try {
      const lines = children(this).map(([name, child]) => `  (${name}): ${child.toString().replaceAll('\n', '\n  ')}`)
      return lines.length === 0 ? `${head}(${this.extraRepr()})` : `${head}(${this.extraRepr()}\n${lines.join('\n')}\n)`
    } finally {
      printing.delete(this)
    }
  }
}

// `console.log(model)` prints the tree; a symbol for Node alone, so that it stands outside the class's types.
Object.defineProperty(Module.prototype, inspect.custom, { value(this: Module): string { return this.toString() } })

/** Puts the bookkeeping around each `forward` on the prototype chain, once a class. */
function wrapForward(start: object): void {
  const above = (prototype: object): object => Object.getPrototypeOf(prototype) as object
  for (let prototype = start; prototype !== Module.prototype && !wrapped.has(prototype); prototype = above(prototype)) {
    wrapped.add(prototype)
    const own = Object.getOwnPropertyDescriptor(prototype, 'forward')
    if (typeof own?.value !== 'function') continue
    Object.defineProperty(prototype, 'forward', { ...own, value: withBookkeeping(own.value as Forward) })
  }
}

setModuleNaming((stack) => modulePath(stack as readonly Module[]))

type Forward = (this: Module, ...inputs: any[]) => any

function withBookkeeping(forward: Forward): Forward {
  return function (this: Module, ...inputs: any[]): any {
    // `super.forward(x)` is the same call still: it has its hooks and its place on the stack already.
    if (moduleStack[moduleStack.length - 1] === this) return forward.apply(this, inputs)
    const before = enterModule(this)
    try {
      const hooks = readHooks(this)
      return hooks === null || !this.hasHooks ? forward.apply(this, inputs) : callWithHooks(this, hooks, forward, inputs)
    } catch (error) {
      throw explainForward(this.constructor.name, error, inputs)
    } finally {
      leaveModule(before)
    }
  }
}

/** Calls `forward`'s stand-in for a fused pair: the layer counts as running, for messages and for captured steps. It has no hooks then. */
export function running<T>(module: Module, call: () => T): T {
  const before = enterModule(module)
  try {
    return call()
  } finally {
    leaveModule(before)
  }
}

/** A layer of `kind` that does what that does: without hooks, and without a `forward` of its own, of a subclass or put in its place. */
export function plain<M extends Module>(layer: Module | undefined, kind: Function & { readonly prototype: M }): layer is M {
  return layer instanceof kind && !layer.hasHooks && layer.forward === kind.prototype.forward
}

function callWithHooks(module: Module, hooks: Hooks, forward: Forward, inputs: unknown[]): unknown {
  if (captureContext() !== null) {
    throw new CaptureError(
      `compile: ${module.constructor.name} has a forward hook, which would run while recording only.\n` +
        '  Remove it, or run the step without compile.',
    )
  }
  for (const hook of hooks.before) {
    const replaced = hook(module, inputs)
    if (replaced === undefined) continue
    if (!Array.isArray(replaced)) throw new ValueError('forward pre-hook: return the array of inputs, or nothing')
    inputs = replaced
  }
  let output: unknown = forward.apply(module, inputs)
  for (const hook of hooks.after) {
    const replaced = hook(module, inputs, output)
    if (replaced !== undefined) output = replaced
  }
  return output
}
