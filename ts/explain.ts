import { autocasting, policyOf, underPolicy } from './autocast.js'
import { DeviceError, FerrogradError, ValueError } from './errors.js'
import { checkArguments, looksLikeOptions, optionsPlace } from './op-options.js'
import { Tensor } from './tensor.js'

/**
 * What an op or layer that was called with the wrong kind of thing throws: JavaScript's own "cannot read properties of undefined" names neither
 * the op nor the argument. A method's tensor is `self`, and not among its arguments.
 */
export function explain(op: string, error: unknown, args: ArrayLike<unknown>, self?: Tensor): unknown {
  if (error instanceof DeviceError && error.message.includes('on different devices')) return severalDevices(op, error, [self, ...Array.from(args)])
  const foreign = error instanceof TypeError || (error instanceof RangeError && !error.message.includes('call stack'))
  if (!foreign || error instanceof FerrogradError) return error
  return new ValueError(`${op}: cannot work with (${Array.from(args, kindOf).join(', ')}): ${error.message}.\n`
    + '  A tensor comes from tensor(...) or from ops; sizes and dims are integers, options one plain object.', { op, cause: error })
}

/** As {@link explain}, for a module's `forward`: where it was given numbers or nothing for a tensor, the engine's words say nothing more. */
export function explainForward(module: string, error: unknown, inputs: readonly unknown[]): unknown {
  const [first] = inputs
  const numbers = Array.isArray(first) ? !first.some((item) => item instanceof Tensor) : ArrayBuffer.isView(first) || typeof first !== 'object' || first === null
  if (!numbers || !(error instanceof TypeError)) return explain(`${module}.forward`, error, inputs)
  return new ValueError(`${module}.forward: cannot work with (${inputs.map(kindOf).join(', ')}).\n  A tensor comes from tensor(...) or from ops.`, { op: `${module}.forward`, cause: error })
}

/** The addon sees handles; here are the tensors themselves, also those in lists and options. */
function severalDevices(op: string, cause: DeviceError, args: readonly unknown[]): DeviceError {
  const tensors = args.flatMap((arg) => (looksLikeOptions(arg) ? Object.values(arg as object) : [arg]).flat()).filter((arg) => arg instanceof Tensor)
  const list = tensors.map((tensor) => `[${tensor.shape.join(', ')}] on ${tensor.device}`).join(', ')
  return new DeviceError(`${op}: the tensors are on different devices: ${list}.\n  Make all of them on one; what is on meta has a shape but no values to move.`, {
    op, shapes: tensors.map(({ shape }) => shape), cause,
  })
}

/** The error for what stands where a tensor belongs. */
export function noTensor(op: string, argument: string, value: unknown): ValueError {
  return new ValueError(`${op}: ${argument} must be a tensor, got ${kindOf(value)}. Make one with tensor(...).`, { op })
}

/** The function `op` for those who call it with anything; ops call each other without. `first` is its first argument's name. */
export function guard<F extends (...args: any[]) => unknown>(name: string, first: string, op: F): F {
  const place = optionsPlace(name)
  const policy = policyOf(name)
  // No rest parameters: they would cost an array a call.
  const guarded = function (x: unknown, a?: unknown, b?: unknown, c?: unknown): unknown {
    if (autocasting && policy !== undefined) return underPolicy(policy, guarded, arguments)
    if (!(x instanceof Tensor)) throw noTensor(name, first, x)
    if (arguments.length > place || looksLikeOptions(a) || looksLikeOptions(b) || looksLikeOptions(c)) checkArguments(name, op, arguments, 0)
    try {
      switch (arguments.length) {
        case 1: return op(x)
        case 2: return op(x, a)
        case 3: return op(x, a, b)
        case 4: return op(x, a, b, c)
        default:
          for (let i = 4; i < arguments.length; i++) if (looksLikeOptions(arguments[i])) checkArguments(name, op, arguments, 0)
          return op(...arguments)
      }
    } catch (error) {
      throw explain(name, error, arguments)
    }
  }
  Object.defineProperty(guarded, 'name', { value: name })
  return guarded as unknown as F
}

/** As {@link guard}, for ops whose first argument is a list of tensors. */
export function guardList<F extends (xs: any, ...args: any[]) => unknown>(name: string, first: string, op: F): F {
  return guardAny(name, ((xs, ...args) => {
    if (!Array.isArray(xs)) throw new ValueError(`${name}: ${first} must be a list of tensors, got ${kindOf(xs)}.`, { op: name })
    xs.forEach((x, i) => { if (!(x instanceof Tensor)) throw noTensor(name, `${first}[${i}]`, x) })
    return op(xs, ...args)
  }) as F)
}

/** As {@link guard}, for ops whose first argument is no tensor. */
export function guardAny<F extends (...args: any[]) => unknown>(name: string, op: F): F {
  const guarded = (...args: unknown[]): unknown => {
    checkArguments(name, op, args, 0)
    try {
      return op(...args)
    } catch (error) {
      throw explain(name, error, args)
    }
  }
  Object.defineProperty(guarded, 'name', { value: name })
  return guarded as unknown as F
}

/** A value as messages name it. */
export function kindOf(value: unknown): string {
  if (value instanceof Tensor) return `Tensor [${value.shape.join(', ')}]`
  if (Array.isArray(value)) return value.length <= 4 && value.every((item) => typeof item === 'number') ? `[${value.join(', ')}]` : 'array'
  if (typeof value === 'function') return `the function ${value.name}`
  return value === null ? 'null' : typeof value === 'object' ? value.constructor?.name ?? 'object' : typeof value === 'string' ? JSON.stringify(value) : String(value)
}
