import { ValueError } from '../errors.js'
import { kindOf } from '../explain.js'
import { concat } from '../ops/concat.js'
import { where } from '../ops/where.js'
import { checkOptions, settle } from '../options.js'
import type { Tensor } from '../tensor.js'
import type { GRU } from './gru.js'
import type { LSTM } from './lstm.js'
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

/** What {@link Bidirectional} gives. */
export interface BidirectionalOutput {
  /** Of every step, [N, T, 2 H] with 'concat', else [N, T, H]; 0 at masked steps, as in Keras. */
  output: Tensor
  /** After the last step of each direction, [N, 2 H] or [N, H]. */
  hidden: Tensor
}

/**
 * Two recurrent layers over the same sequences, the second from each row's last step to its first (Schuster & Paliwal 1997; Graves & Schmidhuber 2005).
 * Keras: `Bidirectional`, with the second layer given. Where both are alike and lie side by side, `bidirectional: true` of a layer does the same under
 * PyTorch's names.
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

  forward(x: Tensor, options: Pick<SequenceOptions<never>, 'lengths' | 'mask'> = {}): BidirectionalOutput {
    checkOptions('Bidirectional', options, { lengths: 0, mask: 0 })
    const [a, b] = [this.ahead.forward(x, options), this.back.forward(x, { ...options, reverse: true })]
    const merge = MERGES[this.merge]
    const output = merge(a.output, b.output)
    return { output: options.mask ? where(options.mask.unsqueeze(-1), output, 0) : output, hidden: merge(a.hidden, b.hidden) }
  }

  override extraRepr(): string {
    return this.merge === 'concat' ? '' : `merge=${this.merge}`
  }
}
