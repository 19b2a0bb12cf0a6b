import { ValueError } from './errors.js'
import { noTensor } from './explain.js'
import { check, commands, native } from './native.js'
import { answer, Tensor } from './tensor.js'

/** What `postMessage` carries instead of a tensor. */
export interface ShareToken {
  /** The number by which `fromShared` finds the tensor; of this process alone. */
  readonly ferrogradShare: number
}

/**
 * Makes a tensor readable by the other workers of this process, without a copy: send the token with `postMessage` and call `fromShared` there.
 * From then on it cannot be changed in place. `revoke` lets go of the shared reference; workers that adopted it keep theirs.
 */
export function share(tensor: Tensor): { token: ShareToken; revoke: () => void } {
  if (!(tensor instanceof Tensor)) throw noTensor('share', 'the argument', tensor)
  native.publish(tensor._slot, tensor._generation)
  check()
  const id = commands[1]!
  tensor._base._frozen = true
  return { token: { ferrogradShare: id }, revoke: () => native.unpublish(id) }
}

/** The tensor behind a token of this process. @throws ValueError for a revoked or foreign token */
export function fromShared(token: ShareToken): Tensor {
  if (typeof token?.ferrogradShare !== 'number') throw new ValueError('fromShared: takes the token that share() gave in another worker of this process.')
  native.adopt(token.ferrogradShare)
  const tensor = answer()
  tensor._base._frozen = true
  return tensor
}
