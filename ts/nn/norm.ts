import { full, zeros } from '../create.js'
import { ShapeError, ValueError } from '../errors.js'
import type { Activation } from '../ops/activation-code.js'
import { settle } from '../options.js'
import { buffer, type Parameter, type Tensor } from '../tensor.js'
import { numbers, positive, switches } from './arguments.js'
import { constantParameter } from './init.js'
import { Module } from './module.js'
import { batchNorm, groupNorm, layerNorm } from './ops.js'

/** Options of batch normalisation. */
export interface BatchNormOptions {
  /** Added to the variance under the root (1e-5). */
  eps?: number
  /** How far the running statistics move towards each batch's (0.1); null averages over all batches. Keras' momentum is 1 - this. */
  momentum?: number | null
  /** Learns a factor and a summand a channel (true). */
  affine?: boolean
  /** Keeps running statistics for evaluation (true); without them the batch's own are used there too. */
  trackRunningStats?: boolean
}

/** Operations an element: two for the mean, three for the variance, two to normalise, two to scale and shift. */
const FLOPS_AN_ELEMENT = 9

abstract class BatchNorm extends Module {
  weight: Parameter | null
  bias: Parameter | null
  runningMean: Tensor | null
  runningVar: Tensor | null
  numBatchesTracked: Tensor | null
  readonly eps: number
  readonly momentum: number | null

  constructor(readonly numFeatures: number, options: BatchNormOptions = {}) {
    super()
    const layer = new.target.name
    const { eps, momentum, affine, trackRunningStats } = settle(layer, options, {
      eps: 1e-5, momentum: 0.1, affine: true, trackRunningStats: true,
    })
    positive(layer, { numFeatures })
    numbers(layer, { eps }, 0)
    if (momentum !== null) numbers(layer, { momentum }, 0, 1)
    switches(layer, { affine, trackRunningStats })
    this.eps = eps
    this.momentum = momentum
    this.weight = affine ? constantParameter([numFeatures], 1) : null
    this.bias = affine ? constantParameter([numFeatures], 0) : null
    this.runningMean = trackRunningStats ? buffer(zeros([numFeatures])) : null
    this.runningVar = trackRunningStats ? buffer(full([numFeatures], 1)) : null
    this.numBatchesTracked = trackRunningStats ? buffer(zeros([], { dtype: 'int64' })) : null
  }

  /** How many dimensions an input may have. */
  protected abstract readonly ranks: readonly number[]

  forward(x: Tensor): Tensor {
    return this.#normalise(x, null, 'none')
  }

  /**
   * ReLU of `forward`, to which `residual` is added first where there is one, in the same pass over memory; the same bits. `Sequential` calls
   * it where a ReLU follows.
   */
  forwardRelu(x: Tensor, residual: Tensor | null = null): Tensor {
    return this.#normalise(x, residual, 'relu')
  }

  #normalise(x: Tensor, residual: Tensor | null, activation: Activation): Tensor {
    const { weight, bias, runningMean, runningVar, numBatchesTracked: numBatches, momentum, eps } = this
    if (!this.ranks.includes(x.ndim) || x.shape[x.ndim - 1] !== this.numFeatures) {
      const { name } = this.constructor
      const second = x.shape[1] === this.numFeatures
      const expected = `${this.ranks.join(' or ')} dimensions, the last of ${this.numFeatures} channels`
      throw new ShapeError(
        `${name}: the input is [${x.shape.join(', ')}], expected ${expected}. ` +
          (second ? 'Channels are last here: use x.movedim(1, -1)' : `Use new nn.${name}(${x.shape[x.ndim - 1]})`),
        { op: 'batchNorm', shapes: [x.shape] },
      )
    }
    const training = this.training || runningMean === null
    return batchNorm(x, { weight, bias, runningMean, runningVar, numBatches, training, momentum, eps, residual, activation })
  }

  override flops(inputs: readonly Tensor[]): number {
    return (inputs[0]?.size ?? 0) * FLOPS_AN_ELEMENT
  }

  override extraRepr(): string {
    return `${this.numFeatures}, eps=${this.eps}, momentum=${this.momentum}` +
      (this.weight === null ? ', affine=false' : '') + (this.runningMean === null ? ', trackRunningStats=false' : '')
  }
}

/**
 * Normalises each channel over batch, height and width: [N, H, W, C] -> the same. In training by the batch, whose statistics move the
 * running ones
 * (their variance unbiased); in evaluation by the running ones. `requiresGrad_(false)` freezes factors and summands alone, and `fit` undoes
 * `eval()`: to freeze the statistics too (Keras: `trainable = false`) override `train`, see `Module.train`.
 * Ioffe & Szegedy, 2015. PyTorch: `nn.BatchNorm2d`.
 */
export class BatchNorm2d extends BatchNorm {
  protected get ranks(): readonly number[] {
    return [4]
  }
}

