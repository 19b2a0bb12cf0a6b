import { modulePathOf } from './context.js'
import { ScopeError, VersionError } from './errors.js'
import { free } from './native.js'
import type { RowGradient } from './row-gradient.js'
import type { Lease, Tensor } from './tensor.js'

/** Computes the gradient of one input. One of an embedding can be had as rows too, where it goes to a leaf that has none yet. */
export interface Thunk {
  (): Tensor | null
  rows?: (() => RowGradient) | undefined
}

/** Computes the gradients of an op's inputs, one thunk an input; only those needed are run. */
export type Backward = (dy: Tensor, ...saved: Tensor[]) => readonly Thunk[]

/** The same of an op with several results: the gradient of each, null where none came. */
export type BackwardOfAll = (dys: readonly (Tensor | null)[], ...saved: Tensor[]) => readonly Thunk[]

/** One of several results of an op, and which: its gradient waits there for those of the others. */
export interface Port {
  op: GraphNode
  index: number
}

let created = 0

/** Handles that a graph outside any scope keeps: given back when the graph is collected without having been run. */
const collector = new FinalizationRegistry<readonly Lease[]>((leases) => {
  for (const lease of leases) if (--lease.references === 0) free(lease.slot, lease.generation)
})

/** A recorded op: where gradients go next, and what they are computed from. */
export class GraphNode {
  /** Later ops have larger numbers, so that descending order is a topological one. */
  readonly id: number = ++created
  readonly op: string
  /** For each input: the op that made it, the leaf itself, or null where no gradient is wanted. */
  readonly next: readonly (GraphNode | Tensor | null)[]
  readonly output: Tensor
  readonly module: number
  readonly port: Port | null
  hooks: ((gradient: Tensor) => Tensor | void)[] | null = null
  retainsGrad = false
  /** Its gradients may reach leaves that are not among its inputs. */
  isOpaque = false
  #saved: readonly Tensor[] | null
  #versions: readonly number[]
  #backward: Backward | BackwardOfAll
  #collected = false

  constructor(op: string, inputs: readonly Tensor[], output: Tensor, saved: readonly Tensor[], backward: Backward | BackwardOfAll, module: number, port: Port | null = null) {
    this.op = op
    this.next = port === null ? inputs.map((input) => (input.requiresGrad ? input._node ?? input : null)) : [port.op]
    this.port = port
    this.output = output
    this.module = module
    this.#saved = saved
    this.#versions = saved.map((tensor) => tensor._base._version)
    this.#backward = backward
    // The tape's own references: a scope may close, a user may dispose, the values stay until backward has run.
    for (const tensor of saved) tensor._retain()
  }

  /** The thunks of this op's gradients, from the gradient of its result or, of several, of all. */
  gradients(dy: Tensor | readonly (Tensor | null)[]): readonly Thunk[] {
    if (this.#saved === null) {
      throw new ScopeError(`backward: the graph behind ${this.op} is gone: backward ran through it already, or its scope closed.\n`
        + '  Call backward({ retainGraph: true }) the first time, or keep(t) the result that the graph belongs to.', { op: this.op })
    }
    this.#saved.forEach((tensor, i) => {
      if (tensor._base._version === this.#versions[i]) return
      const where = modulePathOf(this.module)
      throw new VersionError(
        `backward: ${this.op}${where && ` (in ${where})`} needs a tensor [${tensor.shape.join(', ')}] that was changed in place since `
        + `(version ${tensor._base._version}, ${this.#versions[i]} was saved).\n  Change it after backward, or save a copy with .clone().`, { op: this.op })
    })
    return (this.#backward as (dy: Tensor | readonly (Tensor | null)[], ...saved: Tensor[]) => ReturnType<Backward>)(dy, ...this.#saved.map((tensor) => tensor._revive()))
  }

  /** No scope will release this node: the collector does, if backward never runs. */
  leaveToCollector(): void {
    if (this.#saved === null || this.#collected) return
    this.#collected = true
    collector.register(this, this.#saved.map((tensor) => tensor._lease()), this)
  }

  /** Gives the saved tensors back. */
  release(): void {
    if (this.#saved === null) return
    if (this.#collected) collector.unregister(this)
    for (const tensor of this.#saved) tensor._release()
    this.#saved = null
  }
}

/** Every node that gradients from `roots` would visit, as far as those made since the node `oldest`. */
export function reachable(roots: Iterable<GraphNode>, oldest = 0): Set<GraphNode> {
  const seen = new Set<GraphNode>(roots)
  for (const node of seen) {
    for (const next of node.next) if (next instanceof GraphNode && next.id >= oldest) seen.add(next)
  }
  return seen
}
