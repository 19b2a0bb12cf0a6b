import { isFloat } from '../dtype.js'
import { DTypeError, ShapeError, ValueError } from '../errors.js'
import { crossEntropy as logitsCrossEntropy } from '../ops/cross-entropy.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { classWeight } from './class-weight.js'
import {
  declareLoss, type Loss, LossModule, type LossOptions, matched, reduce, type Reduction, sameShape, type Weights,
} from './loss.js'

/** Options of `crossEntropy`. */
export interface CrossEntropyOptions extends LossOptions {
  /** One number a class; 'mean' divides by the sum of the labels' weights (by the rows, where targets are probabilities). */
  weight?: Weights
  /** Rows with this label count for nothing (-100). */
  ignoreIndex?: number
  /** This share of each target is spread evenly over the classes (0). Szegedy et al., 2016. */
  labelSmoothing?: number
  /**
   * False where the outputs are probabilities (a softmax layer is the last): they are divided by their sum and kept in [1e-7, 1 - 1e-7], as
   * Keras does.
   */
  fromLogits?: boolean
}

const logProbabilities = { task: 'multiclass', fromLogits: false } as const

/** Keras' bounds: log(0) becomes log(1e-7). */
const CLIP = 1e-7

/**
 * Cross-entropy of scores a class [..., C] with labels int32 [...] or with probabilities (one-hot, soft) [..., C]; classes are the last
 * dimension.
 * A label outside 0 .. C - 1 other than `ignoreIndex` is a late error that rejects what is computed from it.
 * PyTorch: `F.cross_entropy` (classes second there); Keras: `SparseCategoricalCrossentropy`, `CategoricalCrossentropy`.
 */
export const crossEntropy: Loss<CrossEntropyOptions> = declareLoss(
  { task: 'multiclass', fromLogits: true },
  { reduction: 'mean', weight: undefined, ignoreIndex: -100, labelSmoothing: 0, fromLogits: true },
  function crossEntropy(output, target, options) {
    const { labelSmoothing, fromLogits } = options
    if (!(labelSmoothing >= 0 && labelSmoothing <= 1)) {
      throw new ValueError(`crossEntropy: labelSmoothing must lie between 0 and 1, not ${labelSmoothing}`, { op: 'crossEntropy' })
    }
    return scope(() => {
      const soft = isSoft('crossEntropy', output, target)
      const labels = soft ? matched('crossEntropy', output, target) : target
      if (fromLogits) {
        const { weight, fromLogits: _, ...others } = options
        return logitsCrossEntropy(output, labels, { ...others, weight: weight === undefined ? null : classWeight('crossEntropy', weight, output) })
      }
      const logP = logOfProbabilities(output)
      return soft ? softCrossEntropy(logP, labels, options) : indexed('crossEntropy', logP, labels, options)
    })
  },
)

function logOfProbabilities(p: Tensor): Tensor {
  return p.div(p.sum([-1], { keepdim: true })).clamp(CLIP, 1 - CLIP).log()
}

function softCrossEntropy(logP: Tensor, target: Tensor, { reduction = 'mean', weight, labelSmoothing = 0 }: CrossEntropyOptions): Tensor {
  const classes = logP.shape[logP.shape.length - 1] as number
  const smoothed = labelSmoothing === 0 ? target : target.mul(1 - labelSmoothing).add(labelSmoothing / classes)
  const weighted = weight === undefined ? smoothed : smoothed.mul(classWeight('crossEntropy', weight, logP))
  return reduce('crossEntropy', weighted.mul(logP).sum([-1]).neg(), reduction)
}

/** Options of `nll`. */
export interface NllOptions extends LossOptions {
  /** One number a class; 'mean' divides by the sum of the labels' weights. */
  weight?: Weights
  /** Rows with this label count for nothing (-100). */
  ignoreIndex?: number
}

/** Minus the log-probability [..., C] of each label int32 [...]; behind a LogSoftmax. PyTorch: `F.nll_loss`. */
export const nll: Loss<NllOptions> = declareLoss(logProbabilities, { reduction: 'mean', weight: undefined, ignoreIndex: -100 }, function nll(output, target, options) {
  if (isSoft('nll', output, target)) {
    throw new DTypeError('nll: targets are class indices [...] for log-probabilities [..., C]. Use crossEntropy for one-hot targets', { op: 'nll' })
  }
  return scope(() => indexed('nll', output, target, options))
})

