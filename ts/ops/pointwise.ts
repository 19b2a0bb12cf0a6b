import { zerosLike } from '../create.js'
import { isFloat } from '../dtype.js'
import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'
import { pointwise, type Predicate, predicate, type Unary, unary } from './pointwise-table.js'
import { checkScalar } from './support.js'

// One row a function: the op's name, what its gradient needs (the input x or the output y), and the gradient. Integers give float32 down to
// `erf`.

/** eˣ. PyTorch: `torch.exp`. */
export const exp: Unary = unary('exp', 'y', (dy, y) => dy.mul(y))
/** eˣ - 1, exact near 0. PyTorch: `torch.expm1`. */
export const expm1: Unary = unary('expm1', 'y', (dy, y) => dy.mul(y.add(1)))
/** 2ˣ. PyTorch: `torch.exp2`. */
export function exp2(x: Tensor): Tensor {
  return rpow(isFloat(x.dtype) ? x : x.cast('float32'), 2)
}
/** Natural logarithm; -Infinity at 0, NaN below. PyTorch: `torch.log`. */
export const log: Unary = unary('log', 'x', (dy, x) => dy.div(x))
/** log(1 + x), exact near 0. PyTorch: `torch.log1p`. */
export const log1p: Unary = unary('log1p', 'x', (dy, x) => dy.div(x.add(1)))
/** Logarithm to base 2. PyTorch: `torch.log2`. */
export const log2: Unary = unary('log2', 'x', (dy, x) => dy.div(x.mul(Math.LN2)))
/** Logarithm to base 10. PyTorch: `torch.log10`. */
export function log10(x: Tensor): Tensor {
  return log(x).mul(Math.LOG10E)
}
/** Sine of x radians. PyTorch: `torch.sin`. */
export const sin: Unary = unary('sin', 'x', (dy, x) => dy.mul(x.cos()))
/** Cosine of x radians. PyTorch: `torch.cos`. */
export const cos: Unary = unary('cos', 'x', (dy, x) => dy.mul(x.sin().neg()))
/** Tangent of x radians. PyTorch: `torch.tan`. */
export const tan: Unary = unary('tan', 'y', (dy, y) => dy.mul(y.square().add(1)))
/** Hyperbolic tangent. PyTorch: `torch.tanh`. */
export const tanh: Unary = unary(
  'tanh',
  'y',
  (dy, y) => dy.mul(y.square().rsub(1)),
  (y, dy) => run.tanhGrad(y, dy),
)
/** Arc tangent, in radians. PyTorch: `torch.atan`. */
export const atan: Unary = unary('atan', 'x', (dy, x) => dy.div(x.square().add(1)))
/** Square root; NaN below 0. PyTorch: `torch.sqrt`. */
export const sqrt: Unary = unary('sqrt', 'y', (dy, y) => dy.div(y.mul(2)))
/** 1 / sqrt(x). PyTorch: `torch.rsqrt`. */
export const rsqrt: Unary = unary('rsqrt', 'y', (dy, y) => dy.mul(y.square().mul(y).mul(-0.5)))
/** 1 / x. PyTorch: `torch.reciprocal`. */
export const reciprocal: Unary = unary('reciprocal', 'y', (dy, y) => dy.mul(y.square()).neg())
/** The error function, 2/√π ∫ exp(-t²) dt from 0 to x. PyTorch: `torch.erf`. */
export const erf: Unary = unary('erf', 'x', (dy, x) => dy.mul(x.square().neg().exp()).mul(2 / Math.sqrt(Math.PI)))

/** -x. PyTorch: `torch.neg`. */
export const neg: Unary = unary('neg', '', (dy) => dy.neg())
/** |x|; its gradient at 0 is 0. PyTorch: `torch.abs`. */
export const abs: Unary = unary('abs', 'x', (dy, x) => dy.mul(x.sign()))
/** x². PyTorch: `torch.square`. */
export const square: Unary = unary('square', 'x', (dy, x) => dy.mul(x).mul(2))
/** -1, 0 or 1; 0 for NaN. The gradient is 0. PyTorch: `torch.sign`. */
export const sign: Unary = unary('sign', '', zerosLike)
/** The largest integer not above x. The gradient is 0. PyTorch: `torch.floor`. */
export const floor: Unary = unary('floor', '', zerosLike)
/** The smallest integer not below x. The gradient is 0. PyTorch: `torch.ceil`. */
export const ceil: Unary = unary('ceil', '', zerosLike)
/** The nearest integer, halves to even. The gradient is 0. PyTorch: `torch.round`. */
export const round: Unary = unary('round', '', zerosLike)
/** x without its fraction. The gradient is 0. PyTorch: `torch.trunc`. */
export const trunc: Unary = unary('trunc', '', zerosLike)
/** The fraction of x, with x's sign. PyTorch: `torch.frac`. */
export function frac(x: Tensor): Tensor {
  return x.sub(x.trunc())
}

/** The constant minus x: c - x. PyTorch: `torch.rsub`. */
export function rsub(x: Tensor, c: number): Tensor {
  checkScalar('rsub', x, c)
  return pointwise('rsub', x, run.rsubScalar(x, c), '', (dy) => dy.neg())
}

/** The constant over x: c / x. */
export function rdiv(x: Tensor, c: number): Tensor {
  return pointwise('rdiv', x, run.rdivScalar(isFloat(x.dtype) ? x : x.cast('float32'), c), 'x', (dy, x) => dy.div(x.square()).mul(-c))
}

/** The constant to the power of x: cˣ. Integers stay integers: 0 for what is a fraction. PyTorch: `torch.pow(c, x)`. */
export function rpow(x: Tensor, c: number): Tensor {
  checkScalar('rpow', x, c)
  return pointwise('rpow', x, run.rpowScalar(x, c), 'y', (dy, y) => dy.mul(y).mul(c === 0 ? 0 : Math.log(c)))
}

/**
 * x bounded to [min, max]; either bound may be left out (`null`). The gradient passes where x lies between the bounds, and is 0 at a bound
 * itself. Integers with a bound that is a fraction, or infinite, give float32. PyTorch: `torch.clamp`.
 * @example x.clamp(0, 1), x.clamp(null, 6)
 */
export function clamp(x: Tensor, min?: number | null, max?: number | null): Tensor {
  // NaN is no bound at all: an infinite one would stop the gradient of an infinite x.
  const low = min ?? NaN
  const high = max ?? NaN
  if (!isFloat(x.dtype) && [low, high].some((bound) => !Number.isNaN(bound) && !Number.isInteger(bound))) return clamp(x.cast('float32'), min, max)
  return pointwise(
    'clamp',
    x,
    run.clamp(x, low, high),
    'x',
    (dy, x) => {
      const within = Number.isNaN(low) ? null : x.gt(low)
      const below = Number.isNaN(high) ? null : x.lt(high)
      const inside = within && below ? within.logicalAnd(below) : (within ?? below)
      return inside ? inside.where(dy, 0) : dy
    },
    (x, dy) => run.clampGrad(x, dy, low, high),
  )
}

/** Where x is NaN. PyTorch: `torch.isnan`. */
export const isnan: Predicate = predicate('isnan')
/** Where x is Infinity or -Infinity. PyTorch: `torch.isinf`. */
export const isinf: Predicate = predicate('isinf')
/** Where x is neither NaN nor infinite. PyTorch: `torch.isfinite`. */
export const isfinite: Predicate = predicate('isfinite')
/** Where x is 0. PyTorch: `torch.logical_not`. */
export const logicalNot: Predicate = predicate('logicalNot')
