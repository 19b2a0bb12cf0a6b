import { ShapeError } from '../errors.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { recordNorm } from './norm-record.js'
import { type Shape, show } from './support.js'

/** Options of {@link layerNorm}. */
export interface LayerNormOptions {
  /** Factors and summands in the normalised shape. */
  weight?: Tensor | null
  /** Summands of the normalised dimensions; null for none. */
  bias?: Tensor | null
  /** Added to the variance before the root is taken. Default 1e-5. */
  eps?: number
}

/**
 * y = (x - mean) / sqrt(variance + eps) · weight + bias, with mean and (biased) variance over the last dimensions, whose sizes are `shape`
 * (the last one if left out). PyTorch: `F.layer_norm`.
 * @throws ShapeError
 */
export function layerNorm(x: Tensor, shape?: number | Shape, { weight = null, bias = null, eps = 1e-5 }: LayerNormOptions = {}): Tensor {
  const wanted = shape === undefined ? x.shape.slice(-1) : typeof shape === 'number' ? [shape] : shape
  const lead = x.ndim - wanted.length
  if (wanted.length === 0 || lead < 0 || wanted.some((size, i) => size !== x.shape[lead + i])) {
    throw new ShapeError(`layerNorm: the normalised shape ${show(wanted)} is not the end of the input's ${show(x.shape)}.`, {
      op: 'layerNorm',
      shapes: [x.shape, wanted],
    })
  }
  return recordNorm({
    op: 'layerNorm',
    x,
    weight,
    bias,
    eps,
    results: run.layerNorm(x, weight, bias, wanted.length, eps),
    dims: wanted.map((_, i) => lead + i),
    fused: (dy, { x, first, second, weight }) => run.layerNormGrad(dy, x, first, second, weight, wanted.length),
  })
}

/** y = x / sqrt(mean(x²) + eps) · weight over the last dimensions, whose sizes are `shape`. PyTorch: `F.rms_norm`. */
export function rmsNorm(
  x: Tensor,
  shape?: number | Shape,
  { weight = null, eps = 1e-6 }: { weight?: Tensor | null; eps?: number } = {},
): Tensor {
  const count = shape === undefined || typeof shape === 'number' ? 1 : shape.length
  return scope(() => {
    const dims = Array.from({ length: count }, (_, i) => i - count)
    const y = x.mul(x.square().mean(dims, { keepdim: true }).add(eps).rsqrt())
    return weight ? y.mul(weight) : y
  })
}
