import { isGradEnabled } from '../autograd.js'
import { ValueError } from '../errors.js'
import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'

/** What a fused layer applies to its result before it is written. */
export type Activation = 'none' | 'relu'

/** The op table's code of an activation. */
export function activationCode(op: string, activation: Activation): number {
  if (activation === 'none') return 0
  if (activation === 'relu') return 1
  throw new ValueError(`${op}: activation is 'none' or 'relu', got '${String(activation)}'. Call others on the result.`, { op })
}

/** dy where the fused activation let it pass; y is the layer's result. */
export function activationGradient(activation: Activation, y: Tensor, dy: Tensor): Tensor {
  if (activation === 'none') return dy
  return isGradEnabled() ? y.le(0).where(0, dy) : run.reluGrad(y, dy)
}
