import { DTypeError } from './errors.js'

/** The element types. */
export type DType = 'float32' | 'float64' | 'bfloat16' | 'float16' | 'int64' | 'int32' | 'uint8' | 'int8' | 'bool'
/** The floating element types: those that gradients exist for. */
export type FloatDType = 'float32' | 'float64' | 'bfloat16' | 'float16'
/** What `data()` gives: float16 and bfloat16 come as float32, bool as bytes of 0 and 1. */
export type TypedArray = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array | Int8Array

/** Names by code; the order is the protocol with `crates/tensor/src/dtype.rs`. */
export const DTYPES: readonly DType[] = ['float32', 'float64', 'bfloat16', 'float16', 'int64', 'int32', 'uint8', 'int8', 'bool']
const SIZES: readonly number[] = [4, 8, 2, 2, 8, 4, 1, 1, 1]
const FLOAT_CODES = 4
// No prototype: 'constructor' is no dtype.
const CODES: Readonly<Record<string, number>> = Object.assign(Object.create(null), Object.fromEntries(DTYPES.map((name, code) => [name, code])))

/** The whole numbers that an integer dtype holds, both ends included. */
export const RANGES: Readonly<Partial<Record<DType, readonly [low: bigint, high: bigint]>>> = {
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint8: [0n, 255n],
  int8: [-128n, 127n],
}

/** What PyTorch, C and other languages call them. */
export const OTHER_NAMES: Readonly<Record<string, DType>> = Object.assign(Object.create(null), {
  float: 'float32', double: 'float64', half: 'float16', long: 'int64', int: 'int32', char: 'int8', byte: 'uint8', boolean: 'bool',
})

/** A dtype's number in the op call. @throws DTypeError for an unknown one, naming the `op` that was given it */
export function dtypeCode(dtype: DType, op?: string): number {
  const code = CODES[dtype]
  if (code === undefined) {
    const near = OTHER_NAMES[dtype]
    throw new DTypeError(`${op === undefined ? '' : `${op}: `}no dtype is called ${String(dtype)}.${near === undefined ? '' : ` Did you mean '${near}'?`} The dtypes are ${DTYPES.join(', ')}.`, op === undefined ? {} : { op })
  }
  return code
}

export function isDType(value: unknown): value is DType {
  return typeof value === 'string' && Object.hasOwn(CODES, value)
}

/** Whether gradients exist for the dtype: float32, float64, bfloat16 or float16. PyTorch: `dtype.is_floating_point`. */
export function isFloat(dtype: DType): dtype is FloatDType {
  return dtypeCode(dtype) < FLOAT_CODES
}

/** Bytes of one element. */
export function byteSize(dtype: DType): number {
  return SIZES[dtypeCode(dtype)]!
}

/** An array for `length` elements as `data()` gives them. */
export function arrayFor(dtype: DType, length: number): TypedArray {
  switch (dtype) {
    case 'float32': case 'float16': case 'bfloat16': return new Float32Array(length)
    case 'float64': return new Float64Array(length)
    case 'int64': return new BigInt64Array(length)
    case 'int32': return new Int32Array(length)
    case 'int8': return new Int8Array(length)
    case 'uint8': case 'bool': return new Uint8Array(length)
  }
}
