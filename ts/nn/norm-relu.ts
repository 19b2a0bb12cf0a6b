import type { Tensor } from '../tensor.js'
import { type Module, plain, running } from './module.js'
import { BatchNorm2d } from './norm.js'

/**
 * relu(norm(x) + residual) in one op where `norm` is a plain BatchNorm2d without hooks, in three where it is something else; the same bits. For
 * models whose blocks are not a `Sequential`.
 */
export function normRelu(norm: Module, x: Tensor, residual: Tensor | null = null): Tensor {
  if (plain(norm, BatchNorm2d)) return running(norm, () => norm.forwardRelu(x, residual))
  const y = norm.forward(x) as Tensor
  return (residual === null ? y : y.add(residual)).relu()
}
