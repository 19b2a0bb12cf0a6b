import { record } from '../autograd.js'
import { DTypeError } from '../errors.js'
import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'
import { shapeOf, sumBack } from './pointwise-table.js'
import { scalarLike, tracked } from './support.js'

/**
 * a where the condition holds, b elsewhere; all three broadcast. A number takes the other operand's dtype (float32 beside another number).
 * The gradient goes to the side that was taken. PyTorch: `torch.where`.
 * @example x.gt(0).where(x, 0)
 */
export function where(condition: Tensor, a: Tensor | number, b: Tensor | number): Tensor {
  if (condition.dtype !== 'bool') {
    throw new DTypeError(`where: the condition is ${condition.dtype}, it must be bool. Compare first: condition.ne(0).where(a, b).`, {
      op: 'where',
    })
  }
  const x = typeof a === 'number' ? scalarLike('where', typeof b === 'number' ? null : b, a, condition) : a
  const y = typeof b === 'number' ? scalarLike('where', typeof a === 'number' ? null : a, b, condition) : b
  const chosen = run.where(condition, x, y)
  if (!tracked(x) && !tracked(y)) return chosen
  const like = [shapeOf(x), shapeOf(y)] as const
  return record(chosen, {
    op: 'where',
    inputs: [x, y],
    saved: [condition],
    backward: (dy, condition) => [() => sumBack(where(condition!, dy, 0), like[0]), () => sumBack(where(condition!, 0, dy), like[1])],
  })
}

/** x with `value` where the mask holds; the mask broadcasts to x. PyTorch: `x.masked_fill`. */
export function maskedFill(x: Tensor, mask: Tensor, value: number): Tensor {
  return where(mask, value, x)
}
