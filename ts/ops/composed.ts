import { record } from '../autograd.js'
import type { DType } from '../dtype.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { shapeOf, sumBack } from './pointwise-table.js'
import { tracked } from './support.js'

// Functions written with the ops of the tables: their gradients, and the gradients of those, come from there.

/** a + weight (b - a). PyTorch: `torch.lerp`. */
export function lerp(a: Tensor, b: Tensor, weight: Tensor | number): Tensor {
  return scope(() => a.add(b.sub(a).mul(weight)))
}

/** x + value a b. PyTorch: `torch.addcmul`. */
export function addcmul(x: Tensor, a: Tensor, b: Tensor, value = 1): Tensor {
  return scope(() => x.add(a.mul(b).mul(value)))
}

/** x + value a / b. PyTorch: `torch.addcdiv`. */
export function addcdiv(x: Tensor, a: Tensor, b: Tensor, value = 1): Tensor {
  return scope(() => x.add(a.div(b).mul(value)))
}

/** beta x + alpha a b, a and b matrices. PyTorch: `torch.addmm`. */
export function addmm(x: Tensor, a: Tensor, b: Tensor, options: { alpha?: number; beta?: number } = {}): Tensor {
  const { alpha = 1, beta = 1 } = options
  return scope(() => x.mul(beta).add(a.matmul(b).mul(alpha)))
}

/** log(eᵃ + eᵇ), without overflow. PyTorch: `torch.logaddexp`. */
export function logaddexp(a: Tensor, b: Tensor): Tensor {
  return scope(() => {
    // Equal infinities: their difference is NaN, and their larger one the answer.
    const gap = a.sub(b).abs().neg()
    return a.maximum(b).add(gap.isnan().logicalAnd(a.isinf()).where(-Infinity, gap).exp().log1p())
  })
}

/** Arc sine, in radians; NaN outside [-1, 1]. PyTorch: `torch.asin`. */
export function asin(x: Tensor): Tensor {
  return scope(() => x.atan2(x.square().rsub(1).sqrt()))
}

/** Arc cosine, in radians; NaN outside [-1, 1]. PyTorch: `torch.acos`. */
export function acos(x: Tensor): Tensor {
  return scope(() => x.square().rsub(1).sqrt().atan2(x))
}

/** (eˣ - e⁻ˣ) / 2. PyTorch: `torch.sinh`. */
export function sinh(x: Tensor): Tensor {
  return scope(() => x.expm1().sub(x.neg().expm1()).mul(0.5))
}

/** (eˣ + e⁻ˣ) / 2. PyTorch: `torch.cosh`. */
export function cosh(x: Tensor): Tensor {
  return scope(() => x.exp().add(x.neg().exp()).mul(0.5))
}

/** log(x / (1 - x)), x first bounded to [eps, 1 - eps] if eps is given. PyTorch: `torch.logit`. */
export function logit(x: Tensor, eps?: number): Tensor {
  return scope(() => {
    const p = eps === undefined ? x : x.clamp(eps, 1 - eps)
    return p.log().sub(p.neg().log1p())
  })
}

/** The largest finite number of each floating dtype. */
const LARGEST: Readonly<Partial<Record<DType, number>>> = {
  float64: Number.MAX_VALUE,
  float32: 3.4028234663852886e38,
  bfloat16: 3.3895313892515355e38,
  float16: 65504,
}

/**
 * x with NaN replaced by `nan` (0), Infinity by `posinf` and -Infinity by `neginf` (the dtype's largest and smallest finite number). The
 * gradient of what was replaced is 0; integers stay as they are. PyTorch: `torch.nan_to_num`.
 */
export function nanToNum(x: Tensor, options: { nan?: number; posinf?: number; neginf?: number } = {}): Tensor {
  const largest = LARGEST[x.dtype]
  if (largest === undefined) return x
  const { nan = 0, posinf = largest, neginf = -largest } = options
  // Each asks x itself: what took the place of a NaN is not replaced again.
  return scope(() => x.isnan().where(nan, x.eq(Infinity).where(posinf, x.eq(-Infinity).where(neginf, x))))
}

/**
 * x log(y), and 0 where x is 0 (unless y is NaN). The gradient of x is log(y), and 0 where both x is 0 and y at most 0; that of y is x / y.
 * PyTorch: `torch.xlogy`.
 */
export function xlogy(x: Tensor, y: Tensor): Tensor {
  const z = scope(() => {
    const [a, b] = [x.detach(), y.detach()]
    return a.eq(0).logicalAnd(b.isnan().logicalNot()).where(0, a.mul(b.log()))
  })
  if (!tracked(x) && !tracked(y)) return z
  const like = [shapeOf(x), shapeOf(y)] as const
  return record(z, {
    op: 'xlogy',
    inputs: [x, y],
    saved: [x, y],
    backward: (dz, x, y) => [
      () => sumBack(x!.eq(0).logicalAnd(y!.le(0)).where(0, xlogy(dz, y!)), like[0]),
      () => sumBack(dz.mul(x!).div(y!), like[1]),
    ],
  })
}

/** Degrees to radians. PyTorch: `torch.deg2rad`. */
export function deg2rad(x: Tensor): Tensor {
  return x.mul(Math.PI / 180)
}

/** Radians to degrees. PyTorch: `torch.rad2deg`. */
export function rad2deg(x: Tensor): Tensor {
  return x.mul(180 / Math.PI)
}

/** x / max(‖x‖, eps) along `dim`. PyTorch: `F.normalize`. */
export function normalize(x: Tensor, options: { p?: number; dim?: number; eps?: number } = {}): Tensor {
  const { p = 2, dim = -1, eps = 1e-12 } = options
  return scope(() => x.div(x.norm(p, [dim], { keepdim: true }).maximum(eps)))
}

/** a·b / (‖a‖ ‖b‖) along `dim`, each norm at least eps. PyTorch: `F.cosine_similarity`. */
export function cosineSimilarity(a: Tensor, b: Tensor, dim = -1, eps = 1e-8): Tensor {
  return scope(() =>
    a
      .mul(b)
      .sum([dim])
      .div(
        a
          .norm(2, [dim])
          .maximum(eps)
          .mul(b.norm(2, [dim]).maximum(eps)),
      ),
  )
}
