import type { RecurrentOptions } from '../ops/index.js'
import type { Tensor } from '../tensor.js'
import { lstm } from './ops.js'
import { type Direction, Recurrent, type RecurrentLayerOptions, type SequenceOptions, sequenceOptions, type SequenceResult } from './recurrent.js'

/** The states of an {@link LSTM}, each [numLayers D, N, H]. */
export interface LstmStates {
  /** The last outputs. */
  h: Tensor
  /** The last cells. */
  c: Tensor
}

/** What an {@link LSTM} gives. */
export interface LstmOutput extends SequenceResult<LstmStates> {
  /** c of the last layer after each row's last step, [N, D H]. */
  cell: Tensor
}

/**
 * Long short-term memory (Hochreiter & Schmidhuber 1997): i, f, o = σ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), g = tanh(...),
 * c_t = f c_{t-1} + i g, h_t = o tanh(c_t), gates in the order i, f, g, o (Keras' i, f, c, o). x [N, T, inputSize] -> output [N, T, D H].
 * PyTorch: `nn.LSTM(batch_first=True)`; Keras: `LSTM`, with `inputDropout` for `dropout` and `recurrentDropout` for `recurrent_dropout`.
 * @throws ShapeError where the input is not [N, T, inputSize]
 * @example
 * const lstm = new nn.LSTM(128, 128, { inputDropout: 0.2, recurrentDropout: 0.2 })
 * const { output, hidden } = lstm.forward(x, { lengths })
 */
export class LSTM extends Recurrent {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentLayerOptions = {}) {
    super(inputSize, hiddenSize, 4, options)
  }

  forward(x: Tensor, options: SequenceOptions<LstmStates> = {}): LstmOutput {
    const { lengths, mask, reverse, states } = sequenceOptions(this.constructor.name, options)
    const { output, hidden, cell, states: [h, c] } = this.run(x, [states?.h ?? null, states?.c ?? null], lengths, mask, reverse)
    return { output, hidden, cell: cell!, states: { h: h!, c: c! } }
  }

  protected direction(x: Tensor, weightIh: Tensor, weightHh: Tensor, options: RecurrentOptions, [h0 = null, c0 = null]: readonly (Tensor | null)[]): Direction {
    return lstm(x, weightIh, weightHh, { ...options, h0, c0 })
  }
}
