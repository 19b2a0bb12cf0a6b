import { ShapeError } from '../errors.js'
import { kindOf } from '../explain.js'
import { Tensor } from '../tensor.js'
import { type Weights, weightsLike } from './loss.js'

/** A loss' `weight`: one number a class of the outputs [..., C]. Another count would be broadcast, or be found out only by a label beyond it. */
export function classWeight(op: string, weight: Weights, output: Tensor): Tensor {
  const classes = output.shape[output.shape.length - 1] as number
  const shape = weight instanceof Tensor ? weight.shape : Array.isArray(weight) ? [weight.length] : null
  if (shape?.length === 1 && shape[0] === classes) return weightsLike(weight, output)
  const got = shape === null ? kindOf(weight) : `[${shape.join(', ')}]`
  throw new ShapeError(
    `${op}: weight is one number a class, [${classes}] for outputs [${output.shape.join(', ')}], got ${got}.\n  Give each class its weight, 1 where it is to count as it is.`,
    { op, shapes: [output.shape, ...(shape === null ? [] : [shape])] },
  )
}
