import { isGradEnabled, record } from '../autograd.js'
import { DTypeError, ShapeError, ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { sameShape, show, tracked } from './support.js'

/** Options of {@link crossEntropy}. */
export interface CrossEntropyOptions {
  /** A factor a class, [C]. */
  weight?: Tensor | null
  /** Rows with this label count nothing. */
  ignoreIndex?: number
  /** This share of each target is spread evenly over all classes. */
  labelSmoothing?: number
  /** `mean` divides by the sum of the rows' weights; `none` gives a loss a row. */
  reduction?: 'mean' | 'sum' | 'none'
}

/**
 * -log softmax(logits)[label], averaged. logits [..., C]; labels int32 or int64 [...] (classes), or floats [..., C] (probabilities, or
 * one-hot). A label outside 0..C is a late IndexError. PyTorch: `F.cross_entropy` (whose classes are dim 1).
 * @throws ShapeError, DTypeError, ValueError
 */
export function crossEntropy(logits: Tensor, labels: Tensor, options: CrossEntropyOptions = {}): Tensor {
  const { weight = null, ignoreIndex = -100, labelSmoothing = 0, reduction = 'mean' } = options
  if (reduction !== 'mean' && reduction !== 'sum' && reduction !== 'none') {
    throw new ValueError(`crossEntropy: reduction is 'mean', 'sum' or 'none', got '${String(reduction)}'.`, { op: 'crossEntropy' })
  }
  if (!(labelSmoothing >= 0 && labelSmoothing <= 1))
    throw new ValueError(`crossEntropy: labelSmoothing lies from 0 to 1, got ${labelSmoothing}.`, { op: 'crossEntropy' })
  if (logits.ndim === 0)
    throw new ShapeError('crossEntropy: logits need a last dimension of classes, got a scalar.', {
      op: 'crossEntropy',
      shapes: [logits.shape],
    })
  if (labels.dtype.includes('float')) return soft(logits, labels, weight, labelSmoothing, reduction)
  if (labels.dtype === 'bool')
    throw new DTypeError("crossEntropy: bool labels. For one-hot rows use labels.to('float32'), for classes int32.", { op: 'crossEntropy' })
  const lead = logits.shape.slice(0, -1)
  if (!sameShape(lead, labels.shape)) {
    throw new ShapeError(`crossEntropy: logits ${show(logits.shape)} want labels ${show(lead)}, got ${show(labels.shape)}.`, {
      op: 'crossEntropy',
      shapes: [logits.shape, labels.shape],
    })
  }
  return scope(() => {
    const [loss, weights] = rows(
      logits.reshape([-1, logits.shape.at(-1)!]),
      labels.reshape([-1]).cast('int32'),
      weight,
      ignoreIndex,
      labelSmoothing,
    )
    if (reduction === 'none') return loss.reshape(lead)
    return reduction === 'sum' ? loss.sum() : loss.sum().div(weights.sum())
  })
}

/** The loss and the weight of each row: logits [N, C], labels int32 [N]. */
function rows(logits: Tensor, labels: Tensor, classWeight: Tensor | null, ignoreIndex: number, smoothing: number): [Tensor, Tensor] {
  const [loss, lse, weight] = run.crossEntropy(logits, labels, classWeight, ignoreIndex, smoothing)
  if (!tracked(logits)) return [loss, weight]
  const y = record(loss, {
    op: 'crossEntropy',
    inputs: [logits],
    saved: classWeight ? [logits, labels, lse, classWeight] : [logits, labels, lse],
    backward: (dloss, logits, labels, lse, classWeight) => [
      () =>
        isGradEnabled()
          ? rowGradient(dloss, logits!, labels!, classWeight ?? null, ignoreIndex, smoothing)
          : run.crossEntropyGrad(dloss, logits!, labels!, lse!, classWeight ?? null, ignoreIndex, smoothing),
    ],
  })
  return [y, weight]
}

/** dloss (softmax(logits) Σ t - t), t the smoothed and weighted target of each row, 0 in ignored ones. */
function rowGradient(
  dloss: Tensor,
  logits: Tensor,
  labels: Tensor,
  classWeight: Tensor | null,
  ignoreIndex: number,
  smoothing: number,
): Tensor {
  const classes = logits.shape[1]!
  const counts = labels.ne(ignoreIndex)
  const hot = counts.where(labels, 0).oneHot(classes, { dtype: logits.dtype })
  let target = hot.mul(1 - smoothing).add(smoothing / classes)
  if (classWeight) target = target.mul(classWeight)
  target = target.mul(counts.unsqueeze(1))
  return dloss.unsqueeze(1).mul(
    logits
      .softmax(1)
      .mul(target.sum([1], { keepdim: true }))
      .sub(target),
  )
}

/** Targets that are probabilities: -Σ w t log softmax(logits). */
function soft(logits: Tensor, target: Tensor, weight: Tensor | null, smoothing: number, reduction: 'mean' | 'sum' | 'none'): Tensor {
  if (!sameShape(logits.shape, target.shape)) {
    throw new ShapeError(
      `crossEntropy: logits ${show(logits.shape)} and probabilities ${show(target.shape)} differ. For class labels pass int32.`,
      {
        op: 'crossEntropy',
        shapes: [logits.shape, target.shape],
      },
    )
  }
  const classes = logits.shape.at(-1)!
  return scope(() => {
    const smooth = smoothing === 0 ? target : target.mul(1 - smoothing).add(smoothing / classes)
    const weighted = weight ? smooth.mul(weight) : smooth
    const loss = logits.logSoftmax(-1).mul(weighted).sum([-1]).neg()
    // As in PyTorch the mean over probabilities divides by the number of rows.
    return reduction === 'none' ? loss : reduction === 'sum' ? loss.sum() : loss.sum().div(loss.size)
  })
}
