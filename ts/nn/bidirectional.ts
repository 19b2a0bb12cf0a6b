import { ValueError } from '../errors.js'
import { kindOf, noTensor } from '../explain.js'
import { concat } from '../ops/concat.js'
import { where } from '../ops/where.js'
import { checkOptions, settle } from '../options.js'
import { Tensor } from '../tensor.js'
import type { GRU, RecurrentStates } from './gru.js'
import type { LSTM, LstmStates } from './lstm.js'
import { Module } from './module.js'
import { Recurrent, type SequenceOptions } from './recurrent.js'
import type { RNN } from './rnn.js'

/** @throws ValueError for what is no recurrent layer, or for two that cannot read the same sequences side by side */
function checkPair({ ahead, back }: { ahead: unknown; back: unknown }, merge: Merge): void {
  for (const [name, layer] of Object.entries({ ahead, back })) {
    if (!(layer instanceof Recurrent)) throw new ValueError(`Bidirectional: ${name} is an LSTM, GRU or RNN, got ${kindOf(layer)}.\n  Give one layer for each direction, or make one with bidirectional: true.`, { op: 'Bidirectional' })
  }
  const [a, b] = [ahead, back] as [Recurrent, Recurrent]
  const width = ({ outputSize, bidirectional }: Recurrent): number => outputSize * (bidirectional ? 2 : 1)
  const alike = { inputSize: [a.inputSize, b.inputSize], batchFirst: [a.batchFirst, b.batchFirst], ...(merge !== 'concat' && { 'features of an output': [width(a), width(b)] }) }
  for (const [name, [one, other]] of Object.entries(alike)) {
    if (one !== other) throw new ValueError(`Bidirectional: the layers' ${name} must be alike${name.startsWith('features') ? ` for merge '${merge}'` : ''}, got ${String(one)} and ${String(other)}.`, { op: 'Bidirectional' })
  }
}

/** @throws ValueError for what are not the states of two layers */
function checkBoth(states: unknown): void {
  const names = typeof states === 'object' && states !== null && !(states instanceof Tensor) && !Array.isArray(states) ? Object.keys(states) : null
  if (names?.length === 2 && names.includes('ahead') && names.includes('back')) return
  throw new ValueError(`Bidirectional: states must be { ahead, back }, each the states of its layer, got ${names === null ? kindOf(states) : `{ ${names.join(', ')} }`}.\n  Pass on what an earlier call gave.`, { op: 'Bidirectional' })
}

/** How the results of two directions come together. */
export type Merge = 'concat' | 'sum' | 'mul' | 'ave'

const MERGES: Readonly<Record<Merge, (a: Tensor, b: Tensor) => Tensor>> = {
  concat: (a, b) => concat([a, b], -1),
  sum: (a, b) => a.add(b),
  mul: (a, b) => a.mul(b),
  ave: (a, b) => a.add(b).mul(0.5),
}

/** Options of {@link Bidirectional}. */
export interface BidirectionalOptions {
  /** How the two directions come together: side by side ('concat', the default), or by 'sum', 'mul' or 'ave'. */
  merge?: Merge
}

/** The states of both layers of a {@link Bidirectional}. */
export interface BidirectionalStates {
  /** Those of the layer that reads from the first step on. */
  ahead: LstmStates | RecurrentStates
  /** Those of the layer that reads from the last step back. */
  back: LstmStates | RecurrentStates
}

/** What {@link Bidirectional} gives. */
export interface BidirectionalOutput {
  /** Of every step, [N, T, 2 H] with 'concat', else [N, T, H]; 0 at masked steps, as in Keras. */
  output: Tensor
  /** After the last step of each direction, [N, 2 H] or [N, H]. */
  hidden: Tensor
  /** The last states of each direction, as its layer gives them. */
  states: BidirectionalStates
}

/**
 * Two recurrent layers over the same sequences, the second from each row's last step to its first (Schuster & Paliwal 1997; Graves & Schmidhuber 2005).
 * Keras: `Bidirectional`, with the second layer given. Where both are alike and lie side by side, `bidirectional: true` of a layer does the same under
 * PyTorch's names, but for a `mask`: there the output of a masked step is the state that is carried over it, here it is 0.
 * @throws ValueError for another merge
 * @example new nn.Bidirectional(new nn.GRU(12, 32), new nn.GRU(12, 32), { merge: 'sum' }).forward(x, { lengths }).output
 */
export class Bidirectional extends Module {
  /** How the two directions come together. */
  readonly merge: Merge

  constructor(
    /** Reads from the first step on. */
    readonly ahead: LSTM | GRU | RNN,
    /** Reads from the last step back. */
    readonly back: LSTM | GRU | RNN,
    options: BidirectionalOptions = {},
  ) {
    super()
    const { merge } = settle('Bidirectional', options, { merge: 'concat' as Merge })
    if (!Object.hasOwn(MERGES, merge)) {
      throw new ValueError(`Bidirectional: merge is ${Object.keys(MERGES).map((name) => `'${name}'`).join(', ')}; got '${String(merge)}'.`, { op: 'Bidirectional' })
    }
    this.merge = merge
    checkPair(this, merge)
  }

  /** `states` are where each direction starts from, zeros if left out. */
  forward(x: Tensor, options: Pick<SequenceOptions<BidirectionalStates>, 'lengths' | 'mask' | 'states'> = {}): BidirectionalOutput {
    if (!(x instanceof Tensor)) throw noTensor('Bidirectional', 'x', x)
    checkOptions('Bidirectional', options, { lengths: 0, mask: 0, states: 0 })
    const { lengths = null, mask = null, states = null } = options
    if (states !== null) checkBoth(states)
    // Each layer is given the states of its own kind, and looks at them.
    const read = (layer: LSTM | GRU | RNN, own: 'ahead' | 'back') => (layer as GRU).forward(x, { lengths, mask, reverse: own === 'back', states: (states?.[own] ?? null) as RecurrentStates | null })
    const [a, b] = [read(this.ahead, 'ahead'), read(this.back, 'back')]
    const merge = MERGES[this.merge]
    const output = merge(a.output, b.output)
    return { output: mask === null ? output : where(mask.unsqueeze(-1), output, 0), hidden: merge(a.hidden, b.hidden), states: { ahead: a.states, back: b.states } }
  }

  override extraRepr(): string {
    return this.merge === 'concat' ? '' : `merge=${this.merge}`
  }
}