/**
 * Normalises each feature over the batch: [N, C], or each channel of sequences [N, T, C]. As `BatchNorm2d` otherwise. PyTorch:
 * `nn.BatchNorm1d`.
 */
export class BatchNorm1d extends BatchNorm {
  protected get ranks(): readonly number[] {
    return [2, 3]
  }
}

/** Options of `LayerNorm`. */
export interface LayerNormOptions {
  /** Added to the variance under the root (1e-5). */
  eps?: number
  /** Learns a factor an element (true). */
  elementwiseAffine?: boolean
  /** Learns a summand an element too (true). */
  bias?: boolean
}

/** Normalises each example over its last dimensions, whose sizes are `normalizedShape`. Ba et al., 2016. PyTorch: `nn.LayerNorm`. */
export class LayerNorm extends Module {
  /** Sizes of the last dimensions, which are normalised together. */
  readonly normalizedShape: readonly number[]
  /** Added to the variance before the root is taken. */
  readonly eps: number
  /** Factors of `normalizedShape`, 1 at first; null without `elementwiseAffine`. */
  weight: Parameter | null
  /** Summands of `normalizedShape`, 0 at first; null without `elementwiseAffine`, or without `bias`. */
  bias: Parameter | null

  constructor(normalizedShape: number | readonly number[], options: LayerNormOptions = {}) {
    super()
    const { eps, elementwiseAffine, bias } = settle('LayerNorm', options, { eps: 1e-5, elementwiseAffine: true, bias: true })
    this.normalizedShape = Array.isArray(normalizedShape) ? [...(normalizedShape as number[])] : [normalizedShape as number]
    if (this.normalizedShape.length === 0) throw new ValueError('LayerNorm: normalizedShape names the last dimensions, at least one; got []')
    for (const size of this.normalizedShape) positive('LayerNorm', { normalizedShape: size })
    numbers('LayerNorm', { eps }, 0)
    switches('LayerNorm', { elementwiseAffine, bias })
    this.eps = eps
    this.weight = elementwiseAffine ? constantParameter(this.normalizedShape, 1) : null
    this.bias = elementwiseAffine && bias ? constantParameter(this.normalizedShape, 0) : null
  }

  forward(x: Tensor): Tensor {
    return layerNorm(x, this.normalizedShape, { weight: this.weight, bias: this.bias, eps: this.eps })
  }

  override flops(inputs: readonly Tensor[]): number {
    return (inputs[0]?.size ?? 0) * FLOPS_AN_ELEMENT
  }

  override extraRepr(): string {
    return `[${this.normalizedShape.join(', ')}], eps=${this.eps}${this.weight === null ? ', elementwiseAffine=false' : ''}`
  }
}

/** Options of `GroupNorm`. */
export interface GroupNormOptions {
  /** Added to the variance under the root (1e-5). */
  eps?: number
  /** Learns a factor and a summand a channel (true). */
  affine?: boolean
}

/** Normalises each example over groups of channels and all positions: [N, ..., C]. Wu & He, 2018. PyTorch: `nn.GroupNorm`. */
export class GroupNorm extends Module {
  /** Added to the variance before the root is taken. */
  readonly eps: number
  /** The channels' factors [numChannels], 1 at first; null without `affine`. */
  weight: Parameter | null
  /** The channels' summands [numChannels], 0 at first; null without `affine`. */
  bias: Parameter | null

  constructor(
    /** Channels are normalised in this many groups, each by itself. */
    readonly numGroups: number,
    /** Size of the last dimension. */
    readonly numChannels: number,
    options: GroupNormOptions = {},
  ) {
    super()
    const { eps, affine } = settle('GroupNorm', options, { eps: 1e-5, affine: true })
    positive('GroupNorm', { numGroups, numChannels })
    numbers('GroupNorm', { eps }, 0)
    switches('GroupNorm', { affine })
    if (numChannels % numGroups !== 0) throw new ValueError(`GroupNorm: ${numGroups} groups do not divide ${numChannels} channels`)
    this.eps = eps
    this.weight = affine ? constantParameter([numChannels], 1) : null
    this.bias = affine ? constantParameter([numChannels], 0) : null
  }

  forward(x: Tensor): Tensor {
    if (x.shape[x.ndim - 1] !== this.numChannels) {
      const got = `the input [${x.shape.join(', ')}] has ${x.shape[x.ndim - 1]} channels (last)`
      throw new ShapeError(`GroupNorm: ${got}, the layer expects ${this.numChannels}`, {
        op: 'groupNorm', shapes: [x.shape],
      })
    }
    return groupNorm(x, this.numGroups, { weight: this.weight, bias: this.bias, eps: this.eps })
  }

  override flops(inputs: readonly Tensor[]): number {
    return (inputs[0]?.size ?? 0) * FLOPS_AN_ELEMENT
  }

  override extraRepr(): string {
    return `${this.numGroups}, ${this.numChannels}, eps=${this.eps}${this.weight === null ? ', affine=false' : ''}`
  }
}
