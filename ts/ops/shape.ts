import { record } from '../autograd.js'
import { ShapeError, ValueError } from '../errors.js'
import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'
import { axis, numel, type Shape, show, tracked } from './support.js'
import { viewGradient } from './view-gradient.js'

// Views where strides allow it: no element moves. Each gradient is the view turned back.

/** A shape given as one array or as several numbers. */
export type ShapeArguments = readonly [Shape] | readonly number[]

function sizes(args: ShapeArguments): Shape {
  return Array.isArray(args[0]) ? (args[0] as Shape) : (args as readonly number[])
}

/**
 * x's elements in row-major order under another shape; one size may be -1. Copies only where strides demand it. PyTorch: `torch.reshape`.
 */
export function reshape(x: Tensor, ...shape: ShapeArguments): Tensor {
  const y = run.reshape(x, sizes(shape))
  if (!tracked(x)) return y
  const from = x.shape
  return record(y, { op: 'reshape', inputs: [x], saved: [], backward: (dy) => [() => dy.reshape(from)] })
}

/** {@link reshape} under PyTorch's other name; it copies where PyTorch's `view` would throw. */
export function view(x: Tensor, ...shape: ShapeArguments): Tensor {
  return reshape(x, ...shape)
}

/** x in the shape of `other`. PyTorch: `x.view_as`. */
export function viewAs(x: Tensor, other: Tensor): Tensor {
  return reshape(x, other.shape)
}

/** Dimensions `start` to `end` merged into one. PyTorch: `torch.flatten`. */
export function flatten(x: Tensor, start = 0, end = -1): Tensor {
  if (x.ndim === 0) return reshape(x, [1])
  const [from, to] = [axis('flatten', start, x), axis('flatten', end, x)]
  if (from > to)
    throw new ShapeError(`flatten: start ${start} comes after end ${end} in shape ${show(x.shape)}.`, { op: 'flatten', shapes: [x.shape] })
  return reshape(x, [...x.shape.slice(0, from), numel(x.shape.slice(from, to + 1)), ...x.shape.slice(to + 1)])
}

/** Dimension `dim` split into `shape`, in which one size may be -1. PyTorch: `torch.unflatten`. */
export function unflatten(x: Tensor, dim: number, shape: Shape): Tensor {
  const d = axis('unflatten', dim, x)
  const size = x.shape[d] ?? 1
  const known = numel(shape.filter((n) => n !== -1))
  const parts = shape.map((n) => (n === -1 && known !== 0 ? size / known : n))
  if (numel(parts) !== size || parts.some((n) => !Number.isInteger(n) || n < 0)) {
    throw new ShapeError(`unflatten: dim ${dim} has size ${size}, which ${show(shape)} does not make up. The product must be ${size}.`, {
      op: 'unflatten',
      shapes: [x.shape],
    })
  }
  return reshape(x, [...x.shape.slice(0, d), ...parts, ...x.shape.slice(d + 1)])
}

/** x without its dimensions of size 1, or without those of `dims` that have size 1. PyTorch: `torch.squeeze`. */
export function squeeze(x: Tensor, dims?: number | Shape): Tensor {
  const wanted =
    dims === undefined ? x.shape.map((_, i) => i) : (typeof dims === 'number' ? [dims] : dims).map((dim) => axis('squeeze', dim, x))
  const left = x.shape.filter((size, i) => size !== 1 || !wanted.includes(i))
  return left.length === x.ndim ? x : reshape(x, left)
}

/** x with a dimension of size 1 put at `dim`. PyTorch: `torch.unsqueeze`. */
export function unsqueeze(x: Tensor, dim: number): Tensor {
  const d = axis('unsqueeze', dim, x, 1)
  return reshape(x, [...x.shape.slice(0, d), 1, ...x.shape.slice(d)])
}

/** The dimensions in another order: y's dimension i is x's dimension dims[i]. PyTorch: `torch.permute`. */
export function permute(x: Tensor, ...dims: ShapeArguments): Tensor {
  const order = sizes(dims)
  const y = run.permute(x, order)
  if (!tracked(x)) return y
  const back: number[] = []
  order.forEach((from, to) => {
    back[from < 0 ? from + x.ndim : from] = to
  })
  return record(y, { op: 'permute', inputs: [x], saved: [], backward: (dy) => [() => dy.permute(back)] })
}

