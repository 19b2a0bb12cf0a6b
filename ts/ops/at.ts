import { arange } from '../create.js'
import { DTypeError, ShapeError } from '../errors.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { type Index, parse, type Step } from './at-parse.js'
import { nonzero } from './select.js'
import { broadcastShapes, numel, refuseCapture, show } from './support.js'

export type { Index, SliceIndex } from './at-parse.js'

/**
 * Elements, ranges and entries of x, one index a dimension, as `x[...]` in PyTorch:
 * a number takes one entry (the dimension goes), `'1:5'`, `'::2'`, `[1, 5]` or `{ start, stop, step }` a range, `null` adds a dimension,
 * `'...'` stands for all dimensions not named, an int32 or int64 tensor takes the entries it names (several broadcast together), and a bool
 * tensor, alone, takes the entries where it holds; that one waits, so it answers a Promise.
 * @throws IndexError, ValueError, ShapeError
 * @example x.at(0), x.at('...', -1), x.at([0, 10], null, '::2'), await x.at(x.gt(0))
 */
export function at(x: Tensor, mask: Tensor<'bool'>): Promise<Tensor>
/** What the indices name; see above. A view where no index is a tensor. */
export function at(x: Tensor, ...indices: Index[]): Tensor
export function at(x: Tensor, ...indices: Index[]): Tensor | Promise<Tensor> {
  const steps = indices.length === 1 && isMask(indices[0]) ? null : parse(x, indices)
  if (steps === null) {
    refuseCapture('at', 'Use maskedFill, where, or maskedSelect(mask, { size }); or call it outside of the compiled function.')
    return whereTrue(x, indices[0] as Tensor)
  }
  const odd = steps.find((step) => step.kind === 'tensor' && step.index.dtype !== 'int32' && step.index.dtype !== 'int64')
  if (odd)
    throw new DTypeError(
      'at: index tensors are int32 or int64. A bool tensor stands alone: x.at(mask); with other indices use maskedFill or where.',
      { op: 'at' },
    )
  return scope(() => byTensors(ranges(x, steps), steps))
}

function isMask(index: Index | undefined): boolean {
  return typeof index === 'object' && index !== null && 'dtype' in index && index.dtype === 'bool'
}

/** The entries of x's first dimensions, as many as the mask has, where it holds. */
async function whereTrue(x: Tensor, mask: Tensor): Promise<Tensor> {
  if (mask.ndim > x.ndim || mask.shape.some((size, i) => size !== x.shape[i])) {
    throw new ShapeError(`at: a mask of shape ${show(mask.shape)} does not fit the first dimensions of ${show(x.shape)}.`, {
      op: 'at',
      shapes: [x.shape, mask.shape],
    })
  }
  const line = mask.reshape([-1])
  const places = await nonzero(line)
  const y = scope(() => x.reshape([numel(mask.shape), ...x.shape.slice(mask.ndim)]).indexSelect(0, places.squeeze(1)))
  places.dispose()
  line.dispose()
  return y
}

/** Everything but the tensors: entries, ranges, new dimensions. */
function ranges(x: Tensor, steps: readonly Step[]): Tensor {
  let y = x
  let dim = 0
  for (const step of steps) {
    if (step.kind === 'axis') y = y.unsqueeze(dim++)
    else if (step.kind === 'entry') y = y.select(dim, step.index)
    else if (step.kind === 'tensor') dim++
    else {
      if (step.length !== y.shape[dim] || step.step !== 1)
        y = y.slice(dim, step.start, step.length === 0 ? step.start : step.start + (step.length - 1) * step.step + 1, step.step)
      if (step.flip) y = y.flip([dim])
      dim++
    }
  }
  return y
}

/** The entries that index tensors name. */
function byTensors(x: Tensor, steps: readonly Step[]): Tensor {
  const left = steps.filter((step) => step.kind !== 'entry')
  const dims = left.flatMap((step, dim) => (step.kind === 'tensor' ? [dim] : []))
  if (dims.length === 0) return x
  const indices = dims.map((dim) => (left[dim] as { index: Tensor }).index)
  const shape = broadcastShapes('at', ...indices.map((index) => index.shape))
  // The indexed dimensions side by side, merged into one. As in PyTorch the result's stand in their place, or in front where they were
  // apart. A number among tensors counts as one of them there; here it does not.
  const apart = dims.some((dim, i) => i > 0 && dim !== dims[i - 1]! + 1)
  const place = apart ? 0 : dims[0]!
  const others = x.shape.map((_, i) => i).filter((i) => !dims.includes(i))
  const moved = x.permute([...others.slice(0, place), ...dims, ...others.slice(place)])
  const before = moved.shape.slice(0, place)
  const after = moved.shape.slice(place + dims.length)
  const sizes = dims.map((dim) => x.shape[dim]!)
  const merged = dims.length === 1 ? moved : moved.reshape([...before, numel(sizes), ...after])
  const flat = indices.map((index, i) =>
    offset(index, sizes[i]!, dims.length === 1 ? 1 : numel(sizes.slice(i + 1)), dims.length > 1).expand(shape),
  )
  const index = flat.reduce((sum, one) => sum.add(one))
  return merged.indexSelect(place, index.reshape([-1])).reshape([...before, ...shape, ...after])
}

/**
 * index * stride, negative indices counted from the end. Among several tensors each is looked up in a table of its own, so that one out of
 * range is found there and does not land on another row.
 */
function offset(index: Tensor, size: number, stride: number, checked: boolean): Tensor {
  const positive = index.lt(0).where(index.add(size), index)
  if (!checked) return positive
  const by = Math.max(1, stride)
  const table = arange(0, size * by, by, { dtype: 'int64', device: index.device })
  return table.indexSelect(0, positive.reshape([-1])).reshape(index.shape)
}
