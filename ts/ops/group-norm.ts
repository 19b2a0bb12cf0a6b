import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'
import { recordNorm } from './norm-record.js'
import { numel } from './support.js'

/** Options of {@link groupNorm}. */
export interface GroupNormOptions {
  /** The channels' factors and summands, [C]. */
  weight?: Tensor | null
  /** The channels' summands, [C]; null for none. */
  bias?: Tensor | null
  /** Added to the variance before the root is taken. Default 1e-5. */
  eps?: number
}

/**
 * y = (x - mean) / sqrt(variance + eps) · weight + bias, with mean and (biased) variance of each example over a group of channels (the last
 * dimension) and all positions. x [N, ..., C]. PyTorch: `F.group_norm` (whose channels are dim 1).
 * @throws ShapeError where the groups do not divide the channels
 */
export function groupNorm(x: Tensor, groups: number, { weight = null, bias = null, eps = 1e-5 }: GroupNormOptions = {}): Tensor {
  const results = run.groupNorm(x, weight, bias, groups, eps)
  const channels = x.shape.at(-1)!
  const shape = [x.shape[0]!, numel(x.shape.slice(1, -1)), groups, channels / groups]
  return recordNorm({
    op: 'groupNorm',
    x,
    weight,
    bias,
    eps,
    results,
    spread: (t) => t.reshape(shape),
    dims: [1, 3],
    fused: (dy, { x, first, second, weight }) => run.groupNormGrad(dy, x, first, second, weight, groups),
  })
}

/** {@link groupNorm} with a group a channel. PyTorch: `F.instance_norm`. */
export function instanceNorm(x: Tensor, options: GroupNormOptions = {}): Tensor {
  return groupNorm(x, x.shape.at(-1) ?? 1, options)
}
