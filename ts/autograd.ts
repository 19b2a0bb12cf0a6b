import { autocasting, setAutocasting, withAutocast } from './autocast.js'
import { captureContext, currentModule } from './context.js'
import { isFloat } from './dtype.js'
import { CaptureError, NoGradientError, ScopeError, ShapeError, ValueError } from './errors.js'
import { kindOf, noTensor } from './explain.js'
import { type Backward, type BackwardOfAll, GraphNode, reachable } from './graph.js'
import { run } from './native/run.js'
import { checkOptions, settle } from './options.js'
import { currentScope, enableGrad, isGradEnabled, isPromise, quiet, refuseAsync, Scope, setGradEnabled, unscoped } from './scope.js'
import { type BackwardOptions, late, Tensor } from './tensor.js'

export { enableGrad, isGradEnabled, noGrad } from './scope.js'

/** How an op is differentiated. */
export interface Recorded {
  /** The name that messages give it. */
  op: string
  /** The tensors that `y` was computed from, in the order of the thunks. */
  inputs: readonly Tensor[]
  /** What the gradients are computed from; the graph keeps it until `backward`. */
  saved: readonly Tensor[]
  /** One thunk an input, each giving that input's gradient. Written with public ops wherever that costs nothing, so that second derivatives follow. */
  backward: Backward
}

/** Notes how `y` was computed, where a gradient is wanted. Of several outputs the first is differentiable. */
export function record<T extends Tensor | Tensor[]>(y: T, recorded: Recorded): T {
  if (!isGradEnabled() || !recorded.inputs.some((input) => input.requiresGrad)) return y
  const output: Tensor = Array.isArray(y) ? y[0]! : y
  if (!isFloat(output.dtype)) return y
  attach(output, recorded)
  return y
}

/** {@link record} for an op with several differentiable results: `backward` gets the gradients of all of them. */
export function recordAll(outputs: readonly Tensor[], { op, inputs, saved, backward }: Omit<Recorded, 'backward'> & { backward: BackwardOfAll }): void {
  if (!isGradEnabled() || !inputs.some((input) => input.requiresGrad)) return
  const node = hold(new GraphNode(op, inputs, outputs[0]!, saved, backward, currentModule))
  outputs.forEach((output, index) => {
    output._node = hold(new GraphNode(op, [], output, [], () => [], currentModule, { op: node, index }))
  })
}

function attach(output: Tensor, { op, inputs, saved, backward }: Recorded): GraphNode {
  return output._node = hold(new GraphNode(op, inputs, output, saved, backward, currentModule))
}

function hold(node: GraphNode): GraphNode {
  if (currentScope !== null) currentScope.addNode(node)
  else node.leaveToCollector()
  return node
}

type Sink = (leaf: Tensor, gradient: Tensor) => void
/** Where gradients of leaves go; a checkpoint's inner pass uses that of the pass around it. */
let activeSink: Sink | null = null

/** Adds to `.grad`, as `backward` does. Gradients belong to no scope: the optimizer reads them after it has closed. */
function accumulate(leaf: Tensor, gradient: Tensor): void {
  const before = leaf.grad
  // An alias of its own: the same gradient may reach several leaves, and each frees its own.
  leaf.grad = unscoped(() => (before === null ? owned(gradient) : run.add(before, gradient)))
}

/** Rows alone are kept for a leaf without a gradient; sums and hooks take matrices. */
function takesRows(leaf: Tensor): boolean {
  return (leaf._hooks?.length ?? 0) === 0 && leaf._gradient === null
}

function owned(gradient: Tensor): Tensor {
  const alias = run.reshape(gradient, gradient.shape)
  if (gradient._node !== null) alias._node = gradient._node
  return alias
}

interface Pass extends BackwardOptions {
  sink: Sink
  /** Nodes whose output's gradient is wanted itself. */
  wanted?: Map<GraphNode, (gradient: Tensor) => void>
  /** What gradients are for, where not for all leaves: nothing is computed that leads to none of these. */
  targets?: ReadonlySet<GraphNode | Tensor>
}

/** Of `nodes`, oldest last, and their leaves: those from which gradients come to one of the targets. */
function leadingTo(targets: ReadonlySet<GraphNode | Tensor>, nodes: readonly GraphNode[]): Set<GraphNode | Tensor> {
  const leading = new Set(targets)
  for (const node of [...nodes].reverse()) {
    if (node.isOpaque || node.next.some((next) => next !== null && leading.has(next))) leading.add(node)
  }
  return leading
}

