import { record } from '../autograd.js'
import { type DType, dtypeCode } from '../dtype.js'
import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'
import { tracked } from './support.js'

/**
 * x in another dtype: floats to integers truncate and saturate, anything but 0 is true. The gradient is cast back. PyTorch: `x.to(dtype)`.
 * @throws DTypeError for an unknown dtype
 */
export function cast<D extends DType>(x: Tensor, dtype: D): Tensor<D> {
  if (x.dtype === dtype) return x as Tensor<D>
  const y = run.cast(x, dtypeCode(dtype))
  if (!tracked(x) || !isFloat(dtype)) return y as Tensor<D>
  const from = x.dtype
  return record(y, { op: 'cast', inputs: [x], saved: [], backward: (dy) => [() => dy.cast(from)] }) as Tensor<D>
}

function isFloat(dtype: DType): boolean {
  return dtype === 'float32' || dtype === 'float64' || dtype === 'bfloat16' || dtype === 'float16'
}

/** x as float32. PyTorch: `x.float()`. */
export function float(x: Tensor): Tensor<'float32'> {
  return cast(x, 'float32')
}

/** x as float64. PyTorch: `x.double()`. */
export function double(x: Tensor): Tensor<'float64'> {
  return cast(x, 'float64')
}

/** x as float16. PyTorch: `x.half()`. */
export function half(x: Tensor): Tensor<'float16'> {
  return cast(x, 'float16')
}

/** x as bfloat16. PyTorch: `x.bfloat16()`. */
export function bfloat16(x: Tensor): Tensor<'bfloat16'> {
  return cast(x, 'bfloat16')
}

/** x as int32. PyTorch: `x.int()`. */
export function int(x: Tensor): Tensor<'int32'> {
  return cast(x, 'int32')
}

/** x as int64. PyTorch: `x.long()`. */
export function long(x: Tensor): Tensor<'int64'> {
  return cast(x, 'int64')
}

/** x as bool: anything but 0 is true. PyTorch: `x.bool()`. */
export function bool(x: Tensor): Tensor<'bool'> {
  return cast(x, 'bool')
}

/** x in row-major memory: a copy, or, where it lies so already, the same memory. PyTorch: `x.contiguous()`. */
export function contiguous(x: Tensor): Tensor {
  return recorded('contiguous', x, run.dense(x))
}

/** A copy of x, through which gradients flow. PyTorch: `x.clone()`. */
export function clone(x: Tensor): Tensor {
  return recorded('clone', x, run.contiguous(x))
}

function recorded(op: string, x: Tensor, y: Tensor): Tensor {
  return tracked(x) ? record(y, { op, inputs: [x], saved: [], backward: (dy) => [() => dy] }) : y
}
