import { ShapeError, ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { pointwise, type Unary, unary } from './pointwise-table.js'
import { axis, show } from './support.js'

/** max(x, 0); its gradient at 0 is 0. PyTorch: `F.relu`. */
export const relu: Unary = unary(
  'relu',
  'y',
  // Asked this way round, NaN passes the gradient on, as in PyTorch and in the fused one.
  (dy, y) => y.le(0).where(0, dy),
  (y, dy) => run.reluGrad(y, dy),
)
/** 1 / (1 + e⁻ˣ). PyTorch: `torch.sigmoid`. */
export const sigmoid: Unary = unary(
  'sigmoid',
  'y',
  (dy, y) => dy.mul(y).mul(y.rsub(1)),
  (y, dy) => run.sigmoidGrad(y, dy),
)
/** log sigmoid(x) = -log(1 + e⁻ˣ), without overflow. PyTorch: `F.logsigmoid`. */
export const logSigmoid: Unary = unary('logSigmoid', 'x', (dy, x) => dy.mul(x.neg().sigmoid()))
/** x sigmoid(x), also called swish. PyTorch: `F.silu`. */
export const silu: Unary = unary(
  'silu',
  'x',
  (dy, x) => {
    const s = x.sigmoid()
    return dy.mul(s).mul(s.rsub(1).mul(x).add(1))
  },
  (x, dy) => run.siluGrad(x, dy),
)
/** x tanh(softplus(x)). PyTorch: `F.mish`. */
export const mish: Unary = unary(
  'mish',
  'x',
  (dy, x) => {
    const t = x.softplus().tanh()
    return dy.mul(t.add(t.square().rsub(1).mul(x).mul(x.sigmoid())))
  },
  (x, dy) => run.mishGrad(x, dy),
)
/** x relu6(x + 3) / 6. PyTorch: `F.hardswish`. */
export const hardswish: Unary = unary(
  'hardswish',
  'x',
  (dy, x) => x.le(-3).where(0, x.lt(3).where(dy.mul(x.mul(2).add(3).div(6)), dy)),
  (x, dy) => run.hardswishGrad(x, dy),
)
/** relu6(x + 3) / 6. PyTorch: `F.hardsigmoid`. */
export const hardsigmoid: Unary = unary(
  'hardsigmoid',
  'x',
  (dy, x) => dy.mul(x.gt(-3)).mul(x.lt(3)).div(6),
  (x, dy) => run.hardsigmoidGrad(x, dy),
)
/** x / (1 + |x|). PyTorch: `F.softsign`. */
export const softsign: Unary = unary('softsign', 'x', (dy, x) => dy.div(x.abs().add(1).square()))

const SELU_SCALE = 1.0507009873554805
const SELU_ALPHA = 1.6732632423543772
/** Self-normalising unit: 1.0507 x above 0, 1.0507 · 1.6733 (eˣ - 1) below. PyTorch: `F.selu`. */
export const selu: Unary = unary('selu', 'y', (dy, y) => dy.mul(y.gt(0).where(SELU_SCALE, y.add(SELU_SCALE * SELU_ALPHA))))

/**
 * Gaussian error linear unit: x Φ(x), or its tanh form 0.5 x (1 + tanh(√(2/π) (x + 0.044715 x³))). PyTorch: `F.gelu`.
 * @throws ValueError for another name of an approximation
 */
export function gelu(x: Tensor, approximate: 'none' | 'tanh' = 'none'): Tensor {
  if (approximate === 'none') return pointwise('gelu', x, run.gelu(x), 'x', geluGradient, (x, dy) => run.geluGrad(x, dy))
  if (approximate === 'tanh') return pointwise('gelu', x, run.geluTanh(x), 'x', geluTanhGradient, (x, dy) => run.geluTanhGrad(x, dy))
  throw new ValueError(`gelu: approximate is 'none' or 'tanh', got '${String(approximate)}'.`, { op: 'gelu' })
}

/** dy (Φ(x) + x φ(x)) */
function geluGradient(dy: Tensor, x: Tensor): Tensor {
  const cdf = x.mul(Math.SQRT1_2).erf().add(1).mul(0.5)
  const pdf = x
    .square()
    .mul(-0.5)
    .exp()
    .mul(1 / Math.sqrt(2 * Math.PI))
  return dy.mul(cdf.add(x.mul(pdf)))
}

/** dy (0.5 (1 + t) + 0.5 x (1 - t²) u'), t = tanh u, u = √(2/π) (x + 0.044715 x³) */
function geluTanhGradient(dy: Tensor, x: Tensor): Tensor {
  const k = Math.sqrt(2 / Math.PI)
  const t = x.square().mul(0.044715).add(1).mul(x).mul(k).tanh()
  const inner = x
    .square()
    .mul(3 * 0.044715)
    .add(1)
    .mul(k)
  return dy.mul(t.add(1).mul(0.5).add(t.square().rsub(1).mul(inner).mul(x).mul(0.5)))
}

/** log(1 + e^(beta x)) / beta, and x itself where beta x exceeds the threshold. PyTorch: `F.softplus`. */
export function softplus(x: Tensor, beta = 1, threshold = 20): Tensor {
  if (beta === 1 && threshold === 20) {
    return pointwise(
      'softplus',
      x,
      run.softplus(x),
      'x',
      (dy, x) => dy.mul(x.gt(20).where(1, x.sigmoid())),
      (x, dy) => run.softplusGrad(x, dy),
    )
  }
  const y = scope(() => {
    const value = x.detach()
    const scaled = value.mul(beta)
    return scaled.gt(threshold).where(value, scaled.exp().log1p().div(beta))
  })
  return pointwise('softplus', x, y, 'x', (dy, x) => {
    const scaled = x.mul(beta)
    return scaled.gt(threshold).where(dy, dy.mul(scaled.sigmoid()))
  })
}

/** x above 0, alpha (eˣ - 1) below. PyTorch: `F.elu`. */
export function elu(x: Tensor, alpha = 1): Tensor {
  return pointwise(
    'elu',
    x,
    run.elu(x, alpha),
    'x',
    (dy, x) => dy.mul(x.gt(0).where(1, x.minimum(0).exp().mul(alpha))),
    (x, dy) => run.eluGrad(x, dy, alpha),
  )
}

/** x above 0, alpha (e^(x / alpha) - 1) below. PyTorch: `F.celu`. */
export function celu(x: Tensor, alpha = 1): Tensor {
  return elu(x.div(alpha)).mul(alpha)
}

/** x above 0, slope · x below. PyTorch: `F.leaky_relu`. */
export function leakyRelu(x: Tensor, slope = 0.01): Tensor {
  return pointwise(
    'leakyRelu',
    x,
    run.leakyRelu(x, slope),
    'x',
    (dy, x) => x.gt(0).where(dy, dy.mul(slope)),
    (x, dy) => run.leakyReluGrad(x, dy, slope),
  )
}

/**
 * x above 0, weight · x below, the weight learnt: one number, or one a channel (the last dimension). PyTorch: `F.prelu` (whose channels are
 * dim 1).
 */
export function prelu(x: Tensor, weight: Tensor): Tensor {
  return scope(() => {
    const above = x.gt(0)
    // Not x itself times the weight: an infinity above 0 would make the weight's gradient NaN.
    return above.where(x, above.where(0, x).mul(weight))
  })
}

/** x bounded to [0, 6]. PyTorch: `F.relu6`. */
export function relu6(x: Tensor): Tensor {
  return x.clamp(0, 6)
}

/** x bounded to [min, max]. PyTorch: `F.hardtanh`. */
export function hardtanh(x: Tensor, min = -1, max = 1): Tensor {
  return x.clamp(min, max)
}

/** x - tanh(x). PyTorch: `F.tanhshrink`. */
export function tanhshrink(x: Tensor): Tensor {
  return x.sub(x.tanh())
}

/**
 * x moved towards 0 by lambda, and 0 within lambda of it, lambda included; the gradient there is 0. PyTorch: `F.softshrink`.
 * NaN stays NaN and passes its gradient on (in PyTorch that depends on where in memory the element lies).
 * @throws ValueError for a negative lambda
 */
export function softshrink(x: Tensor, lambda = 0.5): Tensor {
  if (!(lambda >= 0)) throw new ValueError(`softshrink: lambda must be at least 0, got ${lambda}.`, { op: 'softshrink' })
  // Asked this way round, NaN stays NaN.
  return scope(() => x.abs().le(lambda).where(0, x.sub(x.detach().sign().mul(lambda))))
}

/**
 * x, and 0 within lambda of 0, lambda included; the gradient there is 0. PyTorch: `F.hardshrink`.
 * NaN stays NaN and passes its gradient on (in PyTorch that depends on where in memory the element lies).
 */
export function hardshrink(x: Tensor, lambda = 0.5): Tensor {
  // Asked this way round, NaN stays NaN.
  return scope(() => x.abs().le(lambda).where(0, x))
}

/** Gated linear unit: the first half of `dim`, whose size is even, times the sigmoid of the second. PyTorch: `F.glu`. @throws ShapeError */
export function glu(x: Tensor, dim = -1): Tensor {
  const size = x.ndim === 0 ? 1 : x.shape[axis('glu', dim, x)]!
  if (size % 2 !== 0) {
    throw new ShapeError(`glu: dim ${dim} of ${show(x.shape)} has size ${size}, which has no two halves.\n  Use a layer with an even number of outputs, or another dim.`, {
      op: 'glu',
      shapes: [x.shape],
    })
  }
  const [value, gate] = x.chunk(2, dim)
  return value!.mul(gate!.sigmoid())
}
