import { isRecomputing, record } from '../autograd.js'
import { ValueError } from '../errors.js'
import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'
import { type Activation, activationCode, activationGradient } from './activation-code.js'
import { recordNorm } from './norm-record.js'
import { tracked } from './support.js'

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
  /** Added to the result, in x's shape and dtype: the way around a residual block. */
  residual?: Tensor | null
  /** What is applied last, 'relu' or 'none' (the default), in the same pass over memory. */
  activation?: Activation
}

/**
 * y = act((x - mean) / sqrt(variance + eps) · weight + bias + residual), a channel (the last dimension) at a time, over all others; the
 * variance is the biased one, the running one the unbiased. x [N, ..., C]. A residual and a ReLU give the bits that `add` and `relu` would.
 * PyTorch: `F.batch_norm` (whose channels are dim 1).
 * @throws ShapeError, ValueError
 */
export function batchNorm(x: Tensor, options: BatchNormOptions = {}): Tensor {
  const { runningMean = null, runningVar = null, training = false } = options
  if (training) return byBatch(x, options)
  if (!runningMean || !runningVar)
    throw new ValueError('batchNorm: evaluation needs runningMean and runningVar. Pass training: true to use the batch itself.', {
      op: 'batchNorm',
    })
  return byStatistics(x, runningMean, runningVar, options)
}

/** Training: by the batch's own statistics, towards which the running ones move. */
function byBatch(x: Tensor, options: BatchNormOptions): Tensor {
  const { weight = null, bias = null, residual = null, activation = 'none', eps = 1e-5 } = options
  const { runningMean = null, runningVar = null, numBatches = null, momentum = 0.1 } = options
  const channels = x.shape.at(-1) ?? 1
  const samples = channels === 0 ? 0 : x.size / channels
  if (samples === 1)
    throw new ValueError(`batchNorm: one value a channel has no variance, got [${x.shape.join(', ')}]. Use a larger batch in training.`, {
      op: 'batchNorm',
    })
  const results = run.batchNorm(x, weight, bias, residual, eps, activationCode('batchNorm', activation))
  if (runningMean && runningVar && !isRecomputing()) {
    if (!numBatches) throw new ValueError('batchNorm: running statistics come with numBatches, an int64 scalar.', { op: 'batchNorm' })
    run.batchNormUpdate(results[1], results[2], runningMean, runningVar, numBatches, samples, momentum ?? -1)
  }
  return recordNorm({
    op: 'batchNorm',
    x,
    weight,
    bias,
    residual,
    activation,
    results,
    eps,
    dims: x.shape.slice(0, -1).map((_, i) => i),
    fused: (dy, { x, first, second, weight, bias }, relu) => run.batchNormGrad(dy, x, first, second, weight, bias, eps, Number(relu)),
  })
}

/** Evaluation: by statistics that are given, one factor and one summand a channel. */
function byStatistics(x: Tensor, mean: Tensor, variance: Tensor, options: BatchNormOptions): Tensor {
  const { weight = null, bias = null, residual = null, activation = 'none', eps = 1e-5 } = options
  const y = run.batchNormFixed(x, mean, variance, weight, bias, residual, eps, activationCode('batchNorm', activation))
  const inputs = [x, mean, variance, weight, bias, residual].filter((input) => input !== null)
  if (!inputs.some(tracked)) return y
  const dims = x.shape.slice(0, -1).map((_, i) => i)
  return record(y, {
    op: 'batchNorm',
    inputs,
    saved: [x, mean, variance, ...(weight ? [weight] : []), ...(activation === 'none' ? [] : [y])],
    backward: (dy, x, mean, variance, ...rest) => {
      const factors = weight ? rest[0]! : null
      const d = activationGradient(activation, rest.at(-1)!, dy)
      const rstd = variance!.add(eps).rsqrt()
      const scale = factors ? rstd.mul(factors) : rstd
      const over = (t: Tensor): Tensor => (dims.length === 0 ? t : t.sum(dims))
      const centred = (): Tensor => over(d.mul(x!.sub(mean!)))
      const back = (gradient: Tensor, like: Tensor): Tensor => gradient.cast(like.dtype)
      return [
        () => back(d.mul(scale), x!),
        () => back(over(d).mul(scale).neg(), mean!),
        () => back(centred().mul(scale).mul(variance!.add(eps).reciprocal()).mul(-0.5), variance!),
        ...(weight ? [() => back(centred().mul(rstd), weight)] : []),
        ...(bias ? [() => back(over(d), bias)] : []),
        ...(residual ? [() => d] : []),
      ]
    },
  })
}
