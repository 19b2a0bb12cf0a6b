import { record } from '../autograd.js'
import { isFloat } from '../dtype.js'
import { ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { checkArguments } from '../op-options.js'
import { Tensor } from '../tensor.js'
import { type Binary, binary, pointwise, shapeOf, sumBack, withoutGradient } from './pointwise-table.js'
import { checkScalar, scalarLike, tracked } from './support.js'

// One row an op of two operands: a gradient for the first (whose other operand may be a number) and one for the second.

/** a + b. PyTorch: `torch.add`. */
export const add: Binary = binary(
  'add',
  'addScalar',
  '',
  (dy) => dy,
  (dy) => dy,
)
/** a - b. PyTorch: `torch.sub`. */
export const sub: Binary = binary(
  'sub',
  'subScalar',
  '',
  (dy) => dy,
  (dy) => dy.neg(),
)
/** a b. PyTorch: `torch.mul`. */
export const mul: Binary = binary(
  'mul',
  'mulScalar',
  'ab',
  (dy, _, b) => dy.mul(b),
  (dy, a) => dy.mul(a),
)
const quotient: Binary = binary(
  'div',
  'divScalar',
  'ab',
  (dy, _, b) => dy.div(b),
  (dy, a, b) => dy.mul(a.div(b).div(b)).neg(),
)
/** a / b; integers give float32, so that a division by 0 is ±Infinity, or NaN for 0 / 0. PyTorch: `torch.div`. */
export const div: Binary = function (a, b) {
  if (arguments.length > 2) checkArguments('div', div, arguments, 0)
  return quotient(typeof b === 'number' && a instanceof Tensor && !isFloat(a.dtype) ? a.cast('float32') : a, b)
}
/**
 * The larger of both; NaN wins; where they are equal each gets half of the gradient, where one is NaN both get all of it.
 * PyTorch: `torch.maximum`.
 */
export const maximum: Binary = binary(
  'maximum',
  'maximumScalar',
  'ab',
  (dy, a, b) => share(dy, a.lt(b), a.eq(b)),
  (dy, a, b) => share(dy, a.gt(b), a.eq(b)),
)
/**
 * The smaller of both; NaN wins; where they are equal each gets half of the gradient, where one is NaN both get all of it.
 * PyTorch: `torch.minimum`.
 */
export const minimum: Binary = binary(
  'minimum',
  'minimumScalar',
  'ab',
  (dy, a, b) => share(dy, a.gt(b), a.eq(b)),
  (dy, a, b) => share(dy, a.lt(b), a.eq(b)),
)
/**
 * a - floor(a / b) b: the remainder with the sign of b. Integers give 0 where b is 0, floats NaN. PyTorch: `torch.remainder`, which throws for
 * integers there.
 */
export const remainder: Binary = binary(
  'remainder',
  'remainderScalar',
  'ab',
  (dy) => dy,
  (dy, a, b) => dy.mul(a.div(b).floor()).neg(),
)

/** Nothing where `lost`, half of dy where `tied`. Asked this way round, what stands beside NaN gets dy, as in PyTorch. */
function share(dy: Tensor, lost: Tensor, tied: Tensor): Tensor {
  return lost.where(0, tied.where(dy.mul(0.5), dy))
}

/**
 * a to the power of b. The gradient of a at b = 0 and that of b at a = 0 are 0. PyTorch: `torch.pow`.
 * @throws ValueError for a negative whole b and integers a, whose powers are fractions
 */
export function pow(a: Tensor, b: Tensor | number): Tensor {
  if (typeof b === 'number') {
    if (b < 0 && Number.isInteger(b) && a instanceof Tensor && !isFloat(a.dtype)) {
      throw new ValueError(`pow: ${a.dtype} holds no powers of ${b}, which are fractions.\n  Convert first: x.to('float32').pow(${b}).`, { op: 'pow' })
    }
    checkScalar('pow', a, b)
    return pointwise('pow', a, run.powScalar(a, b), 'x', (dy, a) => (b === 0 ? dy.mul(0) : dy.mul(a.pow(b - 1).mul(b))))
  }
  const y = run.pow(a, b)
  if (!tracked(a) && !tracked(b)) return y
  const like = [shapeOf(a), shapeOf(b)] as const
  return record(y, {
    op: 'pow',
    inputs: [a, b],
    saved: [a, b, y],
    backward: (dy, a, b, y) => [
      () => sumBack(b!.eq(0).where(0, dy.mul(b!).mul(a!.pow(b!.sub(1)))), like[0]),
      () => sumBack(a!.eq(0).logicalAnd(b!.ge(0)).where(0, dy.mul(y!).mul(a!.log())), like[1]),
    ],
  })
}

/** The angle of the point (b, a) in radians, between -π and π; at (0, 0) both gradients are 0. PyTorch: `torch.atan2(a, b)`. */
export function atan2(a: Tensor, b: Tensor): Tensor {
  const y = run.atan2(a, b)
  if (!tracked(a) && !tracked(b)) return y
  const like = [shapeOf(a), shapeOf(b)] as const
  return record(y, {
    op: 'atan2',
    inputs: [a, b],
    saved: [a, b],
    backward: (dy, a, b) => {
      const squares = a!.square().add(b!.square())
      // 0 at the origin, and where the squares are too small for the dtype.
      const scaled = squares.eq(0).where(0, dy.div(squares))
      return [() => sumBack(scaled.mul(b!), like[0]), () => sumBack(scaled.mul(a!).neg(), like[1])]
    },
  })
}

/**
 * floor(a / b). Integers give 0 where b is 0; floats ±Infinity, or NaN for 0 / 0. It has no gradient. PyTorch: `torch.floor_divide`, which
 * throws for integers there.
 * @throws NoGradientError when a gradient is asked for
 */
export function floorDivide(a: Tensor, b: Tensor | number): Tensor {
  const other = scalarLike('floorDivide', a, b)
  return withoutGradient('floorDivide', run.floorDivide(a, other), [a, other], 'Use a.div(b).floor(), whose gradient is 0.')
}

/** sqrt(a² + b²), without overflow; Infinity where either is infinite. The gradients at (0, 0) are NaN. PyTorch: `torch.hypot`. */
export function hypot(a: Tensor, b: Tensor): Tensor {
  const y = run.hypot(a, b)
  if (!tracked(a) && !tracked(b)) return y
  const like = [shapeOf(a), shapeOf(b)] as const
  return record(y, {
    op: 'hypot',
    inputs: [a, b],
    saved: [a, b, y],
    backward: (dy, a, b, y) => [() => sumBack(dy.mul(a!.div(y!)), like[0]), () => sumBack(dy.mul(b!.div(y!)), like[1])],
  })
}

// PyTorch's other names.
/** {@link sub} */
export const subtract: Binary = sub
/** {@link mul} */
export const multiply: Binary = mul
/** {@link div} */
export const divide: Binary = div
/** {@link div} */
export const trueDivide: Binary = div
