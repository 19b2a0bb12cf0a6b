import { record } from '../autograd.js'
import { full } from '../create.js'
import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'
import { tracked } from './support.js'

/**
 * Records a view that shows a part of x. Its gradient is zeros with dy written through the same view; the gradient of that is the view
 * again. `part` is the view without a gradient, `view` the public one.
 */
export function viewGradient(op: string, x: Tensor, y: Tensor, part: (z: Tensor) => Tensor, view: (dz: Tensor) => Tensor): Tensor {
  const { shape } = x
  return record(y, {
    op,
    inputs: [x],
    saved: [],
    backward: (dy) => [
      () => {
        const dx = full(shape, 0, { dtype: dy.dtype, device: dy.device })
        run.assign(part(dx), dy)
        return tracked(dy) ? record(dx, { op: `${op}Gradient`, inputs: [dy], saved: [], backward: (ddx) => [() => view(ddx)] }) : dx
      },
    ],
  })
}
