import { record } from '../autograd.js'
import { ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { type Dims, type ReduceOptions } from './reduce.js'
import { axes, dimList, numel, tracked } from './support.js'

/** Options of {@link var} and {@link std}. */
export interface VarianceOptions extends ReduceOptions {
  /** What the divisor is less than the count: 1 (the default) gives the unbiased estimate, 0 the plain mean of squares. */
  correction?: number
  /** PyTorch's older word: true is a correction of 1, false one of 0. */
  unbiased?: boolean
}

function correctionOf({ correction, unbiased }: VarianceOptions): number {
  if (unbiased === undefined) return correction ?? 1
  if (correction !== undefined) throw new ValueError('var: correction and unbiased say the same; give one of them.', { op: 'var' })
  return unbiased ? 1 : 0
}

/** Σ (x - mean)² / (n - correction) over `dims`, in two passes. PyTorch: `torch.var`. */
function variance(x: Tensor, dims?: Dims, options: VarianceOptions = {}): Tensor {
  const { keepdim = false } = options
  const correction = correctionOf(options)
  const reduced = axes('var', dims, x)
  const count = numel(reduced.map((i) => x.shape[i]!))
  return scope(() =>
    x
      .sub(x.mean(reduced, { keepdim: true }))
      .square()
      .sum(reduced, { keepdim })
      .div(Math.max(0, count - correction)),
  )
}

// 'var' is a keyword, but may be a name of an export and of a method.
export { variance as var }

/** The square root of the variance. PyTorch: `torch.std`. */
export function std(x: Tensor, dims?: Dims, options: VarianceOptions = {}): Tensor {
  return scope(() => variance(x, dims, options).sqrt())
}

/** log Σ eˣ over `dims`, without overflow. PyTorch: `torch.logsumexp`. */
export function logsumexp(x: Tensor, dims?: Dims, { keepdim = false }: ReduceOptions = {}): Tensor {
  const reduced = axes('logsumexp', dims, x)
  return scope(() => {
    const largest = run.amax(x, dimList(dims), true)
    // An infinite maximum would make Infinity - Infinity; without it the sum says 0 or Infinity by itself.
    const shift = largest.isfinite().where(largest, 0)
    const y = x.sub(shift).exp().sum(reduced, { keepdim: true }).log().add(shift)
    return keepdim ? y : y.reshape(x.shape.filter((_, i) => !reduced.includes(i)))
  })
}

/**
 * The p-norm (Σ |x|ᵖ)^(1/p) over `dims`; p may be Infinity, -Infinity or 0 (the count of what is not 0). The gradient at 0 is 0.
 * PyTorch: `torch.linalg.vector_norm`.
 */
export function norm(x: Tensor, p = 2, dims?: Dims, { keepdim = false }: ReduceOptions = {}): Tensor {
  if (p === 0) return scope(() => x.detach().ne(0).cast(x.dtype).sum(dims, { keepdim }))
  if (p === 1) return scope(() => x.abs().sum(dims, { keepdim }))
  if (p === Infinity) return scope(() => x.abs().amax(dims, { keepdim }))
  if (p === -Infinity) return scope(() => x.abs().amin(dims, { keepdim }))
  const y = scope(() => {
    const value = x.detach()
    return p === 2
      ? value.square().sum(dims, { keepdim }).sqrt()
      : value
          .abs()
          .pow(p)
          .sum(dims, { keepdim })
          .pow(1 / p)
  })
  if (!tracked(x)) return y
  const reduced = axes('norm', dims, x)
  const wanted = x.shape.map((size, i) => (reduced.includes(i) ? 1 : size))
  return record(y, {
    op: 'norm',
    inputs: [x],
    saved: [x],
    backward: (dy, x) => [
      () => {
        // From x, not from y: the gradient of this formula then sees how the norm itself depends on x. 1 stands in for a norm of 0, whose
        // row is 0 anyway.
        const own = norm(x!, p, dims, { keepdim: true })
        const safe = own.eq(0).where(1, own)
        const row = dy.reshape(wanted)
        if (p === 2) return x!.mul(row.div(safe))
        const magnitude = x!.abs()
        const power = magnitude.eq(0).where(0, magnitude.pow(p - 1))
        return x!
          .sign()
          .mul(power)
          .mul(row.div(safe.pow(p - 1)))
      },
    ],
  })
}

/** The Frobenius or p-norm distance of two tensors: ‖a - b‖. PyTorch: `torch.dist`. */
export function dist(a: Tensor, b: Tensor, p = 2): Tensor {
  return scope(() => norm(a.sub(b), p))
}
