import { full } from '../create.js'
import { record } from '../autograd.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { broadcastShapes, refuseCapture, tracked } from './support.js'

// How many elements are picked depends on values, so that each of these waits (a Promise); given a `size` it does not: the answer is cut to
// that size, or filled up, and may be part of a captured step.

/** The bounded form: how many entries the answer has, and what stands in those that no element fills (0 if left out; -1 for places). */
export interface Bounded {
  /** How many entries the answer has. */
  size: number
  /** What stands in those that no element fills: 0 if left out, -1 for places. */
  fill?: number
}

const bounded = 'Pass { size } for the bounded form, or call it outside of the compiled function.'

/** Reads a count that a kernel has made, and lets its tensor go. */
async function read(count: Tensor): Promise<number> {
  try {
    return Number(await count.item())
  } finally {
    count.dispose()
  }
}

/** The places of elements that are not 0, one row [i, j, ...] each, in row-major order (int32). PyTorch: `torch.nonzero`. */
export function nonzero(x: Tensor): Promise<Tensor>
/** The first `size` places, without waiting. @see nonzero */
export function nonzero(x: Tensor, options: Bounded): Tensor
export function nonzero(x: Tensor, options?: Bounded): Tensor | Promise<Tensor> {
  if (options) return run.nonzero(x, options.size, options.fill ?? -1)
  refuseCapture('nonzero', bounded)
  return read(run.nonzeroCount(x)).then((size) => run.nonzero(x, size, -1))
}

/** The elements of x where the mask holds, in row-major order; the two broadcast. PyTorch: `torch.masked_select`. */
export function maskedSelect(x: Tensor, mask: Tensor): Promise<Tensor>
/** The first `size` elements, without waiting. @see maskedSelect */
export function maskedSelect(x: Tensor, mask: Tensor, options: Bounded): Tensor
export function maskedSelect(x: Tensor, mask: Tensor, options?: Bounded): Tensor | Promise<Tensor> {
  if (options) return selected(x, mask, options.size, options.fill ?? 0)
  refuseCapture('maskedSelect', bounded)
  return read(scope(() => run.nonzeroCount(maskFor(x, mask)))).then((size) => selected(x, mask, size, 0))
}

function maskFor(x: Tensor, mask: Tensor): Tensor {
  return mask.expand(broadcastShapes('maskedSelect', x.shape, mask.shape))
}

function selected(x: Tensor, mask: Tensor, size: number, fill: number): Tensor {
  const y = run.maskedSelect(x, mask, size, fill)
  if (!tracked(x)) return y
  const { shape } = x
  return record(y, {
    op: 'maskedSelect',
    inputs: [x],
    saved: [mask],
    // The k-th true place gets dy[k]; the count of true places up to here, less one, is that k.
    backward: (dy, mask) => [
      () => {
        const whole = mask!.expand(broadcastShapes('maskedSelect', shape, mask!.shape))
        if (size === 0) return full(shape, 0, { dtype: dy.dtype, device: dy.device })
        const order = whole.reshape([-1]).cast('int32').cumsum(0)
        const taken = dy.indexSelect(0, order.sub(1).clamp(0, size - 1))
        const hit = whole.reshape([-1]).logicalAnd(order.le(size))
        return hit.where(taken, 0).reshape(whole.shape).sumTo(shape)
      },
    ],
  })
}

/** The distinct values in ascending order. PyTorch: `torch.unique`. */
export function unique(x: Tensor): Promise<Tensor>
/** The first `size` distinct values, without waiting. @see unique */
export function unique(x: Tensor, options: Bounded): Tensor
export function unique(x: Tensor, options?: Bounded): Tensor | Promise<Tensor> {
  if (options) return run.unique(x, options.size, options.fill ?? 0)
  refuseCapture('unique', bounded)
  return read(run.uniqueCount(x)).then((size) => run.unique(x, size, 0))
}
