import { FerrogradError, ValueError } from './errors.js'
import { Tensor } from './tensor.js'

/**
 * What an op or layer that was called with the wrong kind of thing throws: JavaScript's own "cannot read properties of undefined" names neither
 * the op nor the argument.
 */
export function explain(op: string, error: unknown, args: ArrayLike<unknown>): unknown {
  if (!(error instanceof TypeError) || error instanceof FerrogradError) return error
  return new ValueError(`${op}: cannot work with (${Array.from(args, kindOf).join(', ')}): ${error.message}.\n`
    + '  A tensor comes from tensor(...) or from ops; sizes and dims are integers, options one plain object.', { op, cause: error })
}

/** A value as messages name it. */
export function kindOf(value: unknown): string {
  if (value instanceof Tensor) return `Tensor [${value.shape.join(', ')}]`
  if (Array.isArray(value)) return value.length <= 4 && value.every((item) => typeof item === 'number') ? `[${value.join(', ')}]` : 'array'
  if (typeof value === 'function') return `the function ${value.name}`
  return value === null ? 'null' : typeof value === 'object' ? value.constructor?.name ?? 'object' : typeof value === 'string' ? JSON.stringify(value) : String(value)
}
