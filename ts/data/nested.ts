// Nested arrays of numbers, flattened.
import { type DType, ShapeError, ValueError } from '../index.js'

/** Numbers, or arrays of arrays of them, all rows equally long. */
export type Nested = number | boolean | readonly Nested[] | Numbers
/** The typed arrays that data comes in. */
export type Numbers = Float32Array | Float64Array | Int32Array | BigInt64Array | Uint8Array | Uint8ClampedArray | Int8Array

/** Those whose elements are numbers. */
export type PlainNumbers = Exclude<Numbers, BigInt64Array>

export function isNumbers(value: unknown): value is Numbers {
  return (
    value instanceof Float32Array ||
    value instanceof Float64Array ||
    value instanceof Int32Array ||
    value instanceof BigInt64Array ||
    value instanceof Uint8Array ||
    value instanceof Int8Array ||
    value instanceof Uint8ClampedArray
  )
}

/** The shape of nested arrays, read from the first of each. */
export function nestedShape(value: Nested): number[] {
  const shape: number[] = []
  for (let at: Nested | undefined = value; typeof at === 'object'; at = at[0] as Nested | undefined) shape.push(at.length)
  return shape
}

/** All numbers in order. @throws ShapeError where rows differ in length, ValueError for anything but numbers */
export function flatten(value: Nested, shape: readonly number[], what: string): Float64Array {
  const flat = new Float64Array(shape.reduce((size, d) => size * d, 1))
  let at = 0
  const visit = (part: Nested, depth: number): void => {
    if (depth === shape.length) {
      if (typeof part !== 'number' && typeof part !== 'boolean' && typeof part !== 'bigint') {
        if (typeof part === 'object' && part !== null)
          throw new ShapeError(`${what}: the rows are not all of shape [${shape.slice(1).join(', ')}].`, { shapes: [shape] })
        throw new ValueError(`${what}: numbers are wanted, one is ${part === null ? 'null' : typeof part}.`)
      }
      flat[at++] = Number(part)
      return
    }
    if (typeof part !== 'object' || part === null || part.length !== shape[depth]) {
      throw new ShapeError(`${what}: the rows are not all of shape [${shape.slice(1).join(', ')}].\n  Pad or cut them to one length.`, {
        shapes: [shape],
      })
    }
    for (let i = 0; i < part.length; i++) visit(part[i] as Nested, depth + 1)
  }
  visit(value, 0)
  return flat
}

/** Where the first value stands that int32 does not hold as it is; -1 for none. */
export function outsideInt32(values: ArrayLike<number | bigint>): number {
  for (let i = 0; i < values.length; i++) if (Number(values[i]) !== (Number(values[i]) | 0)) return i
  return -1
}

/** The dtype of tensors made of such an array. */
export function dtypeOf(array: Numbers): DType {
  if (array instanceof Float32Array) return 'float32'
  if (array instanceof Float64Array) return 'float64'
  if (array instanceof Int32Array) return 'int32'
  if (array instanceof BigInt64Array) return 'int64'
  return array instanceof Int8Array ? 'int8' : 'uint8'
}
