import { record, recordAll } from '../autograd.js'
import { zeros } from '../create.js'
import { ShapeError, ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { noGrad } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { axis, tracked } from './support.js'

/** The tensors one after another along `dim`; other sizes agree, dtypes are promoted. PyTorch: `torch.cat`. */
export function concat(xs: readonly Tensor[], dim = 0): Tensor {
  const y = run.concat(xs, dim)
  if (!xs.some(tracked)) return y
  const d = axis('concat', dim, y)
  const places: { start: number; size: number; dtype: Tensor['dtype'] }[] = []
  let start = 0
  for (const x of xs) {
    places.push({ start, size: x.shape[d]!, dtype: x.dtype })
    start += x.shape[d]!
  }
  return record(y, {
    op: 'concat',
    inputs: [...xs],
    saved: [],
    backward: (dy) =>
      places.map(
        ({ start, size, dtype }) =>
          () =>
            dy.narrow(d, start, size).cast(dtype),
      ),
  })
}

/** {@link concat} under PyTorch's name: `torch.cat`. */
export function cat(xs: readonly Tensor[], dim = 0): Tensor {
  return concat(xs, dim)
}

/** Tensors of one shape along a new dimension. PyTorch: `torch.stack`. */
export function stack(xs: readonly Tensor[], dim = 0): Tensor {
  const [first] = xs
  if (first === undefined) throw new ValueError('stack: needs at least one tensor.', { op: 'stack' })
  const d = axis('stack', dim, first, 1)
  const odd = xs.find((x) => x.shape.join() !== first.shape.join())
  if (odd)
    throw new ShapeError(
      `stack: shapes [${first.shape.join(', ')}] and [${odd.shape.join(', ')}] differ. Use concat, or pad them to one shape.`,
      { op: 'stack', shapes: xs.map((x) => x.shape) },
    )
  return concat(
    xs.map((x) => x.unsqueeze(d)),
    d,
  )
}

/** Pieces of `size` along `dim` (the last may be smaller), or pieces of the sizes given. PyTorch: `torch.split`. */
export function split(x: Tensor, size: number | readonly number[], dim = 0): Tensor[] {
  const d = axis('split', dim, x)
  const n = x.shape[d] ?? 1
  const wanted = typeof size === 'number' ? evenly(n, size) : size
  if (wanted.reduce((sum, part) => sum + part, 0) !== n) {
    throw new ShapeError(`split: sizes [${wanted.join(', ')}] do not add up to ${n}, the size of dim ${dim} of [${x.shape.join(', ')}].`, {
      op: 'split',
      shapes: [x.shape],
    })
  }
  let start = 0
  const parts = noGrad(() => wanted.map((part) => x.narrow(d, (start += part) - part, part)))
  return recordParts('split', x, parts, (dys) => concat(dys, d))
}

/** Parts that make up x: their gradients come together into one as large, where each by itself would come with zeros for all the others. */
function recordParts(op: string, x: Tensor, parts: Tensor[], join: (dys: Tensor[]) => Tensor): Tensor[] {
  if (parts.length === 0) return parts
  const missing = ({ shape, dtype, device }: Tensor): Tensor => zeros(shape, { dtype: dtype as 'float32', device })
  recordAll(parts, { op, inputs: [x], saved: [], backward: (dys) => [() => join(parts.map((part, i) => dys[i] ?? missing(part)))] })
  return parts
}

function evenly(n: number, size: number): number[] {
  if (!Number.isInteger(size) || size < 1) throw new ValueError(`split: a size must be 1 or more, got ${size}.`, { op: 'split' })
  return n === 0 ? [0] : Array.from({ length: Math.ceil(n / size) }, (_, i) => Math.min(size, n - i * size))
}

/** At most `chunks` pieces of equal size along `dim`; the last may be smaller. PyTorch: `torch.chunk`. */
export function chunk(x: Tensor, chunks: number, dim = 0): Tensor[] {
  if (!Number.isInteger(chunks) || chunks < 1)
    throw new ValueError(`chunk: the number of chunks must be 1 or more, got ${chunks}.`, { op: 'chunk' })
  return split(x, Math.max(1, Math.ceil((x.shape[axis('chunk', dim, x)] ?? 1) / chunks)), dim)
}

/** The entries of `dim`, one tensor each. PyTorch: `torch.unbind`. */
export function unbind(x: Tensor, dim = 0): Tensor[] {
  const d = axis('unbind', dim, x)
  const parts = noGrad(() => Array.from({ length: x.shape[d] ?? 0 }, (_, i) => x.select(d, i)))
  return recordParts('unbind', x, parts, (dys) => stack(dys, d))
}

/** Vectors spread over a grid of all their pairs, 'ij' indexed: one tensor an input. PyTorch: `torch.meshgrid(..., indexing='ij')`. */
export function meshgrid(xs: readonly Tensor[]): Tensor[] {
  const shape = xs.map((x) => x.size)
  return xs.map((x, i) => x.reshape(shape.map((size, j) => (i === j ? size : 1))).expand(shape))
}
