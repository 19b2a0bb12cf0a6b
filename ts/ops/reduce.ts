import { record } from '../autograd.js'
import { calledAs } from '../errors.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { axes, dimList, numel, type Shape, tracked } from './support.js'

/** Which dimensions a reduction runs over: one, several, or (left out) all. */
export type Dims = number | Shape | null
/** `keepdim: true` leaves the reduced dimensions in place, with size 1. */
export interface ReduceOptions {
  /** Leaves the reduced dimensions in place, with size 1. Default false. */
  keepdim?: boolean
}

/** x's reduced dimensions put back as size 1, so that a gradient broadcasts against x. */
function kept(y: Tensor, shape: Shape, reduced: Shape): Tensor {
  const wanted = shape.map((size, i) => (reduced.includes(i) ? 1 : size))
  return y.ndim === wanted.length ? y : y.reshape(wanted)
}

/** Sum over `dims`; integers and bools give int64. PyTorch: `torch.sum`. */
export function sum(x: Tensor, dims?: Dims, { keepdim = false }: ReduceOptions = {}): Tensor {
  const y = run.sum(x, dimList(dims), keepdim)
  if (!tracked(x)) return y
  const { shape } = x
  const reduced = axes('sum', dims, x)
  return record(y, { op: 'sum', inputs: [x], saved: [], backward: (dy) => [() => kept(dy, shape, reduced).expand(shape)] })
}

/** x summed over what broadcasting had repeated, so that its shape becomes `shape`. PyTorch: `x.sum_to_size`. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  const lead = x.ndim - shape.length
  const dims = x.shape.flatMap((size, i) => (i < lead || (shape[i - lead] === 1 && size !== 1) ? [i] : []))
  return dims.length === 0 ? x : scope(() => sum(x, dims, { keepdim: true }).reshape(shape))
}

/** Mean over `dims`; NaN over nothing. PyTorch: `torch.mean`. */
export function mean(x: Tensor, dims?: Dims, { keepdim = false }: ReduceOptions = {}): Tensor {
  const y = run.mean(x, dimList(dims), keepdim)
  if (!tracked(x)) return y
  const { shape } = x
  const reduced = axes('mean', dims, x)
  const count = numel(reduced.map((i) => shape[i]!))
  return record(y, { op: 'mean', inputs: [x], saved: [], backward: (dy) => [() => kept(dy, shape, reduced).div(count).expand(shape)] })
}

/**
 * Product over `dims`; integers give int64. The gradient of an element is the product of all others, exact where elements are 0.
 * PyTorch: `torch.prod`, which divides where there is no 0, and so gives NaN for the gradient of NaN itself there.
 */
export function prod(x: Tensor, dims?: Dims, { keepdim = false }: ReduceOptions = {}): Tensor {
  const y = run.prod(x, dimList(dims), keepdim)
  if (!tracked(x)) return y
  const { shape } = x
  const reduced = axes('prod', dims, x)
  return record(y, {
    op: 'prod',
    inputs: [x],
    saved: [x],
    backward: (dy, x) => [() => kept(dy, shape, reduced).mul(productOfOthers(x!, reduced))],
  })
}

/**
 * For each element the product of all others along `reduced`: what stands before it times what stands after it, so that no division meets a
 * 0.
 */
function productOfOthers(x: Tensor, reduced: Shape): Tensor {
  const others = x.shape.map((_, i) => i).filter((i) => !reduced.includes(i))
  const order = [...others, ...reduced]
  const lines = x.permute(order).reshape([...others.map((i) => x.shape[i]!), numel(reduced.map((i) => x.shape[i]!))])
  const before = exclusiveProduct(lines)
  const after = exclusiveProduct(lines.flip([-1])).flip([-1])
  const back = order.map((_, i) => order.indexOf(i))
  return before
    .mul(after)
    .reshape(order.map((i) => x.shape[i]!))
    .permute(back)
}

/** The product of all elements before each one, along the last dimension. */
function exclusiveProduct(x: Tensor): Tensor {
  const n = x.shape.at(-1)!
  return n === 0
    ? x
    : x
        .narrow(-1, 0, n - 1)
        .pad([1, 0], { value: 1 })
        .cumprod(-1)
}

/** Largest value over `dims`; NaN wins. Equal largest elements share the gradient. PyTorch: `torch.amax`. */
export function amax(x: Tensor, dims?: Dims, options: ReduceOptions = {}): Tensor {
  return extremum('amax', x, dims, options)
}

