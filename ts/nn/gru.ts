import type { RecurrentOptions } from '../ops/index.js'
import type { Tensor } from '../tensor.js'
import { switches } from './arguments.js'
import { gru } from './ops.js'
import { type Direction, Recurrent, type RecurrentLayerOptions, type SequenceOptions, sequenceOptions, type SequenceResult } from './recurrent.js'

/** The states of a {@link GRU} or `RNN`, [numLayers D, N, H]. */
export interface RecurrentStates {
  /** The last outputs. */
  h: Tensor
}

/** Options of {@link GRU}. */
export interface GruLayerOptions extends RecurrentLayerOptions {
  /**
   * Whether r multiplies what the recurrent weight gives (true), or the state that enters it: n = tanh(W_in x_t + b_in + W_hn (r h_{t-1}) + b_hn), as in Cho
   * et al. 2014, Keras' `reset_after=False` and ONNX' `linear_before_reset=0`.
   */
  resetAfter?: boolean
}

/**
 * Gated recurrent unit (Cho et al. 2014): r, z = σ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn)),
 * h_t = (1 - z) n + z h_{t-1}, gates in the order r, z, n (Keras' is z, r, h). x [N, T, inputSize] -> output [N, T, D H].
 * PyTorch: `nn.GRU(batch_first=True)`; Keras: `GRU(reset_after=True)`, its default.
 * @throws ShapeError where the input is not [N, T, inputSize]
 * @example const { hidden } = new nn.GRU(13, 64, { bidirectional: true }).forward(x, { lengths })
 */
export class GRU extends Recurrent {
  /** Whether r multiplies what the recurrent weight gives. */
  readonly resetAfter: boolean

  constructor(inputSize: number, hiddenSize: number, options: GruLayerOptions = {}) {
    super(inputSize, hiddenSize, 3, options, { resetAfter: true })
    const { resetAfter = true } = options
    switches('GRU', { resetAfter })
    this.resetAfter = resetAfter
  }

  forward(x: Tensor, options: SequenceOptions<RecurrentStates> = {}): SequenceResult<RecurrentStates> {
    const { lengths, mask, reverse, states } = sequenceOptions(this.constructor.name, options, ['h'])
    const { output, hidden, states: [h] } = this.run(x, [states?.h ?? null], lengths, mask, reverse)
    return { output, hidden, states: { h: h! } }
  }

  protected direction(x: Tensor, weightIh: Tensor, weightHh: Tensor, options: RecurrentOptions, [h0 = null]: readonly (Tensor | null)[]): Direction {
    return gru(x, weightIh, weightHh, { ...options, h0, resetAfter: this.resetAfter })
  }

  override extraRepr(): string {
    return super.extraRepr() + (this.resetAfter ? '' : ', resetAfter=false')
  }
}
