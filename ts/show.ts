import type { TypedArray } from './dtype.js'
import type { Tensor } from './tensor.js'

const EDGE = 3
const MOST = 1000
const TOO_LARGE = 1 << 20

/** The text that `console.log` prints. Waits for the values of all but very large tensors; never throws. */
export function show(tensor: Tensor): string {
  const type = `${tensor.dtype === 'float32' ? '' : `, dtype=${tensor.dtype}`}${tensor.requiresGrad ? ', requiresGrad=true' : ''}`
  const shape = `[${tensor.shape.join(', ')}]`
  try {
    if (tensor.disposed) return `tensor(disposed, shape=${shape}${type})`
    if (tensor.device !== 'cpu' || tensor.size > TOO_LARGE) return `tensor(..., shape=${shape}, device=${tensor.device}${type})`
    const values = tensor.dataSync() as TypedArray
    return `tensor(${body(values, tensor.shape, tensor.dtype === 'bool')}${tensor.size === 0 ? `, shape=${shape}` : ''}${type})`
  } catch (error) {
    return `tensor(unreadable: ${(error as Error).message}, shape=${shape}${type})`
  }
}

function body(values: TypedArray, shape: readonly number[], bool: boolean): string {
  const summarise = values.length > MOST
  const text = (position: number): string => {
    const value = values[position]!
    if (bool) return value ? 'true' : 'false'
    if (typeof value === 'bigint' || Number.isInteger(value)) return String(value)
    const magnitude = Math.abs(value)
    return magnitude !== 0 && (magnitude < 1e-4 || magnitude >= 1e6) ? value.toExponential(4) : value.toFixed(4)
  }
  const strides = shape.map((_, i) => shape.slice(i + 1).reduce((a, b) => a * b, 1))
  const level = (depth: number, start: number): string => {
    if (depth === shape.length) return text(start)
    const size = shape[depth]!
    const at = (i: number): string => level(depth + 1, start + i * strides[depth]!)
    const shown = summarise && size > 2 * EDGE
      ? [...Array.from({ length: EDGE }, (_, i) => at(i)), '...', ...Array.from({ length: EDGE }, (_, i) => at(size - EDGE + i))]
      : Array.from({ length: size }, (_, i) => at(i))
    const separator = depth === shape.length - 1 ? ', ' : `,${'\n'.repeat(shape.length - 1 - depth)}${' '.repeat(8 + depth)}`
    return `[${shown.join(separator)}]`
  }
  return level(0, 0)
}
