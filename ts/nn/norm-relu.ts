import type { Tensor } from '../tensor.js'
import { Conv2d } from './conv.js'
import { type Module, plain, running } from './module.js'
import { BatchNorm2d } from './norm.js'
import { Identity } from './shape.js'

/**
 * relu(norm(x) + residual) in one op where `norm` is a plain BatchNorm2d without hooks, in three where it is something else; the same bits. For
 * models whose blocks are not a `Sequential`.
 */
export function normRelu(norm: Module, x: Tensor, residual: Tensor | null = null): Tensor {
  if (plain(norm, BatchNorm2d)) return running(norm, () => norm.forwardRelu(x, residual))
  const y = norm.forward(x) as Tensor
  return (residual === null ? y : y.add(residual)).relu()
}

/** relu(norm(conv(x))), the ReLU inside the convolution where `fuseConvBn` has left nothing of the normalisation. */
export function convNormRelu(conv: Conv2d, norm: Module, x: Tensor): Tensor {
  if (plain(norm, Identity) && plain(conv, Conv2d)) return running(conv, () => conv.forwardRelu(x))
  return normRelu(norm, conv.forward(x))
}