/** Runs the graph backwards from `roots`. */
function propagate(roots: readonly (readonly [Tensor, Tensor])[], { sink, wanted, targets, retainGraph = false, createGraph = false }: Pass): void {
  const gradients = new Map<GraphNode, Tensor>()
  /** Of ops with several results, what has come of each. */
  const arrived = new Map<GraphNode, (Tensor | null)[]>()
  const give = (target: GraphNode | Tensor, gradient: Tensor): void => {
    if (target instanceof GraphNode) {
      const before = gradients.get(target)
      gradients.set(target, before === undefined ? gradient : before.add(gradient))
    } else sink(target, runHooks(target._hooks, gradient))
  }
  const gradBefore = setGradEnabled(createGraph)
  // Gradients run in the dtypes that their ops had; what the mode would change was cast by a node of the graph.
  const castBefore = setAutocasting(false)
  const sinkBefore = activeSink
  activeSink = sink
  // Gradients on their way die with this scope; with createGraph they belong to the caller's, as results of ops do.
  const inner = createGraph ? null : new Scope()
  try {
    const nodes = [...reachable(roots.flatMap(([root]) => (root._node === null ? [] : [root._node])))].sort((a, b) => b.id - a.id)
    if (captureContext() !== null) guardHooks([...roots.map(([root]) => root), ...nodes.flatMap(({ next }) => next)])
    const leading = targets && leadingTo(targets, nodes)
    for (const [root, gradient] of roots) give(root._node ?? root, gradient)
    for (const node of nodes) {
      if (leading?.has(node) === false) continue
      let dy: Tensor | readonly (Tensor | null)[] | undefined = arrived.get(node)
      if (dy === undefined) {
        dy = gradients.get(node)
        if (dy === undefined) continue
        gradients.delete(node)
        dy = runHooks(node.hooks, dy)
        if (node.retainsGrad) accumulate(node.output, dy)
        wanted?.get(node)?.(dy)
        if (node.port !== null) {
          const { op, index } = node.port
          const all = arrived.get(op) ?? []
          arrived.set(op, all)
          all[index] = dy
        }
      }
      if (leading !== undefined && !node.isOpaque && !node.next.some((next) => next !== null && leading.has(next))) continue
      const thunks = node.gradients(dy)
      node.next.forEach((target, i) => {
        if (target === null || leading?.has(target) === false) return
        const thunk = thunks[i]
        if (thunk?.rows !== undefined && sink === accumulate && target instanceof Tensor && takesRows(target)) {
          target._swapGrad(unscoped(thunk.rows))
          return
        }
        const gradient = thunk?.()
        if (gradient !== null && gradient !== undefined) give(target, gradient)
      })
      if (!retainGraph && !createGraph) node.release()
    }
  } finally {
    setGradEnabled(gradBefore)
    setAutocasting(castBefore)
    activeSink = sinkBefore
    inner?.abandon()
  }
}

/** A hook that a leaf gets later has the step recorded anew, which then refuses it. */
function guardHooks(reached: readonly (GraphNode | Tensor | null)[]): void {
  const leaves = [...new Set(reached)].filter((item): item is Tensor => item instanceof Tensor && item._node === null)
  captureContext()?.fitsWhile(() => leaves.every(({ _hooks }) => (_hooks?.length ?? 0) === 0))
}

function runHooks(hooks: readonly ((gradient: Tensor) => Tensor | void)[] | null, gradient: Tensor): Tensor {
  if (hooks === null || hooks.length === 0) return gradient
  if (captureContext() !== null) throw new CaptureError('registerHook: a hook cannot run inside a compiled function, whose JavaScript runs only once. Remove it, or call the plain function.')
  for (const hook of hooks) gradient = replaced(gradient, hook(gradient))
  return gradient
}

/** What a hook returned, in the gradient's place, or the gradient where it returned nothing. */
function replaced(gradient: Tensor, result: unknown): Tensor {
  if (result === undefined || result === null) return gradient
  if (!(result instanceof Tensor)) {
    if (isPromise(result)) quiet(result)
    throw new ValueError(`registerHook: a hook returns the tensor that takes the gradient's place, or nothing; got ${kindOf(result)}.\n  Compute with the gradient, as in (g) => g.mul(2). A hook cannot be async.`, { op: 'registerHook' })
  }
  if (result.shape.join() === gradient.shape.join()) return result
  throw new ShapeError(`registerHook: a hook returned [${result.shape.join(', ')}] for a gradient [${gradient.shape.join(', ')}]. The shape must stay.`, { op: 'registerHook', shapes: [result.shape, gradient.shape] })
}

