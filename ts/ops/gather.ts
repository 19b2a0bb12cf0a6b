import { full } from '../create.js'
import { record } from '../autograd.js'
import { type DType, dtypeCode } from '../dtype.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { checkHeld, scalarLike, tracked } from './support.js'

// Indices are int32 or int64. One outside its dimension, negative ones included, is a late IndexError: it rejects when the result is read.

/**
 * One element an index along `dim`: y[i][j] = x[index[i][j]][j] for dim 0. Equal indices add up in the gradient. PyTorch: `torch.gather`.
 */
export function gather(x: Tensor, dim: number, index: Tensor): Tensor {
  const y = run.gather(x, index, dim)
  if (!tracked(x)) return y
  const { shape } = x
  return record(y, {
    op: 'gather',
    inputs: [x],
    saved: [index],
    backward: (dy, index) => [() => scatterAdd(full(shape, 0, { dtype: dy.dtype, device: dy.device }), dim, index!, dy)],
  })
}

/**
 * x with elements of `source` (or one number) written where `index` says: y[index[i][j]][j] = source[i][j] for dim 0.
 * Where an index repeats, the last one in row-major order stays, and its gradient goes to all of them. PyTorch: `torch.scatter`.
 * @throws ValueError for a number that x's integer dtype does not hold
 */
export function scatter(x: Tensor, dim: number, index: Tensor, source: Tensor | number): Tensor {
  if (typeof source === 'number') checkHeld('scatter', x.dtype, source)
  const values = typeof source === 'number' ? scalarLike('scatter', x, source).cast(x.dtype).expand(index.shape) : source
  const y = run.scatter(x, index, values, dim)
  if (!tracked(x) && !tracked(values)) return y
  const { shape } = values
  return record(y, {
    op: 'scatter',
    inputs: [x, values],
    saved: [index],
    backward: (dy, index) => [() => scatter(dy, dim, index!, 0), () => grown(gather(dy, dim, index!), shape)],
  })
}

/** x with elements of `source` added where `index` says; equal indices add up. PyTorch: `torch.scatter_add`. */
export function scatterAdd(x: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
  const y = run.scatterAdd(x, index, source, dim)
  if (!tracked(x) && !tracked(source)) return y
  const { shape } = source
  return record(y, {
    op: 'scatterAdd',
    inputs: [x, source],
    saved: [index],
    backward: (dy, index) => [() => dy, () => grown(gather(dy, dim, index!), shape)],
  })
}

/** A source may be larger than the index; what was not read has gradient 0. */
function grown(g: Tensor, shape: readonly number[]): Tensor {
  const pads = shape.flatMap((size, i) => [size - g.shape[i]!, 0]).reverse()
  return pads.some((p) => p > 0) ? g.pad(pads) : g
}

/** The entries of `dim` that the vector `index` names. PyTorch: `torch.index_select`. */
export function indexSelect(x: Tensor, dim: number, index: Tensor): Tensor {
  const y = run.indexSelect(x, index, dim)
  if (!tracked(x)) return y
  const size = x.shape.at(dim)!
  return record(y, {
    op: 'indexSelect',
    inputs: [x],
    saved: [index],
    backward: (dy, index) => [() => indexSelectGradient(dy, index!, dim, size)],
  })
}

/** The entries of dy added up where they came from; `size` is that dimension's. */
function indexSelectGradient(dy: Tensor, index: Tensor, dim: number, size: number): Tensor {
  const dx = run.indexSelectGrad(dy, index, dim, size)
  return tracked(dy)
    ? record(dx, {
        op: 'indexSelectGradient',
        inputs: [dy],
        saved: [index],
        backward: (ddx, index) => [() => indexSelect(ddx, dim, index!)],
      })
    : dx
}

/** x with the entries of `source` added at the places of `dim` that the vector `index` names. PyTorch: `torch.index_add`. */
export function indexAdd(x: Tensor, dim: number, index: Tensor, source: Tensor): Tensor {
  return scope(() => x.add(indexSelectGradient(source, index, dim, x.shape.at(dim)!)))
}

/** Elements of the flattened tensor, in the shape of `index`. PyTorch: `torch.take`. */
export function take(x: Tensor, index: Tensor): Tensor {
  return scope(() => indexSelect(x.reshape([-1]), 0, index.reshape([-1])).reshape(index.shape))
}

/**
 * Which steps of padded sequences are theirs: lengths int32 [N] -> bool [N, steps], true at each row's first ones. TensorFlow: `tf.sequence_mask`. A length
 * outside of 0..=steps is a late IndexError.
 * @throws ShapeError where lengths are not int32 [N]
 * @example x.maskedFill(sequenceMask(lengths, x.shape[1]).logicalNot(), 0)
 */
export function sequenceMask(lengths: Tensor, steps: number): Tensor<'bool'> {
  return run.sequenceMask(lengths, steps) as Tensor<'bool'>
}

/**
 * A new last dimension of `classes`, 1 where the index points and 0 elsewhere. PyTorch: `F.one_hot`, which answers int64; here the default
 * is float32.
 */
export function oneHot(index: Tensor, classes: number, { dtype = 'float32' }: { dtype?: DType } = {}): Tensor {
  return run.oneHot(index, classes, dtypeCode(dtype))
}
