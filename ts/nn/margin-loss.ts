import { ShapeError, ValueError } from '../errors.js'
import { noTensor } from '../explain.js'
import { settle } from '../options.js'
import { scope } from '../scope.js'
import { Tensor } from '../tensor.js'
import { integers, numbers } from './arguments.js'
import { classWeight } from './class-weight.js'
import {
  declareLoss, type Loss, LossModule, type LossOptions, matched, reduce, type Reduction, type Task, type Weights,
} from './loss.js'
import { Module } from './module.js'
import { cosineSimilarity } from './ops.js'

const scores = { task: 'binary', fromLogits: true } as const

/**
 * max(0, 1 - target · output), targets -1 or 1, or 0 and 1 or bool: 0 counts as -1, of which it would else teach nothing. Keras: `hinge`, which looks at
 * all targets before it takes 0 for -1; here nothing waits for values.
 */
export const hinge: Loss<LossOptions> = declareLoss(scores, { reduction: 'mean' }, function hinge(output, target, { reduction }) {
  return scope(() => {
    const t = matched('hinge', output, target)
    return reduce('hinge', t.eq(0).where(-1, t).mul(output).rsub(1).relu(), reduction)
  })
})

/** Options of `multiMargin`. */
export interface MultiMarginOptions extends LossOptions {
  /** 1 or 2: the margin's violation, or its square. */
  p?: 1 | 2
  /** How far the label's score shall lie above every other (1). */
  margin?: number
  /** One number a class, for the label's. */
  weight?: Weights
}

/** Σ over the other classes of max(0, margin - x[label] + x[j])ᵖ / C; scores [N, C], labels int32 [N]. PyTorch: `F.multi_margin_loss`. */
export const multiMargin: Loss<MultiMarginOptions> = declareLoss(
  { task: 'multiclass', fromLogits: true },
  { reduction: 'mean', p: 1, margin: 1, weight: undefined },
  function multiMargin(output, target, { reduction, p, margin, weight }) {
    if (p !== 1 && p !== 2) throw new ValueError(`multiMargin: p is 1 or 2, not ${String(p)}`, { op: 'multiMargin' })
    if (output.shape.length !== 2 || target.shape.length !== 1 || target.shape[0] !== output.shape[0]) {
      const got = `[${output.shape.join(', ')}] and [${target.shape.join(', ')}]`
      throw new ShapeError(`multiMargin: scores [N, C] and labels [N] are expected, got ${got}`, {
        op: 'multiMargin', shapes: [output.shape, target.shape],
      })
    }
    return scope(() => {
      const classes = output.shape[1] as number
      const label = target.unsqueeze(1)
      const violation = output.sub(output.gather(1, label)).add(margin).relu()
      const others = target.oneHot(classes, { dtype: output.dtype }).rsub(1)
      let rows = (p === 1 ? violation : violation.square()).mul(others).sum([1]).div(classes)
      if (weight !== undefined) rows = rows.mul(classWeight('multiMargin', weight, output).indexSelect(0, target))
      return reduce('multiMargin', rows, reduction)
    })
  },
)

/** Options of `hingeEmbedding`. */
export interface HingeEmbeddingOptions extends LossOptions {
  /** The distance from which dissimilar pairs cost nothing (1). */
  margin?: number
}

/** The distance x where the target is 1, max(0, margin - x) where it is -1. PyTorch: `F.hinge_embedding_loss`. */
export const hingeEmbedding: Loss<HingeEmbeddingOptions> = declareLoss(
  { task: 'regression', fromLogits: false },
  { reduction: 'mean', margin: 1 },
  function hingeEmbedding(output, target, { reduction, margin }) {
    return scope(() => {
      const similar = matched('hingeEmbedding', output, target).eq(1)
      return reduce('hingeEmbedding', similar.where(output, output.rsub(margin).relu()), reduction)
    })
  },
)

/** Options of `cosineEmbedding`. */
export interface CosineEmbeddingOptions extends LossOptions {
  /** The similarity up to which dissimilar pairs cost nothing (0). */
  margin?: number
}

const cosineEmbeddingDefaults = { reduction: 'mean', margin: 0 } as const

/**
 * 1 - cos(a, b) for pairs marked 1, max(0, cos(a, b) - margin) for pairs marked -1; a, b [N, D], target [N]. PyTorch:
 * `F.cosine_embedding_loss`.
 */
export function cosineEmbedding(a: Tensor, b: Tensor, target: Tensor, options: CosineEmbeddingOptions = {}): Tensor {
  const { reduction, margin } = settle('cosineEmbedding', options, cosineEmbeddingDefaults)
  for (const [name, x] of Object.entries({ a, b, target })) if (!(x instanceof Tensor)) throw noTensor('cosineEmbedding', name, x)
  return scope(() => {
    const similarity = cosineSimilarity(a, b)
    const similar = matched('cosineEmbedding', similarity, target).eq(1)
    return reduce('cosineEmbedding', similar.where(similarity.rsub(1), similarity.sub(margin).relu()), reduction)
  })
}

/** `hinge` with its options. Keras: `Hinge`. */
export class HingeLoss extends LossModule<LossOptions> {
  constructor(options: LossOptions = {}) {
    super(hinge, options)
  }
}

/** `multiMargin` with its options. PyTorch: `nn.MultiMarginLoss`. */
export class MultiMarginLoss extends LossModule<MultiMarginOptions> {
  constructor(options: MultiMarginOptions = {}) {
    super(multiMargin, options)
  }
}

/** `hingeEmbedding` with its options. PyTorch: `nn.HingeEmbeddingLoss`. */
export class HingeEmbeddingLoss extends LossModule<HingeEmbeddingOptions> {
  constructor(options: HingeEmbeddingOptions = {}) {
    super(hingeEmbedding, options)
  }
}

/** `cosineEmbedding` with its options. PyTorch: `nn.CosineEmbeddingLoss`. */
export class CosineEmbeddingLoss extends Module {
  /** What the outputs are for. */
  readonly task: Task = 'regression'
  /** What becomes of the single losses. */
  readonly reduction: Reduction
  /** The cosine above which unlike pairs cost. */
  readonly margin: number

  constructor(options: CosineEmbeddingOptions = {}) {
    super()
    const { reduction, margin } = settle('CosineEmbeddingLoss', options, cosineEmbeddingDefaults)
    numbers('CosineEmbeddingLoss', { margin })
    this.reduction = reduction
    this.margin = margin
  }

  forward(a: Tensor, b: Tensor, target: Tensor): Tensor {
    return cosineEmbedding(a, b, target, { reduction: this.reduction, margin: this.margin })
  }
}

/** The cosine of two vectors' angle along `dim`. PyTorch: `nn.CosineSimilarity`. */
export class CosineSimilarity extends Module {
  /** The dimension that the vectors lie along. */
  readonly dim: number
  /** The least that a norm counts as, against a division by 0. */
  readonly eps: number

  constructor(options: { dim?: number; eps?: number } = {}) {
    super()
    const { dim, eps } = settle('CosineSimilarity', options, { dim: -1, eps: 1e-8 })
    integers('CosineSimilarity', { dim })
    numbers('CosineSimilarity', { eps }, 0)
    this.dim = dim
    this.eps = eps
  }

  forward(a: Tensor, b: Tensor): Tensor {
    return cosineSimilarity(a, b, this.dim, this.eps)
  }
}