function seed(op: string, root: Tensor, gradient: Tensor | null | undefined): Tensor {
  if (gradient !== null && gradient !== undefined) {
    if (gradient.shape.join() === root.shape.join()) return gradient
    throw new ShapeError(`${op}: the gradient has shape [${gradient.shape.join(', ')}], its tensor [${root.shape.join(', ')}].`, { op, shapes: [gradient.shape, root.shape] })
  }
  if (root.size !== 1) {
    throw new ShapeError(`${op}: starts from one number, but the tensor has shape [${root.shape.join(', ')}].\n  Reduce it with .sum() or .mean(), or pass its gradient.`, { op, shapes: [root.shape] })
  }
  return run.full(root.shape, root._code, 1, root._device)
}

function requireGraph(op: string, root: Tensor): void {
  if (!root.requiresGrad) {
    throw new NoGradientError(`${op}: the tensor was not computed from any that requires a gradient.\n  Set requiresGrad on the inputs, and compute outside noGrad. What a compiled function returns has no graph: call backward inside it.`, { op })
  }
}

const backwardDefaults = { retainGraph: false, createGraph: false }

late.backward = (root, first, second) => {
  const [gradient, given] = first instanceof Tensor || first === null || first === undefined ? [first, second] : [undefined, first]
  if (given === first && second !== undefined) throw noTensor('backward', 'gradient', first)
  const options = given === undefined ? backwardDefaults : settle('backward', given, backwardDefaults)
  requireGraph('backward', root)
  const scope = new Scope()
  try {
    propagate([[root, seed('backward', root, gradient)]], { ...options, sink: options.createGraph ? accumulateRecorded : accumulate })
  } finally {
    // With createGraph the gradients' own graph lives on in the caller's scope.
    if (options.createGraph) handOver(scope)
    scope.abandon()
  }
}

function accumulateRecorded(leaf: Tensor, gradient: Tensor): void {
  const before = leaf.grad
  leaf._swapGrad(null)
  leaf.grad = before === null ? gradient : before.add(gradient)
}

/** Keeps everything in a scope alive in the one around it. */
function handOver(scope: Scope): void {
  scope.keepAll()
}

/** Options of `grad`. */
export interface GradOptions extends BackwardOptions {
  /** Gradients of the outputs; 1 for outputs of one element. */
  gradOutputs?: readonly (Tensor | null)[]
  /** Gives null for inputs that the outputs do not depend on, instead of throwing. */
  allowUnused?: boolean
}

/**
 * The gradients of `outputs` (their sum) with respect to `inputs`; `.grad` stays as it is. PyTorch: `torch.autograd.grad`.
 * @throws NoGradientError where an output depends on no tensor with gradients, or not on an input (unless `allowUnused`)
 */
export function grad(outputs: Tensor | readonly Tensor[], inputs: Tensor): Tensor
/** The gradient of one input, with options. @see grad */
export function grad(outputs: Tensor | readonly Tensor[], inputs: Tensor, options: GradOptions): Tensor
/** The gradients of several inputs, in their order; null for an unused one with `allowUnused`. @see grad */
export function grad(outputs: Tensor | readonly Tensor[], inputs: readonly Tensor[], options?: GradOptions): (Tensor | null)[]
export function grad(outputs: Tensor | readonly Tensor[], inputs: Tensor | readonly Tensor[], options: GradOptions = {}): Tensor | (Tensor | null)[] {
  checkOptions('grad', options, { retainGraph: 0, createGraph: 0, gradOutputs: 0, allowUnused: 0 } satisfies Record<keyof GradOptions, number>)
  const roots = [outputs].flat() as Tensor[]
  const targets = [inputs].flat() as Tensor[]
  for (const [name, list] of [['outputs', roots], ['inputs', targets]] as const) {
    for (const item of list) if (!(item instanceof Tensor)) throw noTensor('grad', name, item)
  }
  const found = new Map<Tensor, Tensor>()
  const scope = new Scope()
  try {
    const add = (target: Tensor, gradient: Tensor): void => {
      const before = found.get(target)
      found.set(target, before === undefined ? gradient : scope.claim(before.add(gradient)))
    }
    const leaves = new Set(targets.filter((target) => target._node === null))
    const wanted = new Map(targets.filter((t) => t._node !== null).map((t) => [t._node!, (gradient: Tensor) => add(t, gradient)]))
    const seeds = roots.map((root, i) => {
      requireGraph('grad', root)
      return [root, seed('grad', root, options.gradOutputs?.[i])] as const
    })
    const hold = (gradient: Tensor): Tensor => {
      const alias = run.reshape(gradient, gradient.shape)
      alias._node = gradient._node
      return scope.claim(alias)
    }
    propagate(seeds, {
      ...options,
      targets: new Set([...leaves, ...wanted.keys()]),
      sink: (leaf, gradient) => { if (leaves.has(leaf)) add(leaf, options.createGraph ? gradient : hold(gradient)) },
      wanted: options.createGraph ? wanted : new Map([...wanted].map(([node, take]) => [node, (gradient: Tensor) => take(hold(gradient))])),
    })
    const results = targets.map((target) => {
      const gradient = found.get(target) ?? null
      if (gradient === null && options.allowUnused !== true) {
        throw new NoGradientError(`grad: the outputs do not depend on the input [${target.shape.join(', ')}].\n  Pass allowUnused: true to get null for it.`, { op: 'grad' })
      }
      return gradient
    })
    scope.keep(results)
    if (options.createGraph) handOver(scope)
    return Array.isArray(inputs) ? results : results[0]!
  } finally {
    scope.abandon()
  }
}

