import { ValueError } from '../errors.js'
import type { RecurrentOptions } from '../ops/index.js'
import type { Tensor } from '../tensor.js'
import { integers, switches } from './arguments.js'
import { constantParameter, uniformParameter } from './init.js'
import { lstm } from './ops.js'
import { type Direction, Recurrent, type RecurrentLayerOptions, type SequenceOptions, sequenceOptions, type SequenceResult } from './recurrent.js'

/** Options of {@link LSTM}. */
export interface LstmLayerOptions extends RecurrentLayerOptions {
  /** Features P of h, fewer than there are cells: h_t = W_hr (o tanh(c_t)), `weightHrL0` [P, H] (Sak et al. 2014). 0, the default: as many. PyTorch: `proj_size`. */
  projSize?: number
  /** The gates see the cells: `peepholeL0` [3 H], factors of c_{t-1} for i and f, of c_t for o (Gers et al. 2002) (false). */
  peephole?: boolean
  /** The sums of inputs and of states, and c on its way out, are normalised: `normIhL0`, `normHhL0` [4 H], `normCL0`, `biasCL0` [H] (Ba et al. 2016) (false). */
  layerNorm?: boolean
}

/** The states of an {@link LSTM}. */
export interface LstmStates {
  /** The last outputs, [numLayers D, N, H]; with `projSize` P for H. */
  h: Tensor
  /** The last cells, [numLayers D, N, H]. */
  c: Tensor
}

/** What an {@link LSTM} gives. */
export interface LstmOutput extends SequenceResult<LstmStates> {
  /** c of the last layer after each row's last step, [N, D H]. */
  cell: Tensor
}

const MORE = { projSize: 0, peephole: false, layerNorm: false }

/**
 * Long short-term memory (Hochreiter & Schmidhuber 1997): i, f, o = σ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), g = tanh(...),
 * c_t = f c_{t-1} + i g, h_t = o tanh(c_t), gates in the order i, f, g, o (Keras' i, f, c, o). x [N, T, inputSize] -> output [N, T, D H].
 * PyTorch: `nn.LSTM(batch_first=True)`; Keras: `LSTM`, with `inputDropout` for `dropout` and `recurrentDropout` for `recurrent_dropout`.
 * Projections, peepholes and normalised sums are options.
 * @throws ShapeError where the input is not [N, T, inputSize]
 * @example
 * const lstm = new nn.LSTM(128, 128, { inputDropout: 0.2, recurrentDropout: 0.2 })
 * const { output, hidden } = lstm.forward(x, { lengths })
 */
export class LSTM extends Recurrent {
  /** Features of h where they are fewer than the cells, else 0. */
  readonly projSize: number
  /** Whether the gates see the cells. */
  readonly peephole: boolean
  /** Whether sums and cells are normalised. */
  readonly layerNorm: boolean

  constructor(inputSize: number, hiddenSize: number, options: LstmLayerOptions = {}) {
    // What is no object of options is refused by the base.
    const { projSize = 0, peephole = false, layerNorm = false } = options ?? {}
    integers('LSTM', { projSize }, 0)
    const bound = 1 / Math.sqrt(hiddenSize)
    const constant = (width: number, value: number) => () => constantParameter([width], value)
    super(inputSize, hiddenSize, 4, options, MORE, {
      ...(projSize > 0 && { weightHr: () => uniformParameter([projSize, hiddenSize], bound) }),
      ...(peephole && { peephole: () => uniformParameter([3 * hiddenSize], bound) }),
      ...(layerNorm && { normIh: constant(4 * hiddenSize, 1), normHh: constant(4 * hiddenSize, 1), normC: constant(hiddenSize, 1), biasC: constant(hiddenSize, 0) }),
    }, projSize > 0 ? projSize : hiddenSize)
    switches('LSTM', { peephole, layerNorm })
    if (projSize >= hiddenSize) throw new ValueError(`LSTM: projSize ${projSize} is to be below hiddenSize ${hiddenSize}.\n  Leave it out for as many features as there are cells.`, { op: 'LSTM' })
    this.projSize = projSize
    this.peephole = peephole
    this.layerNorm = layerNorm
  }

  forward(x: Tensor, options: SequenceOptions<LstmStates> = {}): LstmOutput {
    const { lengths, mask, reverse, states } = sequenceOptions(this.constructor.name, options, ['h', 'c'])
    const { output, hidden, cell, states: [h, c] } = this.run(x, [states?.h ?? null, states?.c ?? null], lengths, mask, reverse)
    return { output, hidden, cell: cell!, states: { h: h!, c: c! } }
  }

  protected direction(
    x: Tensor, weightIh: Tensor, weightHh: Tensor, options: RecurrentOptions, [h0 = null, c0 = null]: readonly (Tensor | null)[], own: Readonly<Record<string, Tensor>>,
  ): Direction {
    return lstm(x, weightIh, weightHh, { ...options, ...own, h0, c0 })
  }

  override extraRepr(): string {
    const set = Object.entries(MORE).flatMap(([name, value]) => (this[name as keyof typeof MORE] === value ? [] : [`${name}=${String(this[name as keyof typeof MORE])}`]))
    return [super.extraRepr(), ...set].join(', ')
  }
}
