import { NoGradientError, ValueError, VersionError } from '../errors.js'
import { isGradEnabled } from '../autograd.js'
import { dtypeCode } from '../dtype.js'
import { kindOf, noTensor } from '../explain.js'
import { run } from '../native/run.js'
import { Tensor } from '../tensor.js'
import { checkHeld, tracked } from './support.js'

/** In-place changes are refused where a gradient would silently be wrong, and where other workers read. */
function refuseMutation(op: string, x: Tensor): void {
  if (x._base._frozen) throw new VersionError(`${op}: the tensor was shared with other workers and cannot be changed in place any more. Change a copy: x.clone().`, { op })
  if (isGradEnabled() && (x.requiresGrad || x._base.requiresGrad)) {
    throw new VersionError(`${op}: the tensor, or one that shares its storage, requires a gradient, which an in-place change would make wrong.\n`
      + '  Compute a new tensor, change x.detach().clone(), or, to set weights by hand, wrap the call in noGrad(() => ...).', { op })
  }
}

/**
 * Writes `source` (broadcast to x's shape, cast to its dtype) into x and everything that shares its storage. Answers with x.
 * No gradient flows. A graph that saved the old values refuses to run backwards. PyTorch: `Tensor.copy_`.
 * @throws VersionError for a tensor that requires gradients outside `noGrad`, and for a shared one
 * @throws NoGradientError where a gradient reaches `source`: write `source.detach()`, or call inside `noGrad`
 * @throws ShapeError where `source` does not broadcast to x
 */
export function assign_(x: Tensor, source: Tensor): Tensor {
  refuseMutation('assign_', x)
  if (!(source instanceof Tensor)) throw noTensor('assign_', 'source', source)
  if (tracked(source)) {
    throw new NoGradientError('assign_: a gradient reaches the source, and none would flow through the change.\n'
      + '  Write source.detach(), wrap the call in noGrad(() => ...), or compute a new tensor.', { op: 'assign_' })
  }
  run.assign(x, source.dtype === x.dtype ? source : run.cast(source, dtypeCode(x.dtype)))
  return x
}

/** Writes one value into every element of x. PyTorch: `Tensor.fill_`. @throws VersionError as `assign_`, ValueError for what x's integer dtype does not hold */
export function fill_(x: Tensor, value: number): Tensor {
  if (typeof value !== 'number') throw new ValueError(`fill_: the value is a number, got ${kindOf(value)}.`, { op: 'fill_' })
  checkHeld('fill_', x.dtype, value)
  refuseMutation('fill_', x)
  run.fill(x, value)
  return x
}

/** Writes 0 into every element of x. PyTorch: `Tensor.zero_`. @throws VersionError as `assign_` */
export function zero_(x: Tensor): Tensor {
  refuseMutation('zero_', x)
  run.fill(x, 0)
  return x
}