let recomputing = false

/** True while `checkpoint` runs its function the second time: what the first time counted (running statistics) is not counted again. */
export function isRecomputing(): boolean {
  return recomputing
}

/** What `checkpoint` needs of the generators: their states to be put back while the function runs again. */
export const randomState: { save: () => Tensor; replay: <T>(state: Tensor, fn: () => T) => T } = {
  save: () => run.full([], 0, 0, 0), replay: (_state, fn) => fn(),
}

function oneTensor(result: unknown): Tensor {
  if (result instanceof Tensor) return result
  if (isPromise(result)) {
    quiet(result)
    throw new ScopeError('checkpoint: the function returned a promise. It runs again during backward, which waits for nothing: do the awaiting outside.')
  }
  throw new ValueError(`checkpoint: the function must return one tensor, got ${Array.isArray(result) ? 'an array' : typeof result}.\n  Put several results together with concat or stack, or checkpoint them apart.`, { op: 'checkpoint' })
}

function secondTime<T>(fn: () => T): T {
  const before = recomputing
  recomputing = true
  try {
    return fn()
  } finally {
    recomputing = before
  }
}

/**
 * Runs `fn` without keeping its intermediate results; `backward` runs it again, with the same random numbers. Trades time for memory.
 * Parameters used inside get their gradients as ever, and batch normalisation counts the batch once. PyTorch: `torch.utils.checkpoint`.
 */
export function checkpoint(fn: (...inputs: Tensor[]) => Tensor, ...inputs: Tensor[]): Tensor {
  refuseAsync(fn, 'checkpoint')
  for (const input of inputs) if (!(input instanceof Tensor)) throw noTensor('checkpoint', 'inputs', input)
  const call = (...given: Tensor[]): Tensor => oneTensor(fn(...given))
  if (!isGradEnabled()) return call(...inputs)
  const state = randomState.save()
  const mixed = autocasting
  const inner = new Scope()
  let output: Tensor
  const before = setGradEnabled(false)
  try {
    output = inner.keep(call(...inputs))
  } finally {
    setGradEnabled(before)
    inner.abandon()
  }
  if (inputs.includes(output)) output = run.reshape(output, output.shape)
  const node = attach(output, {
    op: 'checkpoint',
    inputs,
    saved: [...inputs, state],
    backward: (dy, ...saved) => {
      const again = saved.slice(0, -1).map((input, i) => {
        const copy = run.reshape(input, input.shape)
        copy.requiresGrad = inputs[i]!.requiresGrad
        return copy
      })
      if (isGradEnabled()) throw new NoGradientError('checkpoint: has no second derivative. Call the function directly where createGraph is used.', { op: 'checkpoint' })
      const recompute = (): Tensor => randomState.replay(saved[saved.length - 1]!, () => secondTime(() => call(...again)))
      const recomputed = enableGrad(() => withAutocast(mixed, recompute))
      const sink = activeSink ?? accumulate
      const own = new Map<Tensor, Tensor>()
      const members = new Set(again)
      if (recomputed.requiresGrad) {
        const holder = currentScope
        propagate([[recomputed, dy]], {
          sink: (leaf, gradient) => {
            if (!members.has(leaf)) return sink(leaf, gradient)
            const alias = run.reshape(gradient, gradient.shape)
            holder?.claim(alias)
            const earlier = own.get(leaf)
            own.set(leaf, earlier === undefined ? alias : holder?.claim(earlier.add(alias)) ?? earlier.add(alias))
          },
        })
      }
      return again.map((copy) => () => own.get(copy) ?? null)
    },
  })
  node.isOpaque = true
  return output
}