/** Two dimensions exchanged. PyTorch: `torch.transpose`. */
export function transpose(x: Tensor, dim1: number, dim2: number): Tensor {
  const order = x.shape.map((_, i) => i)
  const [a, b] = [axis('transpose', dim1, x), axis('transpose', dim2, x)]
  if (x.ndim > 0) [order[a], order[b]] = [b, a]
  return permute(x, order)
}

/** The matrix with rows and columns exchanged: the last two dimensions. PyTorch: `x.mT`; for a matrix `torch.t`. */
export function t(x: Tensor): Tensor {
  return x.ndim < 2 ? x : transpose(x, -2, -1)
}

/** One dimension moved to another place. PyTorch: `torch.movedim`. */
export function movedim(x: Tensor, source: number, destination: number): Tensor {
  const [from, to] = [axis('movedim', source, x), axis('movedim', destination, x)]
  const order = x.shape.map((_, i) => i).filter((i) => i !== from)
  order.splice(to, 0, from)
  return permute(x, order.slice(0, x.ndim))
}

/** Sizes of 1 repeated to reach `shape` without a copy; -1 keeps a size, new dimensions come in front. PyTorch: `x.expand`. */
export function expand(x: Tensor, ...shape: ShapeArguments): Tensor {
  const y = run.expand(x, sizes(shape))
  if (!tracked(x)) return y
  const from = x.shape
  return record(y, { op: 'expand', inputs: [x], saved: [], backward: (dy) => [() => dy.sumTo(from)] })
}

/** {@link expand} to a full shape. PyTorch: `torch.broadcast_to`. */
export function broadcastTo(x: Tensor, shape: Shape): Tensor {
  return expand(x, shape)
}

/** {@link expand} to the shape of `other`. PyTorch: `x.expand_as`. */
export function expandAs(x: Tensor, other: Tensor): Tensor {
  return expand(x, other.shape)
}

/** `length` elements of `dim` from `start` on. PyTorch: `torch.narrow`. */
export function narrow(x: Tensor, dim: number, start: number, length: number): Tensor {
  const d = axis('narrow', dim, x)
  return strided(x, d, start < 0 ? start + (x.shape[d] ?? 1) : start, length, 1)
}

/**
 * Elements `start`, `start + step`, ... before `stop` of dimension `dim`, clipped as in Python; negative ends count from the back. PyTorch:
 * `x[start:stop:step]`.
 */
export function slice(x: Tensor, dim: number, start: number | null = 0, stop: number | null = null, step = 1): Tensor {
  const d = axis('slice', dim, x)
  if (!Number.isInteger(step) || step < 1)
    throw new ValueError(`slice: step must be 1 or more, got ${step}. Use flip to go backwards.`, { op: 'slice' })
  const n = x.shape[d] ?? 1
  const place = (value: number): number => Math.min(n, Math.max(0, value < 0 ? value + n : value))
  const from = place(start ?? 0)
  return strided(x, d, from, Math.max(0, Math.ceil((place(stop ?? n) - from) / step)), step)
}

function strided(x: Tensor, dim: number, start: number, length: number, step: number): Tensor {
  const y = run.slice(x, dim, start, length, step)
  return tracked(x)
    ? viewGradient(
        'slice',
        x,
        y,
        (z) => run.slice(z, dim, start, length, step),
        (dz) => strided(dz, dim, start, length, step),
      )
    : y
}

/** Entry `index` of `dim`, which goes away. PyTorch: `torch.select`. */
export function select(x: Tensor, dim: number, index: number): Tensor {
  const y = run.select(x, dim, index)
  return tracked(x)
    ? viewGradient(
        'select',
        x,
        y,
        (z) => run.select(z, dim, index),
        (dz) => select(dz, dim, index),
      )
    : y
}

/** The diagonal of dimensions `dim1` and `dim2`, as the last dimension; a positive offset lies above. PyTorch: `torch.diagonal`. */
export function diagonal(x: Tensor, offset = 0, dim1 = 0, dim2 = 1): Tensor {
  const y = run.diagonal(x, offset, dim1, dim2)
  return tracked(x)
    ? viewGradient(
        'diagonal',
        x,
        y,
        (z) => run.diagonal(z, offset, dim1, dim2),
        (dz) => diagonal(dz, offset, dim1, dim2),
      )
    : y
}