/** Smallest value over `dims`; NaN wins. Equal smallest elements share the gradient. PyTorch: `torch.amin`. */
export function amin(x: Tensor, dims?: Dims, options: ReduceOptions = {}): Tensor {
  return extremum('amin', x, dims, options)
}

function extremum(op: 'amax' | 'amin', x: Tensor, dims: Dims | undefined, { keepdim = false }: ReduceOptions): Tensor {
  const y = run[op](x, dimList(dims), keepdim)
  if (!tracked(x)) return y
  const { shape } = x
  const reduced = axes(op, dims, x)
  return record(y, {
    op,
    inputs: [x],
    saved: [x, y],
    backward: (dy, x, y) => [
      () => {
        const hit = x!.eq(kept(y!, shape, reduced)).cast(dy.dtype)
        return hit.mul(kept(dy, shape, reduced).div(hit.sum(reduced, { keepdim: true })))
      },
    ],
  })
}

/** Values along one dimension with the places where they stood (int32). */
export interface ValuesAndIndices {
  /** The values found. */
  values: Tensor
  /** Where they stood along the dimension, int32. */
  indices: Tensor
}

/**
 * Without `dim` the largest element; along `dim` the largest values and their first places. PyTorch: `torch.max`.
 * The gradient goes to that place alone (with no `dim`, equal elements share it).
 */
export function max(x: Tensor): Tensor
/** Along `dim` the largest values and their first places. @see max */
export function max(x: Tensor, dim: number, options?: ReduceOptions): ValuesAndIndices
export function max(x: Tensor, dim?: number, options: ReduceOptions = {}): Tensor | ValuesAndIndices {
  if (dim === undefined) return calledAs('max', 'amax', () => amax(x))
  return valuesAt(x, calledAs('max', 'argmax', () => argmax(x, dim, { keepdim: true })), dim, options)
}

/** The smallest, as {@link max} gives the largest. PyTorch: `torch.min`. */
export function min(x: Tensor): Tensor
/** Along `dim` the smallest values and their first places. @see min */
export function min(x: Tensor, dim: number, options?: ReduceOptions): ValuesAndIndices
export function min(x: Tensor, dim?: number, options: ReduceOptions = {}): Tensor | ValuesAndIndices {
  if (dim === undefined) return calledAs('min', 'amin', () => amin(x))
  return valuesAt(x, calledAs('min', 'argmin', () => argmin(x, dim, { keepdim: true })), dim, options)
}

function valuesAt(x: Tensor, indices: Tensor, dim: number, { keepdim = false }: ReduceOptions): ValuesAndIndices {
  const values = x.ndim === 0 ? x.clone() : x.gather(dim, indices)
  return keepdim || x.ndim === 0 ? { values, indices } : { values: values.squeeze(dim), indices: indices.squeeze(dim) }
}

/**
 * Place of the largest element along `dim` (int32); without `dim`, in the flattened tensor. The first of equals. PyTorch: `torch.argmax`.
 */
export function argmax(x: Tensor, dim?: number | null, { keepdim = false }: ReduceOptions = {}): Tensor {
  return dim === undefined || dim === null ? run.argmax(flat(x), 0, false) : run.argmax(x, dim, keepdim)
}

/**
 * Place of the smallest element along `dim` (int32); without `dim`, in the flattened tensor. The first of equals. PyTorch: `torch.argmin`.
 */
export function argmin(x: Tensor, dim?: number | null, { keepdim = false }: ReduceOptions = {}): Tensor {
  return dim === undefined || dim === null ? run.argmin(flat(x), 0, false) : run.argmin(x, dim, keepdim)
}

function flat(x: Tensor): Tensor {
  return x.detach().reshape([-1])
}

/** Whether any element over `dims` is not 0. PyTorch: `torch.any`. */
export function any(x: Tensor, dims?: Dims, { keepdim = false }: ReduceOptions = {}): Tensor<'bool'> {
  return run.any(x, dimList(dims), keepdim) as Tensor<'bool'>
}

/** Whether all elements over `dims` are not 0. PyTorch: `torch.all`. */
export function all(x: Tensor, dims?: Dims, { keepdim = false }: ReduceOptions = {}): Tensor<'bool'> {
  return run.all(x, dimList(dims), keepdim) as Tensor<'bool'>
}

/** How many elements over `dims` are not 0 (int64). PyTorch: `torch.count_nonzero`. */
export function countNonzero(x: Tensor, dims?: Dims): Tensor {
  return scope(() => x.detach().ne(0).sum(dims))
}
