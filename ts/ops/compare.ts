import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { type Comparison, comparison } from './pointwise-table.js'

// Answers are bool tensors; they carry no gradient.

/** a == b. PyTorch: `torch.eq`. */
export const eq: Comparison = comparison('eq', 'eqScalar')
/** a != b. PyTorch: `torch.ne`. */
export const ne: Comparison = comparison('ne', 'neScalar')
/** a < b. PyTorch: `torch.lt`. */
export const lt: Comparison = comparison('lt', 'ltScalar')
/** a <= b. PyTorch: `torch.le`. */
export const le: Comparison = comparison('le', 'leScalar')
/** a > b. PyTorch: `torch.gt`. */
export const gt: Comparison = comparison('gt', 'gtScalar')
/** a >= b. PyTorch: `torch.ge`. */
export const ge: Comparison = comparison('ge', 'geScalar')

/** Both a and b are not 0. PyTorch: `torch.logical_and`. */
export function logicalAnd(a: Tensor, b: Tensor): Tensor<'bool'> {
  return run.logicalAnd(a, b) as Tensor<'bool'>
}

/** a or b is not 0. PyTorch: `torch.logical_or`. */
export function logicalOr(a: Tensor, b: Tensor): Tensor<'bool'> {
  return run.logicalOr(a, b) as Tensor<'bool'>
}

/** Exactly one of a and b is not 0. PyTorch: `torch.logical_xor`. */
export function logicalXor(a: Tensor, b: Tensor): Tensor<'bool'> {
  return run.logicalXor(a, b) as Tensor<'bool'>
}

/** |a - b| <= atol + rtol |b|, element by element. PyTorch: `torch.isclose`. */
export function isclose(a: Tensor, b: Tensor, options: { rtol?: number; atol?: number; equalNan?: boolean } = {}): Tensor<'bool'> {
  const { rtol = 1e-5, atol = 1e-8, equalNan = false } = options
  return scope(() => {
    const [x, y] = [a.detach(), b.detach()]
    const near = x.sub(y).abs().le(y.abs().mul(rtol).add(atol)).logicalAnd(y.isfinite())
    const close = x.eq(y).logicalOr(near)
    return equalNan ? close.logicalOr(x.isnan().logicalAnd(y.isnan())) : close
  })
}

/** Whether every element is close. Waits for both. PyTorch: `torch.allclose`. */
export function allclose(a: Tensor, b: Tensor, options: { rtol?: number; atol?: number; equalNan?: boolean } = {}): Promise<boolean> {
  return truthOf(scope(() => isclose(a, b, options).all()))
}

/** Whether both have the same shape and the same elements. Waits for both. PyTorch: `torch.equal`. */
export function equal(a: Tensor, b: Tensor): Promise<boolean> {
  const [x, y] = [a.shape, b.shape]
  if (x.length !== y.length || x.some((size, i) => size !== y[i])) return Promise.resolve(false)
  return truthOf(scope(() => a.detach().eq(b.detach()).all()))
}

async function truthOf(answer: Tensor): Promise<boolean> {
  try {
    return Boolean(await answer.item())
  } finally {
    answer.dispose()
  }
}
