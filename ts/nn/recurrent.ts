// What LSTM, GRU and RNN share: parameters under PyTorch's names, layers on top of each other, both directions, dropout of three kinds.
import { full } from '../create.js'
import { ShapeError, ValueError } from '../errors.js'
import { kindOf } from '../explain.js'
import { dropout } from '../ops/dropout.js'
import { concat } from '../ops/concat.js'
import type { RecurrentOptions } from '../ops/index.js'
import { checkOptions, settle } from '../options.js'
import { type Parameter, Tensor } from '../tensor.js'
import { numbers, positive, sameDType, switches } from './arguments.js'
import { uniformParameter } from './init.js'
import { Module } from './module.js'

/** Options of recurrent layers. */
export interface RecurrentLayerOptions {
  /** Layers on top of each other, each reading the outputs of the one below (1). */
  numLayers?: number
  /** Learned summands (true). */
  bias?: boolean
  /** Inputs and outputs are [N, T, features] (true); false: [T, N, features], PyTorch's default. */
  batchFirst?: boolean
  /** In training, the share of a layer's outputs that the next layer sees as 0, drawn anew for each step: PyTorch's `dropout` (0). */
  dropout?: number
  /** A second set of weights goes through each sequence from its end; outputs are the two side by side (false). */
  bidirectional?: boolean
  /** In training, the share of each layer's input features that are 0 at all steps of a sequence: Keras' `dropout` (0). */
  inputDropout?: number
  /** In training, the share of units that the product with the recurrent weight sees as 0 at all steps of a sequence, alike for all gates: Keras' `recurrent_dropout`, for which Keras 3 draws one mask a gate (0). */
  recurrentDropout?: number
}

/** What a recurrent layer may be given besides its input. */
export interface SequenceOptions<States> {
  /** Steps of each row, int32 [N]; what lies behind them is not looked at, and comes out as 0. */
  lengths?: Tensor | null
  /** bool [N, T]: steps that are passed over, the state carried on, where false. */
  mask?: Tensor | null
  /** From each row's last step to its first (false); outputs keep their places. */
  reverse?: boolean
  /** Where to start from: the `states` of an earlier call, as when a stream comes in pieces. Zeros if left out. Outside of `noGrad` they bring their graph along: training goes on through it, or `detach()` them. */
  states?: States | null
}

/** What the layer of one direction computes; `cell` of an LSTM alone. */
export interface Direction {
  /** [N, T, H] */
  output: Tensor
  /** [N, H] */
  hidden: Tensor
  /** [N, H] */
  cell?: Tensor
}

/** What a recurrent layer gives; D is 2 for both directions, else 1. */
export interface SequenceResult<States> {
  /** h of the last layer at every step, [N, T, D H]; with `projSize` P for H. */
  output: Tensor
  /** h of the last layer after each row's last step, [N, D H]; with `projSize` P for H. */
  hidden: Tensor
  /** The last states of all layers and directions, each [numLayers D, N, H], in PyTorch's order. */
  states: States
}

const DEFAULTS = { numLayers: 1, bias: true, batchFirst: true, dropout: 0, bidirectional: false, inputDropout: 0, recurrentDropout: 0 }

/**
 * The common part of `LSTM`, `GRU` and `RNN`. Parameters: `weightIhL0` [G H, inputSize], `weightHhL0` [G H, H], `biasIhL0` and `biasHhL0` [G H], G being
 * the cell's gates; `L1` for the next layer, `L0Reverse` for the other direction. All start uniform in ±1/√H.
 */
export abstract class Recurrent extends Module {
  /** Layers on top of each other. */
  readonly numLayers: number
  /** Whether there are learned summands. */
  readonly bias: boolean
  /** Whether inputs are [N, T, features], not [T, N, features]. */
  readonly batchFirst: boolean
  /** Between layers, anew for each step. */
  readonly dropout: number
  /** Whether sequences are read from their ends too. */
  readonly bidirectional: boolean
  /** Of input features, for a whole sequence. */
  readonly inputDropout: number
  /** Of the state on its way into the product, for a whole sequence. */
  readonly recurrentDropout: number

