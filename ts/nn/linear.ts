import { autocasting, castable } from '../autocast.js'
import { type FloatDType, isFloat } from '../dtype.js'
import { ShapeError } from '../errors.js'
import { settle } from '../options.js'
import type { Parameter, Tensor } from '../tensor.js'
import { positive, sameDType, switches } from './arguments.js'
import { uniformParameter } from './init.js'
import { Module } from './module.js'
import { linear } from './ops.js'
import { persistent } from '../persistent.js'

/** Options of `Linear`. */
export interface LinearOptions {
  /** Adds a learned bias (true). */
  bias?: boolean
}

/**
 * y = x weightᵀ + bias over the last dimension: [..., inFeatures] -> [..., outFeatures]; weight [outFeatures, inFeatures].
 * Both start uniform in ±1/√inFeatures. PyTorch: `nn.Linear`; Keras: `Dense`.
 * @throws ShapeError where the last dimension is not `inFeatures`.
 */
export class Linear extends Module {
  /** [outFeatures, inFeatures], uniform within ±1 / √inFeatures at first. */
  weight: Parameter
  /** [outFeatures], or null for none. */
  bias: Parameter | null

  constructor(
    /** Size of the last dimension of the input. */
    readonly inFeatures: number,
    /** Size of the last dimension of the output. */
    readonly outFeatures: number,
    options: LinearOptions = {},
  ) {
    super()
    const { bias } = settle('Linear', options, { bias: true })
    positive('Linear', { inFeatures, outFeatures })
    switches('Linear', { bias })
    const bound = 1 / Math.sqrt(inFeatures)
    this.weight = uniformParameter([outFeatures, inFeatures], bound)
    this.bias = bias ? uniformParameter([outFeatures], bound) : null
  }

  forward(x: Tensor): Tensor {
    checkFeatures(this, x)
    return linear(x, this.weight, this.bias)
  }

  /** ReLU of `forward` in one pass over memory; the same bits. `Sequential` calls it where a ReLU follows. */
  forwardRelu(x: Tensor): Tensor {
    checkFeatures(this, x)
    return linear(x, this.weight, this.bias, { activation: 'relu' })
  }

  override flops(_inputs: readonly Tensor[], output: Tensor): number {
    return output.size * (2 * this.inFeatures + (this.bias === null ? 0 : 1))
  }

  override extraRepr(): string {
    return `${this.inFeatures}, ${this.outFeatures}${this.bias === null ? ', bias=false' : ''}`
  }
}

function checkFeatures(layer: Linear, x: Tensor): void {
  const features = x.shape[x.shape.length - 1]
  if (features === layer.inFeatures) return sameDType('Linear', x, layer.weight)
  throw new ShapeError(wrongFeatures('the input', features, layer, x.shape), { op: 'linear', shapes: [x.shape, layer.weight.shape] })
}

/** The message for a Linear behind something of another size: "Flatten gives 1024, Linear expects 1600: ...". */
export function wrongFeatures(giver: string, features: number | undefined, layer: Linear, shape: readonly number[]): string {
  const wanted = layer.inFeatures
  if (features === undefined) return `Linear: ${giver} has no dimensions, Linear expects [..., ${wanted}]. Use x.reshape([1, ${wanted}])`
  const gives = giver === 'the input' ? `Linear: the input has ${features} features` : `${giver} gives ${features}`
  return `${gives} (shape [${shape.join(', ')}]), Linear expects ${layer.inFeatures}: ` +
    `use new nn.Linear(${features}, ${layer.outFeatures}) or new nn.LazyLinear(${layer.outFeatures})`
}

/**
 * A Linear that takes `inFeatures` from its first input (or from the state dict it loads). Until then `parameters()` throws: run the model
 * once,
 * or `summary(model, inputShape)`, before making an optimizer. PyTorch: `nn.LazyLinear`.
 */
export class LazyLinear extends Module {
  /** [outFeatures, inFeatures]; null until the first input. */
  weight: Parameter | null = null
  /** [outFeatures]; null for none, and until the first input. */
  bias: Parameter | null = null
  readonly #bias: boolean

  constructor(
    /** Size of the last dimension of the output. */
    readonly outFeatures: number,
    options: LinearOptions = {},
  ) {
    super()
    const { bias } = settle('LazyLinear', options, { bias: true })
    positive('LazyLinear', { outFeatures })
    switches('LazyLinear', { bias })
    this.#bias = bias
  }

  override get isLazy(): boolean {
    return this.weight === null
  }

  override materialize(shapeOf: (key: string) => readonly number[] | undefined): void {
    const inFeatures = shapeOf('weight')?.[1]
    if (inFeatures !== undefined && this.isLazy) this.#create(inFeatures, 'float32')
  }

  forward(x: Tensor): Tensor {
    const inFeatures = x.shape[x.shape.length - 1] as number
    if (this.weight === null) {
      // Under autocast a bfloat16 input says nothing about the weights, which are float32 there.
      this.#create(inFeatures, isFloat(x.dtype) && !(autocasting && castable(x)) ? x.dtype : 'float32')
    } else if (this.weight.shape[1] !== inFeatures) {
      throw new ShapeError(`LazyLinear: the first input had ${this.weight.shape[1]} features, this one has ${inFeatures}`, {
        op: 'linear', shapes: [x.shape, this.weight.shape],
      })
    }
    sameDType('LazyLinear', x, this.weight as unknown as Parameter)
    // `summary` comes with shapes alone: the weights are made for good, and their shapes lent to it.
    const like = (p: Parameter | null): Tensor | null => (p !== null && x.device === 'meta' ? p.detach().to('meta') : p)
    return linear(x, like(this.weight) as Tensor, like(this.bias))
  }

  #create(inFeatures: number, dtype: FloatDType): void {
    positive('LazyLinear', { inFeatures })
    const bound = 1 / Math.sqrt(inFeatures)
    // The first input may come while a step is being recorded: the weights are no part of that program.
    persistent(() => {
      this.weight = uniformParameter([this.outFeatures, inFeatures], bound, dtype)
      this.bias = this.#bias ? uniformParameter([this.outFeatures], bound, dtype) : null
    })
  }

  override flops(inputs: readonly Tensor[], output: Tensor): number {
    return output.size * (2 * (inputs[0]?.shape.at(-1) ?? 0) + (this.#bias ? 1 : 0))
  }

  override extraRepr(): string {
    return `${this.weight?.shape[1] ?? '?'}, ${this.outFeatures}${this.#bias ? '' : ', bias=false'}`
  }
}