function indexed(name: string, logP: Tensor, labels: Tensor, options: NllOptions & { labelSmoothing?: number }): Tensor {
  const { reduction = 'mean', weight, ignoreIndex = -100, labelSmoothing = 0 } = options
  const classes = logP.shape[logP.shape.length - 1] as number
  const counted = labels.ne(ignoreIndex)
  const safe = counted.where(labels, 0).cast('int32')
  const picked = logP.gather(-1, safe.unsqueeze(-1)).squeeze(-1)
  const weights = weight === undefined ? null : classWeight(name, weight, logP)
  const mask = counted.cast(logP.dtype)
  const rowWeight = weights === null ? mask : weights.indexSelect(0, safe.reshape([-1])).reshape(labels.shape).mul(mask)
  let loss = picked.mul(rowWeight).neg()
  if (labelSmoothing > 0) {
    const spread = (weights === null ? logP : logP.mul(weights)).sum([-1]).neg().mul(mask)
    loss = loss.mul(1 - labelSmoothing).add(spread.mul(labelSmoothing / classes))
  }
  // PyTorch's mean over labels is the weighted one: rows that are ignored weigh nothing.
  return reduction === 'mean' ? loss.sum().div(rowWeight.sum()) : reduce(name, loss, reduction)
}

/** Whether targets are probabilities a class; throws where they are neither those nor indices. */
function isSoft(name: string, output: Tensor, target: Tensor): boolean {
  const [o, t] = [output.shape, target.shape]
  if (o.length > 0 && sameShape(t, o.slice(0, -1))) {
    if (!isFloat(target.dtype)) return false
    throw new DTypeError(`${name}: labels are class indices, int32 [${t.join(', ')}], got ${target.dtype}. Use labels.cast('int32')`, {
      op: name, shapes: [o, t],
    })
  }
  if (o.length > 0 && sameShape(t, o)) return true
  const expected = o.slice(0, -1).join(', ')
  throw new ShapeError(
    `${name}: outputs [${o.join(', ')}] (classes last) want labels int32 [${expected}] or probabilities [${o.join(', ')}], ` +
      `got ${target.dtype} [${t.join(', ')}]`,
    { op: name, shapes: [o, t] },
  )
}

/** Options of `klDiv`. */
export interface KlDivOptions {
  /**
   * 'batchmean' divides the sum by the first dimension (the definition's mean); 'mean' by the number of elements, PyTorch's default and
   * ours.
   */
  reduction?: Reduction | 'batchmean'
  /** The targets are log-probabilities too (false). */
  logTarget?: boolean
}

/** Kullback-Leibler divergence: target (log target - output); outputs are log-probabilities. PyTorch: `F.kl_div`. */
export const klDiv: Loss<KlDivOptions> = declareLoss(logProbabilities, { reduction: 'mean', logTarget: false }, function klDiv(output, target, options) {
  const { reduction, logTarget } = options
  return scope(() => {
    const t = matched('klDiv', output, target)
    const losses = logTarget ? t.exp().mul(t.sub(output)) : t.xlogy(t).sub(t.mul(output))
    return reduction === 'batchmean' ? losses.sum().div(output.shape[0] ?? 1) : reduce('klDiv', losses, reduction, ['batchmean'])
  })
})

/** `crossEntropy` with its options. PyTorch: `nn.CrossEntropyLoss`. */
export class CrossEntropyLoss extends LossModule<CrossEntropyOptions> {
  constructor(options: CrossEntropyOptions = {}) {
    super(crossEntropy, options)
  }
}

/** `nll` with its options. PyTorch: `nn.NLLLoss`. */
export class NLLLoss extends LossModule<NllOptions> {
  constructor(options: NllOptions = {}) {
    super(nll, options)
  }
}

/** `klDiv` with its options. PyTorch: `nn.KLDivLoss`. */
export class KLDivLoss extends LossModule<KlDivOptions> {
  constructor(options: KlDivOptions = {}) {
    super(klDiv, options)
  }
}