  constructor(
    /** Features of a step. */
    readonly inputSize: number,
    /** Units H. */
    readonly hiddenSize: number,
    gates: number,
    options: RecurrentLayerOptions,
    /** Further options and their defaults, which the subclass reads itself. */
    more: object = {},
    /** What each layer and direction has besides weights and biases, by name, `weightHr` for example; it comes to `direction` as `own`. */
    further: Readonly<Record<string, () => Parameter>> = {},
    /** Features of a layer's output. */
    readonly outputSize: number = hiddenSize,
  ) {
    super()
    const layer = new.target.name
    const { numLayers, bias, batchFirst, dropout, bidirectional, inputDropout, recurrentDropout } = settle<RecurrentLayerOptions, typeof DEFAULTS>(layer, options, { ...DEFAULTS, ...more })
    positive(layer, { inputSize, hiddenSize, numLayers })
    switches(layer, { bias, batchFirst, bidirectional })
    numbers(layer, { dropout, inputDropout, recurrentDropout }, 0, 1)
    if (dropout > 0 && numLayers === 1) {
      throw new ValueError(`${layer}: dropout ${dropout} is between layers, and there is one.\n  Raise numLayers, or say inputDropout or recurrentDropout, or put a Dropout behind.`, { op: layer })
    }
    this.numLayers = numLayers
    this.bias = bias
    this.batchFirst = batchFirst
    this.dropout = dropout
    this.bidirectional = bidirectional
    this.inputDropout = inputDropout
    this.recurrentDropout = recurrentDropout
    const bound = 1 / Math.sqrt(hiddenSize)
    for (const { name, layer } of this.#places()) {
      const width = layer === 0 ? inputSize : outputSize * (bidirectional ? 2 : 1)
      const own = this as unknown as Record<string, Parameter>
      own[`weightIh${name}`] = uniformParameter([gates * hiddenSize, width], bound)
      own[`weightHh${name}`] = uniformParameter([gates * hiddenSize, outputSize], bound)
      if (bias) {
        own[`biasIh${name}`] = uniformParameter([gates * hiddenSize], bound)
        own[`biasHh${name}`] = uniformParameter([gates * hiddenSize], bound)
      }
      for (const [key, make] of Object.entries(further)) own[`${key}${name}`] = make()
    }
    this.#further = Object.keys(further)
  }

  /** Names of what places have besides weights and biases. */
  readonly #further: readonly string[]

