import { ShapeError, ValueError } from '../errors.js'
import { aboveZero, numbers, positive, switches } from '../nn/arguments.js'
import { Dropout } from '../nn/dropout.js'
import { GRU } from '../nn/gru.js'
import { Linear } from '../nn/linear.js'
import { LSTM } from '../nn/lstm.js'
import { Module } from '../nn/module.js'
import { settle } from '../options.js'
import type { Tensor } from '../tensor.js'
import { checkAlone } from './inputs.js'

/** Options of `forecaster`. */
export interface ForecasterOptions {
  /** Series that are read, and told, side by side (1). */
  inputs?: number
  /** Steps to tell (12). */
  horizon?: number
  /** Units of each layer (32). */
  hidden?: number
  /** Layers on top of each other (1). */
  numLayers?: number
  /** What the layers are ('gru'). */
  cell?: 'gru' | 'lstm'
  /** The share of the last state's units that the head sees as 0 in training (0). */
  dropout?: number
  /** Whether each window is brought to a mean of 0 and a deviation of 1, and what is told back to its scale (true). */
  normalize?: boolean
  /** Added to a window's variance before its root is taken, for windows that do not change (1e-5). */
  eps?: number
}

/**
 * The next steps of numeric series from a window of the last ones: GRU or LSTM layers over the window, a Linear from the last state to all steps at once.
 * Each window is scaled by its own mean and deviation, and the forecast scaled back (as reversible instance normalisation does, Kim et al. 2022, without its
 * learned factors): nothing of the future enters, and a series that grows stays within what was learned.
 * x [N, T, inputs] -> [N, horizon, inputs], in x's units; T may differ from call to call.
 * @example new Trainer(forecaster({ horizon: 12 }), { optimizer: 'adam', loss: 'mse' })
 */
export class Forecaster extends Module {
  /** The options it was made with, defaults filled in. */
  readonly config: Required<ForecasterOptions>
  /** Reads a window step by step. */
  rnn: GRU | LSTM
  /** In front of the head. */
  dropout: Dropout
  /** From the last state to the steps, those of one step side by side. */
  head: Linear

  constructor(options: ForecasterOptions = {}) {
    super()
    const config = settle('forecaster', options, {
      inputs: 1, horizon: 12, hidden: 32, numLayers: 1, cell: 'gru' as 'gru' | 'lstm', dropout: 0, normalize: true, eps: 1e-5,
    })
    const { inputs, horizon, hidden, numLayers, cell, dropout, normalize, eps } = config
    positive('forecaster', { inputs, horizon, hidden, numLayers })
    numbers('forecaster', { dropout }, 0, 1)
    switches('forecaster', { normalize })
    aboveZero('forecaster', { eps })
    if (cell !== 'gru' && cell !== 'lstm') throw new ValueError(`forecaster: cell is 'gru' or 'lstm', got '${String(cell)}'.`, { op: 'forecaster' })
    this.config = config
    this.rnn = new (cell === 'gru' ? GRU : LSTM)(inputs, hidden, { numLayers })
    this.dropout = new Dropout(dropout)
    this.head = new Linear(hidden, horizon * inputs)
  }

  forward(x: Tensor): Tensor {
    checkAlone('forecaster', 'x', x)
    const { inputs, horizon, normalize, eps } = this.config
    if (x.ndim !== 3 || x.shape[2] !== inputs || x.shape[1] === 0) {
      throw new ShapeError(
        `forecaster: the input must be [N, T, ${inputs}] with T of at least 1, got [${x.shape.join(', ')}].`
          + (x.ndim === 2 && inputs === 1 ? '\n  Use x.unsqueeze(-1) for one series.' : ''),
        { op: 'forecaster', shapes: [x.shape] },
      )
    }
    const tell = (window: Tensor): Tensor => this.head.forward(this.dropout.forward(this.rnn.forward(window).hidden)).reshape([-1, horizon, inputs])
    if (!normalize) return tell(x)
    const mean = x.mean([1], { keepdim: true })
    const deviation = x.var([1], { correction: 0, keepdim: true }).add(eps).sqrt()
    return tell(x.sub(mean).div(deviation)).mul(deviation).add(mean)
  }
}

/** Recurrent layers that tell the next steps of series. @see Forecaster */
export function forecaster(options: ForecasterOptions = {}): Forecaster {
  return new Forecaster(options)
}
