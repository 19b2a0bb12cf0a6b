import type { RecurrentOptions } from '../ops/index.js'
import type { Tensor } from '../tensor.js'
import { wrong } from './arguments.js'
import type { RecurrentStates } from './gru.js'
import { rnn } from './ops.js'
import { type Direction, Recurrent, type RecurrentLayerOptions, type SequenceOptions, sequenceOptions, type SequenceResult } from './recurrent.js'

/** Options of {@link RNN}. */
export interface RnnLayerOptions extends RecurrentLayerOptions {
  /** 'tanh' (the default) or 'relu'. */
  nonlinearity?: 'tanh' | 'relu'
}

/**
 * The plain recurrent layer (Elman 1990): h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), f tanh or ReLU. x [N, T, inputSize] -> output [N, T, D H].
 * PyTorch: `nn.RNN(batch_first=True)`; Keras: `SimpleRNN`. An output layer y_t = g(V h_t + c) is a `Linear` on `output`, or on `hidden` for the last step alone.
 * @throws ShapeError where the input is not [N, T, inputSize]
 */
export class RNN extends Recurrent {
  /** What the sum goes through. */
  readonly nonlinearity: 'tanh' | 'relu'

  constructor(inputSize: number, hiddenSize: number, options: RnnLayerOptions = {}) {
    super(inputSize, hiddenSize, 1, options, { nonlinearity: 'tanh' })
    const { nonlinearity = 'tanh' } = options
    if (nonlinearity !== 'tanh' && nonlinearity !== 'relu') throw wrong('RNN', 'nonlinearity', "'tanh' or 'relu'", nonlinearity)
    this.nonlinearity = nonlinearity
  }

  forward(x: Tensor, options: SequenceOptions<RecurrentStates> = {}): SequenceResult<RecurrentStates> {
    const { lengths, mask, reverse, states } = sequenceOptions(this.constructor.name, options, ['h'])
    const { output, hidden, states: [h] } = this.run(x, [states?.h ?? null], lengths, mask, reverse)
    return { output, hidden, states: { h: h! } }
  }

  protected direction(x: Tensor, weightIh: Tensor, weightHh: Tensor, options: RecurrentOptions, [h0 = null]: readonly (Tensor | null)[]): Direction {
    return rnn(x, weightIh, weightHh, { ...options, h0, nonlinearity: this.nonlinearity })
  }

  override extraRepr(): string {
    return super.extraRepr() + (this.nonlinearity === 'tanh' ? '' : `, nonlinearity=${this.nonlinearity}`)
  }
}
