// One step of a recurrent layer, for loops by hand.
import { ShapeError } from '../errors.js'
import { settle } from '../options.js'
import { noTensor } from '../explain.js'
import { type Parameter, Tensor } from '../tensor.js'
import { positive, sameDType, switches, wrong } from './arguments.js'
import { uniformParameter } from './init.js'
import { Module } from './module.js'
import { gru, lstm, rnn } from './ops.js'
import { checkStates } from './recurrent.js'

/** Options of the cells. */
export interface RecurrentCellOptions {
  /** Learned summands (true). */
  bias?: boolean
}

abstract class RecurrentCell extends Module {
  /** [G H, inputSize], G being the cell's gates. */
  weightIh: Parameter
  /** [G H, H]. */
  weightHh: Parameter
  /** [G H], or null for none. */
  biasIh: Parameter | null
  /** [G H], or null for none. */
  biasHh: Parameter | null

  constructor(
    /** Features of a step. */
    readonly inputSize: number,
    /** Units H. */
    readonly hiddenSize: number,
    gates: number,
    options: RecurrentCellOptions,
    /** Further options and their defaults, which the subclass reads itself. */
    more: object = {},
  ) {
    super()
    const layer = new.target.name
    const { bias } = settle<RecurrentCellOptions, { bias: boolean }>(layer, options, { bias: true, ...more })
    positive(layer, { inputSize, hiddenSize })
    switches(layer, { bias })
    const bound = 1 / Math.sqrt(hiddenSize)
    const rows = gates * hiddenSize
    this.weightIh = uniformParameter([rows, inputSize], bound)
    this.weightHh = uniformParameter([rows, hiddenSize], bound)
    this.biasIh = bias ? uniformParameter([rows], bound) : null
    this.biasHh = bias ? uniformParameter([rows], bound) : null
  }

  /** Whether x is a step of one row alone, [inputSize]. */
  protected alone(x: unknown): boolean {
    if (!(x instanceof Tensor)) throw noTensor(this.constructor.name, 'x', x)
    return x.ndim === 1
  }

  /** x [N, inputSize] as a sequence of one step. */
  protected step(x: Tensor): Tensor {
    const name = this.constructor.name
    if (x.ndim !== 2 || x.shape[1] !== this.inputSize) {
      throw new ShapeError(`${name}: the input is [${x.shape.join(', ')}], expected one step [N, ${this.inputSize}].\n  Whole sequences go through ${name.replace('Cell', '')}.`, { op: name, shapes: [x.shape] })
    }
    sameDType(name, x, this.weightIh)
    return x.unsqueeze(1)
  }

  /** h as the next step starts from it. */
  protected state(h: unknown): Tensor | null {
    if (h === null || h instanceof Tensor) return h
    throw noTensor(this.constructor.name, 'h', h)
  }

  protected get biases(): { biasIh: Tensor | null; biasHh: Tensor | null } {
    return { biasIh: this.biasIh, biasHh: this.biasHh }
  }

  override extraRepr(): string {
    return `${this.inputSize}, ${this.hiddenSize}${this.biasIh === null ? ', bias=false' : ''}`
  }
}

/**
 * One step of an `LSTM`: x [N, inputSize], state { h, c } each [N, H] (zeros if left out) -> the next state. A row alone is x [inputSize] and states [H].
 * PyTorch: `nn.LSTMCell`.
 * @example for (const x of steps) state = cell.forward(x, state)
 */
export class LSTMCell extends RecurrentCell {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentCellOptions = {}) {
    super(inputSize, hiddenSize, 4, options)
  }

  forward(x: Tensor, state: { h: Tensor; c: Tensor } | null = null): { h: Tensor; c: Tensor } {
    checkStates('LSTMCell', 'the state', state, ['h', 'c'])
    if (this.alone(x)) {
      const { h, c } = this.forward(x.unsqueeze(0), state && { h: state.h.unsqueeze(0), c: state.c.unsqueeze(0) })
      return { h: h.squeeze(0), c: c.squeeze(0) }
    }
    const { hidden, cell } = lstm(this.step(x), this.weightIh, this.weightHh, { ...this.biases, h0: state?.h ?? null, c0: state?.c ?? null })
    return { h: hidden, c: cell }
  }
}

/**
 * One step of a `GRU`: x [N, inputSize], h [N, H] (zeros if left out) -> the next h; x [inputSize] and h [H] for a row alone. `resetAfter` as in `GRU`. PyTorch:
 * `nn.GRUCell`.
 */
export class GRUCell extends RecurrentCell {
  /** Whether r multiplies what the recurrent weight gives. */
  readonly resetAfter: boolean

  constructor(inputSize: number, hiddenSize: number, options: RecurrentCellOptions & { resetAfter?: boolean } = {}) {
    super(inputSize, hiddenSize, 3, options, { resetAfter: true })
    const { resetAfter = true } = options
    switches('GRUCell', { resetAfter })
    this.resetAfter = resetAfter
  }

  forward(x: Tensor, h: Tensor | null = null): Tensor {
    if (this.alone(x)) return this.forward(x.unsqueeze(0), this.state(h)?.unsqueeze(0)).squeeze(0)
    return gru(this.step(x), this.weightIh, this.weightHh, { ...this.biases, h0: this.state(h), resetAfter: this.resetAfter }).hidden
  }

  override extraRepr(): string {
    return super.extraRepr() + (this.resetAfter ? '' : ', resetAfter=false')
  }
}

/** One step of an `RNN`: x [N, inputSize], h [N, H] (zeros if left out) -> the next h; x [inputSize] and h [H] for a row alone. PyTorch: `nn.RNNCell`. */
export class RNNCell extends RecurrentCell {
  /** What the sum goes through. */
  readonly nonlinearity: 'tanh' | 'relu'

  constructor(inputSize: number, hiddenSize: number, options: RecurrentCellOptions & { nonlinearity?: 'tanh' | 'relu' } = {}) {
    super(inputSize, hiddenSize, 1, options, { nonlinearity: 'tanh' })
    const { nonlinearity = 'tanh' } = options
    if (nonlinearity !== 'tanh' && nonlinearity !== 'relu') throw wrong('RNNCell', 'nonlinearity', "'tanh' or 'relu'", nonlinearity)
    this.nonlinearity = nonlinearity
  }

  forward(x: Tensor, h: Tensor | null = null): Tensor {
    if (this.alone(x)) return this.forward(x.unsqueeze(0), this.state(h)?.unsqueeze(0)).squeeze(0)
    return rnn(this.step(x), this.weightIh, this.weightHh, { ...this.biases, h0: this.state(h), nonlinearity: this.nonlinearity }).hidden
  }
}
