import { isGradEnabled, record } from '../autograd.js'
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

/**
 * Running product along `dim`; integers give int64. The gradient is exact where elements are 0: nothing behind a 0 has one, and NaN behind it
 * reaches nothing before it. PyTorch: `torch.cumprod`, which divides by the element and so gives NaN for that of an infinite one.
 */
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
  // A second derivative needs the plain products: what a 0 hides is that of the 0 itself. As in PyTorch, NaN then spreads behind it.
  const product = isGradEnabled() ? (a: Tensor, b: Tensor): Tensor => a.mul(b) : cutOff
  return scope(() => {
    // Multiplied where there is something that far ahead, and 0 behind: an infinite factor would make NaN of a padded 0.
    const withAhead = (a: Tensor, b: Tensor, step: number): Tensor =>
      padded(product(a.narrow(dim, 0, n - step), b.narrow(dim, step, n - step)), dim, 0, step)
    let factor = padded(x.narrow(dim, 1, n - 1), dim, 0, 1)
    let sum = dy
    for (let step = 1; step < n; step *= 2) {
      sum = sum.add(withAhead(factor, sum, step))
      factor = withAhead(factor, factor, step)
    }
    const before = padded(x.narrow(dim, 0, n - 1), dim, 1, 0, 1)
    const dx = before.cumprod(dim).mul(sum)
    if (isGradEnabled()) return dx
    const behind = before.ne(0).cast('int32').cumprod(dim).eq(0)
    return behind.where(0, x.isnan().where(NaN, dx))
  })
}

/** a b, and 0 where a is 0, whatever b is. */
function cutOff(a: Tensor, b: Tensor): Tensor {
  return a.eq(0).where(0, a.mul(b))
}

/** x with elements of `fill` put before and after it along `dim`. */
function padded(x: Tensor, dim: number, before: number, after: number, fill = 0): Tensor {
  // Pads count from the last dimension.
  return x.pad([...Array<number>(2 * (x.ndim - 1 - dim)).fill(0), before, after], { value: fill })
}