  #places(): { name: string; layer: number; reverse: boolean }[] {
    const directions = this.bidirectional ? [false, true] : [false]
    return Array.from({ length: this.numLayers }, (_, layer) => directions.map((reverse) => ({ name: `L${layer}${reverse ? 'Reverse' : ''}`, layer, reverse }))).flat()
  }

  /** The parameters of a layer's direction; `place` is `L0`, `L0Reverse`, `L1` ... */
  weights(place: string): { weightIh: Parameter; weightHh: Parameter; biasIh: Parameter | null; biasHh: Parameter | null } {
    const own = this as unknown as Record<string, Parameter | undefined>
    return { weightIh: own[`weightIh${place}`]!, weightHh: own[`weightHh${place}`]!, biasIh: own[`biasIh${place}`] ?? null, biasHh: own[`biasHh${place}`] ?? null }
  }

  #own(place: string): Record<string, Tensor> {
    const own = this as unknown as Record<string, Parameter>
    return Object.fromEntries(this.#further.map((key) => [key, own[`${key}${place}`]!]))
  }

  /** {@link weights} of every layer and direction, in PyTorch's order. */
  everyWeights(): { weightIh: Parameter; weightHh: Parameter; biasIh: Parameter | null; biasHh: Parameter | null }[] {
    return this.#places().map(({ name }) => this.weights(name))
  }

  /** One layer in one direction; `start` are its first states, in the order of the cell's, `own` what the place has besides weights and biases. */
  protected abstract direction(
    x: Tensor, weightIh: Tensor, weightHh: Tensor, options: RecurrentOptions, start: readonly (Tensor | null)[], own: Readonly<Record<string, Tensor>>,
  ): Direction

  /** All layers and directions. `starts`: the first states, each [numLayers D, N, H]. */
  protected run(input: Tensor, starts: readonly (Tensor | null)[], lengths: Tensor | null, mask: Tensor | null, reverse: boolean): SequenceResult<Tensor[]> & { cell: Tensor | null } {
    const name = this.constructor.name
    const order = this.batchFirst ? '[N, T' : '[T, N'
    if (input.ndim !== 3 || input.shape[2] !== this.inputSize) {
      throw new ShapeError(`${name}: the input is [${input.shape.join(', ')}], expected ${order}, ${this.inputSize}].\n  ${input.ndim === 2 ? 'Add the batch dimension with x.unsqueeze(0).' : `Give ${this.inputSize} features a step, or make the layer with another inputSize.`}`, { op: name, shapes: [input.shape] })
    }
    let x = this.batchFirst ? input : input.transpose(0, 1)
    const rows = x.shape[0]!
    const places = this.#places()
    for (const [i, start] of starts.entries()) {
      const wanted = [places.length, rows, i === 0 ? this.outputSize : this.hiddenSize]
      if (start !== null && start.shape.join() !== wanted.join()) {
        throw new ShapeError(`${name}: states must be [numLayers · directions, N, ${i === 0 && this.outputSize !== this.hiddenSize ? 'P' : 'H'}] = [${wanted.join(', ')}], got [${start.shape.join(', ')}].\n  Pass on the states that the layer gave for as many rows.`, { op: name, shapes: [start.shape] })
      }
    }
    const drop = (share: number, width: number): Tensor | null =>
      this.training && share > 0 ? dropout(full([rows, width], 1, { dtype: x.dtype as 'float32', device: x.device }), share, true) : null
    const ends: Direction[] = []
    for (let layer = 0; layer < this.numLayers; layer++) {
      if (layer > 0) x = dropout(x, this.dropout, this.training)
      const both = places.filter((place) => place.layer === layer).map((place) => {
        const { weightIh, weightHh, biasIh, biasHh } = this.weights(place.name)
        sameDType(name, x, weightIh)
        const at = ends.length
        const end = this.direction(x, weightIh, weightHh, {
          biasIh, biasHh, lengths, mask, reverse: place.reverse !== reverse,
          inputMask: drop(this.inputDropout, x.shape[2]!), recurrentMask: drop(this.recurrentDropout, this.outputSize),
        }, starts.map((start) => (start === null ? null : start.select(0, at))), this.#own(place.name))
        ends.push(end)
        return end
      })
      x = both.length === 1 ? both[0]!.output : concat(both.map(({ output }) => output), -1)
    }
    const last = ends.slice(this.bidirectional ? -2 : -1)
    const joined = (parts: Tensor[]): Tensor => (parts.length === 1 ? parts[0]! : concat(parts, -1))
    const stacked = (parts: Tensor[]): Tensor => (parts.length === 1 ? parts[0]!.unsqueeze(0) : concat(parts.map((part) => part.unsqueeze(0)), 0))
    const cells = ends.flatMap(({ cell }) => (cell ? [cell] : []))
    return {
      output: this.batchFirst ? x : x.transpose(0, 1),
      hidden: joined(last.map(({ hidden }) => hidden)),
      cell: cells.length === 0 ? null : joined(last.map(({ cell }) => cell!)),
      states: [stacked(ends.map(({ hidden }) => hidden)), ...(cells.length === 0 ? [] : [stacked(cells)])],
    }
  }

  override flops(inputs: readonly Tensor[]): number {
    const x = inputs[0]!
    const steps = x.size / this.inputSize
    return this.#places().reduce((sum, { name }) => {
      const { weightIh, weightHh } = this.weights(name)
      return sum + 2 * steps * (weightIh.size + weightHh.size + (this.#own(name).weightHr?.size ?? 0))
    }, 0)
  }

  override extraRepr(): string {
    const set = Object.entries(DEFAULTS).flatMap(([name, value]) => {
      const own = (this as unknown as Record<string, unknown>)[name]
      return own === value ? [] : [`${name}=${String(own)}`]
    })
    return [this.inputSize, this.hiddenSize, ...set].join(', ')
  }
}

/** The states that a layer was given, checked. @throws ValueError for what has other names or other things under them */
export function checkStates(layer: string, option: string, states: unknown, names: readonly string[]): void {
  if (states === null || states === undefined) return
  const given = typeof states === 'object' && !(states instanceof Tensor) && !Array.isArray(states) ? Object.keys(states) : null
  const whole = given !== null && given.length === names.length && names.every((name) => (states as Record<string, unknown>)[name] instanceof Tensor)
  if (!whole) {
    throw new ValueError(
      `${layer}: ${option} must be { ${names.join(', ')} }, each a tensor, got ${given === null ? kindOf(states) : `{ ${given.join(', ')} }`}.\n  Pass on what an earlier call gave.`,
      { op: layer },
    )
  }
}

/** The options of a `forward`, checked; `names` are those of the layer's states. */
export function sequenceOptions<States>(layer: string, options: SequenceOptions<States>, names: readonly string[]): { lengths: Tensor | null; mask: Tensor | null; reverse: boolean; states: States | null } {
  checkOptions(layer, options, { lengths: 0, mask: 0, reverse: 0, states: 0 } satisfies Record<keyof SequenceOptions<States>, number>)
  const { lengths = null, mask = null, reverse = false, states = null } = options
  switches(layer, { reverse })
  checkStates(layer, 'states', states, names)
  return { lengths, mask, reverse, states }
}
