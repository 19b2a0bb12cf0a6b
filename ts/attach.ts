// Makes every op a method of Tensor, with the tensor as its first argument.
import { autocasting, policyOf, underPolicy } from './autocast.js'
import * as ops from './ops/index.js'
import './device.js'
import { explain } from './explain.js'
import { checkArguments, looksLikeOptions, optionsPlace } from './op-options.js'
import { Tensor } from './tensor.js'

for (const [name, op] of Object.entries(ops) as [string, (...args: unknown[]) => unknown][]) {
  // Among a method's arguments, which lack the tensor.
  const place = optionsPlace(name) - 1
  const policy = policyOf(name)
  // No rest parameters: they would cost an array a call. No op takes more than six arguments but those that take a list of sizes.
  const fixed = function (this: Tensor, a?: unknown, b?: unknown, c?: unknown): unknown {
    if (autocasting && policy !== undefined) return underPolicy(policy, (x: Tensor, ...rest: unknown[]) => fixed.apply(x, rest as []), [this, ...arguments])
    // Most calls have one number, one tensor or nothing, and pay two comparisons.
    if (arguments.length > 1 || arguments.length > place || (typeof a === 'object' && !(a instanceof Tensor))) {
      if (arguments.length > place || looksLikeOptions(a) || looksLikeOptions(b) || looksLikeOptions(c)) checkArguments(name, op, arguments, 1)
    }
    try {
      switch (arguments.length) {
        case 0: return op(this)
        case 1: return op(this, a)
        case 2: return op(this, a, b)
        case 3: return op(this, a, b, c)
        default:
          for (let i = 3; i < arguments.length; i++) if (looksLikeOptions(arguments[i])) checkArguments(name, op, arguments, 1)
          return op(this, ...arguments)
      }
    } catch (error) {
      throw explain(name, error, arguments, this)
    }
  }
  Object.defineProperty(Tensor.prototype, name, { value: fixed, writable: true, configurable: true, enumerable: false })
}
