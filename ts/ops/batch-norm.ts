import { isRecomputing } from '../autograd.js'
import { ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { recordNorm } from './norm-record.js'

/** Options of {@link batchNorm}. */
export interface BatchNormOptions {
  /** The channels' factors and summands, [C]. */
  weight?: Tensor | null
  /** The channels' summands, [C]; null for none. */
  bias?: Tensor | null
  /** Statistics over all batches, [C]: used in evaluation, and moved towards each batch in training. All three or none. */
  runningMean?: Tensor | null
  /** The variances that belong to `runningMean`, [C]. */
  runningVar?: Tensor | null
  /** How many batches the running statistics have seen, int64. */
  numBatches?: Tensor | null
  /** True: normalise with the batch's own statistics. False: with the running ones. */
  training?: boolean
  /** How far the running statistics move towards a batch's; null: their plain average. */
  momentum?: number | null
  /** Added to the variance before the root is taken. Default 1e-5. */
  eps?: number
}

/**
 * y = (x - mean) / sqrt(variance + eps) · weight + bias, a channel (the last dimension) at a time, over all others; the variance is the
 * biased one, the running one the unbiased. x [N, ..., C]. PyTorch: `F.batch_norm` (whose channels are dim 1).
 * @throws ShapeError, ValueError
 */
export function batchNorm(x: Tensor, options: BatchNormOptions = {}): Tensor {
  const {
    weight = null,
    bias = null,
    runningMean = null,
    runningVar = null,
    numBatches = null,
    training = false,
    momentum = 0.1,
    eps = 1e-5,
  } = options
  if (training) return normalise(x, weight, bias, runningMean, runningVar, numBatches, momentum, eps)
  if (!runningMean || !runningVar)
    throw new ValueError('batchNorm: evaluation needs runningMean and runningVar. Pass training: true to use the batch itself.', {
      op: 'batchNorm',
    })
  return scope(() => {
    // One factor and one summand a channel, so that the image is read once.
    const scale = runningVar.add(eps).rsqrt()
    const factor = weight ? scale.mul(weight) : scale
    const shift = runningMean.mul(factor).neg()
    return x.mul(factor.cast(x.dtype)).add((bias ? shift.add(bias) : shift).cast(x.dtype))
  })
}

function normalise(
  x: Tensor,
  weight: Tensor | null,
  bias: Tensor | null,
  runningMean: Tensor | null,
  runningVar: Tensor | null,
  count: Tensor | null,
  momentum: number | null,
  eps: number,
): Tensor {
  const channels = x.shape.at(-1) ?? 1
  const samples = channels === 0 ? 0 : x.size / channels
  if (samples === 1)
    throw new ValueError(`batchNorm: one value a channel has no variance, got [${x.shape.join(', ')}]. Use a larger batch in training.`, {
      op: 'batchNorm',
    })
  const results = run.batchNorm(x, weight, bias, eps)
  if (runningMean && runningVar && !isRecomputing()) {
    if (!count) throw new ValueError('batchNorm: running statistics come with numBatches, an int64 scalar.', { op: 'batchNorm' })
    run.batchNormUpdate(results[1], results[2], runningMean, runningVar, count, samples, momentum ?? -1)
  }
  return recordNorm({
    op: 'batchNorm',
    x,
    weight,
    bias,
    results,
    eps,
    dims: x.shape.slice(0, -1).map((_, i) => i),
    fused: (dy, x, mean, variance, weight) => run.batchNormGrad(dy, x, mean, variance, weight, eps),
  })
}
