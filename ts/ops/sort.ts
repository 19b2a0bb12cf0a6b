import { full } from '../create.js'
import { record } from '../autograd.js'
import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'
import type { ValuesAndIndices } from './reduce.js'
import { tracked } from './support.js'

/** Values in order along `dim`, with the places they came from (int32). Stable; NaN counts as largest. PyTorch: `torch.sort`. */
export function sort(x: Tensor, dim = -1, { descending = false }: { descending?: boolean } = {}): ValuesAndIndices {
  return picked('sort', x, dim, run.sort(x, dim, descending))
}

/** Only the places of {@link sort}. PyTorch: `torch.argsort`. */
export function argsort(x: Tensor, dim = -1, { descending = false }: { descending?: boolean } = {}): Tensor {
  const [values, indices] = run.sort(x, dim, descending)
  values.dispose()
  return indices
}

/** The k largest (or smallest) values along `dim` in order, with their places (int32). PyTorch: `torch.topk`. */
export function topk(x: Tensor, k: number, dim = -1, { largest = true }: { largest?: boolean } = {}): ValuesAndIndices {
  return picked('topk', x, dim, run.topk(x, k, dim, largest))
}

/** Every value has one place it came from: its gradient goes there. */
function picked(op: string, x: Tensor, dim: number, [values, indices]: readonly [Tensor, Tensor]): ValuesAndIndices {
  if (!tracked(x)) return { values, indices }
  const { shape } = x
  const y = record(values, {
    op,
    inputs: [x],
    saved: [indices],
    backward: (dy, indices) => [
      () => (shape.length === 0 ? dy.reshape([]) : full(shape, 0, { dtype: dy.dtype, device: dy.device }).scatterAdd(dim, indices!, dy)),
    ],
  })
  return { values: y, indices }
}

/** The median along `dim` (the lower of two), with its place. PyTorch: `torch.median`. */
export function median(x: Tensor, dim = -1, { keepdim = false }: { keepdim?: boolean } = {}): ValuesAndIndices {
  if (x.ndim === 0) return sort(x, dim)
  const middle = Math.floor((x.shape.at(dim)! - 1) / 2)
  const { values, indices } = sort(x, dim)
  const [value, index] = [values.narrow(dim, middle, 1), indices.narrow(dim, middle, 1)]
  return keepdim ? { values: value, indices: index } : { values: value.squeeze(dim), indices: index.squeeze(dim) }
}
