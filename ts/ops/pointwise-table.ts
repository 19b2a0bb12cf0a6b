import { autocasting, policyOf, underPolicy } from '../autocast.js'
import { isGradEnabled, record } from '../autograd.js'
import { NoGradientError } from '../errors.js'
import { run } from '../native/run.js'
import { checkArguments } from '../op-options.js'
import type { Tensor } from '../tensor.js'
import { checkScalar, sameShape, type Shape, tracked } from './support.js'

/** y = f(x), element by element. Integers become float32 where f is not exact on them. */
export type Unary = (x: Tensor) => Tensor
/**
 * y = f(a, b), element by element, with broadcasting and promotion. A number is a weak scalar: it takes the tensor's dtype and allocates
 * nothing; a fraction beside integers makes float32, and a whole number that an integer dtype does not hold throws a ValueError (PyTorch
 * wraps it around).
 */
export type Binary = (a: Tensor, b: Tensor | number) => Tensor
/** A question put to every element; the answer is a bool tensor and carries no gradient. */
export type Predicate = (x: Tensor) => Tensor<'bool'>
/** A comparison with broadcasting; the answer is a bool tensor and carries no gradient. */
export type Comparison = (a: Tensor, b: Tensor | number) => Tensor<'bool'>

type Name<F> = { [K in keyof typeof run]: (typeof run)[K] extends F ? K : never }[keyof typeof run]
type UnaryName = Name<(x: Tensor) => Tensor>
type BinaryName = Name<(a: Tensor, b: Tensor) => Tensor>
type ScalarName = Name<(x: Tensor, a: number) => Tensor>

/**
 * A row of the table: `saves` says whether the gradient formula needs the input, the output, or neither. `fused` is the same formula as one
 * kernel.
 */
export function unary(
  name: UnaryName & string,
  saves: 'x' | 'y' | '',
  gradient: (dy: Tensor, saved: Tensor) => Tensor,
  fused?: (saved: Tensor, dy: Tensor) => Tensor,
): Unary {
  const policy = policyOf(name)
  const row: Unary = function (x) {
    if (arguments.length > 1) checkArguments(name, row, arguments, 0)
    if (autocasting && policy !== undefined) return underPolicy(policy, row, [x])
    return pointwise(name, x, run[name](x), saves, gradient, fused)
  }
  return row
}

/** Records one pointwise result. Functions with constants of their own (a slope, bounds) call it directly. */
export function pointwise(
  op: string,
  x: Tensor,
  y: Tensor,
  saves: 'x' | 'y' | '',
  gradient: (dy: Tensor, saved: Tensor) => Tensor,
  fused?: (saved: Tensor, dy: Tensor) => Tensor,
): Tensor {
  if (!tracked(x)) return y
  return record(y, {
    op,
    inputs: [x],
    saved: saves === 'x' ? [x] : saves === 'y' ? [y] : [],
    backward: (dy, saved) => [() => (fused && !isGradEnabled() ? fused(saved!, dy) : gradient(dy, saved!))],
  })
}

/**
 * A row of the table for two operands. `da` and `db` are the gradients before they are summed back to the operand's shape; in `da` the
 * other operand may be the number that it was.
 */
export function binary(
  name: BinaryName & string,
  scalar: ScalarName & string,
  saves: 'ab' | '',
  da: (dy: Tensor, a: Tensor, b: Tensor | number) => Tensor,
  db: (dy: Tensor, a: Tensor, b: Tensor) => Tensor,
): Binary {
  const row: Binary = function (a, b) {
    if (arguments.length > 2) checkArguments(name, row, arguments, 0)
    if (typeof b === 'number') {
      checkScalar(name, a, b)
      const y = run[scalar](a, b)
      return tracked(a) ? record(y, { op: name, inputs: [a], saved: saves ? [a] : [], backward: (dy, a) => [() => da(dy, a!, b)] }) : y
    }
    const y = run[name](a, b)
    if (!tracked(a) && !tracked(b)) return y
    const like = [shapeOf(a), shapeOf(b)] as const
    return record(y, {
      op: name,
      inputs: [a, b],
      saved: saves ? [a, b] : [],
      backward: (dy, a, b) => [() => sumBack(da(dy, a!, b!), like[0]), () => sumBack(db(dy, a!, b!), like[1])],
    })
  }
  return row
}

/** A row that asks of one operand. */
export function predicate(name: UnaryName & string): Predicate {
  const row: Predicate = function (x) {
    if (arguments.length > 1) checkArguments(name, row, arguments, 0)
    return run[name](x) as Tensor<'bool'>
  }
  return row
}

/** A row that compares two operands. */
export function comparison(name: BinaryName & string, scalar: ScalarName & string): Comparison {
  const row: Comparison = function (a, b) {
    if (arguments.length > 2) checkArguments(name, row, arguments, 0)
    return (typeof b === 'number' ? run[scalar](a, b) : run[name](a, b)) as Tensor<'bool'>
  }
  return row
}

/** A float result that has no gradient: asking for one throws. */
export function withoutGradient(op: string, y: Tensor, inputs: Tensor[], wayOut: string): Tensor {
  if (!inputs.some(tracked)) return y
  const refuse = (): never => {
    throw new NoGradientError(`${op}: has no gradient. ${wayOut}`, { op })
  }
  return record(y, { op, inputs, saved: [], backward: () => inputs.map(() => refuse) })
}

/** What a gradient must come back as: the operand's shape and dtype. */
export function shapeOf(x: Tensor): { shape: Shape; dtype: Tensor['dtype'] } {
  return { shape: x.shape, dtype: x.dtype }
}

/** The gradient of a broadcast operand: summed over what was repeated, in the operand's own dtype. */
export function sumBack(g: Tensor, { shape, dtype }: ReturnType<typeof shapeOf>): Tensor {
  const summed = sameShape(g.shape, shape) ? g : g.sumTo(shape)
  return summed.dtype === dtype ? summed : summed.cast(dtype)
}
