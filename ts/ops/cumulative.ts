import { record } from '../autograd.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { axis, tracked } from './support.js'

/** Running sum along `dim`; integers give int64. PyTorch: `torch.cumsum`. */
export function cumsum(x: Tensor, dim: number): Tensor {
  const y = run.cumsum(x, dim)
  if (!tracked(x)) return y
  return record(y, {
    op: 'cumsum',
    inputs: [x],
    saved: [],
    backward: (dy) => [() => (dy.ndim === 0 ? dy : dy.flip([dim]).cumsum(dim).flip([dim]))],
  })
}

/** Running product along `dim`; integers give int64. The gradient is exact where elements are 0. PyTorch: `torch.cumprod`. */
export function cumprod(x: Tensor, dim: number): Tensor {
  const y = run.cumprod(x, dim)
  if (!tracked(x)) return y
  const d = axis('cumprod', dim, x)
  return record(y, { op: 'cumprod', inputs: [x], saved: [x], backward: (dy, x) => [() => cumprodGradient(dy, x!, d)] })
}

/**
 * dx_k = P_k R_k, with P_k the product of all before k, and R_k = Σ_{i >= k} dy_i Π_{k < j <= i} x_j, which satisfies R_k = dy_k + x_{k+1}
 * R_{k+1}. That recurrence is solved by doubling, log2(n) passes: no division, so that zeros do no harm.
 */
function cumprodGradient(dy: Tensor, x: Tensor, dim: number): Tensor {
  const n = x.shape[dim] ?? 1
  if (x.ndim === 0 || n === 0) return dy
  return scope(() => {
    let factor = shifted(x, dim, 1, 0)
    let sum = dy
    for (let step = 1; step < n; step *= 2) {
      sum = sum.add(factor.mul(shifted(sum, dim, step, 0)))
      factor = factor.mul(shifted(factor, dim, step, 0))
    }
    return shifted(x, dim, -1, 1).cumprod(dim).mul(sum)
  })
}

/** y[i] = x[i + by] along `dim`, and `fill` where that lies outside. */
function shifted(x: Tensor, dim: number, by: number, fill: number): Tensor {
  const n = x.shape[dim]!
  const keep = Math.max(0, n - Math.abs(by))
  // Pads count from the last dimension.
  const pads = [...Array<number>(2 * (x.ndim - 1 - dim)).fill(0), by > 0 ? 0 : n - keep, by > 0 ? n - keep : 0]
  return x.narrow(dim, by > 0 ? n - keep : 0, keep).pad(pads, { value: fill })
}
