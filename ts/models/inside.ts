import { ShapeError } from '../errors.js'
import { kindOf } from '../explain.js'
import { sequenceMask } from '../ops/index.js'
import { Tensor } from '../tensor.js'

/**
 * Which of the steps of x [N, T, ...] are each row's own: bool [N, T]. A length outside of 0..=T is a late IndexError.
 * @throws ShapeError where lengths are not int32 [N]
 */
export function inside(model: string, lengths: Tensor, x: Tensor): Tensor<'bool'> {
  const [rows, steps] = x.shape as [number, number]
  if (!(lengths instanceof Tensor) || lengths.ndim !== 1 || lengths.shape[0] !== rows || lengths.dtype !== 'int32') {
    const got = lengths instanceof Tensor ? `${lengths.dtype} [${lengths.shape.join(', ')}]` : kindOf(lengths)
    throw new ShapeError(`${model}: lengths must be int32 [N] = [${rows}], got ${got}.\n  Give the number of steps of each row: tensor(Int32Array.of(...)).`, { op: model })
  }
  return sequenceMask(lengths, steps)
}
