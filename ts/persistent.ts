import { native } from './native.js'
import { noGrad, unscoped } from './scope.js'

/** Makes state that outlives every scope, though a step may be under way of being recorded: optimizer state, a lazy layer's weights, class weights. */
export function persistent<T>(make: () => T): T {
  native.captureSuspend(true)
  try {
    return unscoped(() => noGrad(make))
  } finally {
    native.captureSuspend(false)
  }
}
