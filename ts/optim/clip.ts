import { noGrad, scope, type Tensor, ValueError } from '../index.js'
import { dtypeCode, run, settle, unscoped } from '../internal.js'

/** How `optimizer.step` bounds gradients. */
export interface ClipOptions {
  /** The largest joint norm of all gradients. */
  clipNorm?: number | undefined
  /** Which norm: 2 (default), 1, any p, or Infinity. */
  normType?: number | undefined
  /** The largest absolute value of each element. */
  clipValue?: number | undefined
  /** A step whose gradients hold NaN or infinity does not happen: parameters and state stay as they were. Default false. */
  refuseNonFinite?: boolean | undefined
}

/**
 * The gradients to use and the factor on all of them. The factor is not null where several commands must stand or fall together: it then
 * carries the failure of any gradient to each command.
 */
export function clipGradients(
  grads: Tensor[],
  options: ClipOptions,
  several: boolean,
): { grads: Tensor[]; scale: Tensor | null } {
  const { clipNorm, normType, clipValue, refuseNonFinite } = settle('optimizer.step', options, {
    clipNorm: undefined, normType: 2, clipValue: undefined, refuseNonFinite: false,
  })
  if (clipValue !== undefined) {
    positive('clipValue', clipValue)
    grads = grads.map((grad) => run.clamp(grad, -clipValue, clipValue))
  }
  if (clipNorm !== undefined) positive('clipNorm', clipNorm)
  if (clipNorm === undefined && !refuseNonFinite) return { grads, scale: several ? run.guard(grads) : null }
  const norm = run.gradNorm(grads, normType)
  const scale = clipNorm === undefined ? run.guard(grads) : run.clipCoefficient(norm, clipNorm)
  return { grads, scale: refuseNonFinite ? refuse(norm, scale) : scale }
}

/**
 * `scale`, or a failure where the norm is not finite: row 0 of a table of one row, or row 1, which it lacks. A failed factor stops each
 * command it reaches.
 */
function refuse(norm: Tensor, scale: Tensor): Tensor {
  const row = run.cast(run.logicalNot(run.isfinite(norm)), dtypeCode('int32'))
  return run.reshape(run.indexSelect(run.reshape(scale, [1]), run.reshape(row, [1]), 0), [])
}

/**
 * Scales the gradients of `parameters` so that their joint `normType`-norm is at most `maxNorm`, and gives the norm before (a scalar
 * tensor).
 * `optimizer.step({ clipNorm })` does the same without writing the gradients. PyTorch: `torch.nn.utils.clip_grad_norm_`.
 */
export function clipGradNorm(parameters: Iterable<Tensor>, maxNorm: number, options: { normType?: number } = {}): Tensor {
  const { normType } = settle('clipGradNorm', options, { normType: 2 })
  positive('maxNorm', maxNorm)
  const owners = withGradients(parameters, 'clipGradNorm')
  return noGrad(() =>
    scope(() => {
      const grads = owners.map((owner) => owner.grad as Tensor)
      const norm = run.gradNorm(grads, normType)
      const scale = run.clipCoefficient(norm, maxNorm)
      for (const owner of owners) {
        const factor = scale.dtype === owner.dtype ? scale : scale.to(owner.dtype)
        owner.grad = unscoped(() => run.mul(owner.grad as Tensor, factor))
      }
      return norm
    }),
  )
}

/** Bounds every element of the gradients of `parameters` to [-limit, limit]. PyTorch: `torch.nn.utils.clip_grad_value_`. */
export function clipGradValue(parameters: Iterable<Tensor>, limit: number): void {
  positive('limit', limit)
  noGrad(() =>
    scope(() => {
      for (const owner of withGradients(parameters, 'clipGradValue')) {
        const grad = owner.grad as Tensor
        owner.grad = unscoped(() => run.clamp(grad, -limit, limit))
      }
    }),
  )
}

function withGradients(parameters: Iterable<Tensor>, op: string): Tensor[] {
  const owners = [...parameters].filter((parameter) => parameter.grad !== null)
  if (owners.length === 0) throw new ValueError(`${op}: no parameter has a gradient.\n  Call it between backward() and step().`)
  return owners
}

function positive(name: string, value: number): void {
  if (!(value > 0)) throw new ValueError(`${name} is ${value}; it must be above 0.`)
}
