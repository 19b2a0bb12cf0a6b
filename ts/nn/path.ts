// The name of the layer that is running, for messages such as "NaN in encoder.layers.3". Entering a layer only pushes it on a stack;
// names are worked out when a message wants them.
import type { Module } from './module.js'
import { namedModules } from './walk.js'

/**
 * The path of the innermost of `stack` (outermost first), seen from the outermost: each module's name inside the one that called it, joined
 * by dots.
 * A module that its caller does not hold in a field is named by its class, and so is the outermost where it is alone.
 */
export function modulePath(stack: readonly Module[]): string {
  if (stack.length === 1) return (stack[0] as Module).constructor.name
  // The model itself has no name but its class's.
  if (stack.length === 1) return (stack[0] as Module).constructor.name
  const names: string[] = []
  for (let depth = 1; depth < stack.length; depth++) {
    const child = stack[depth] as Module
    names.push(nameWithin(stack.slice(0, depth), child))
  }
  return names.join('.')
}

/** The child's name in the nearest caller that holds it. */
function nameWithin(callers: readonly Module[], child: Module): string {
  const caller = callers[callers.length - 1] as Module
  // A loss stands among the modules by its name alone.
  const found = child instanceof Object && Object.getPrototypeOf(child) !== Object.prototype && Object.getPrototypeOf(caller) !== Object.prototype
    ? namedModules(caller).find(([, module]) => module === child) : undefined
  return found === undefined || found[0] === '' ? child.constructor.name : found[0]
}
