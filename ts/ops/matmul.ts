import { record } from '../autograd.js'
import { ShapeError } from '../errors.js'
import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'
import { shapeOf, sumBack } from './pointwise-table.js'
import { show, tracked } from './support.js'

/**
 * Matrix product of the last two dimensions, all before them broadcast: [..., n, k] by [..., k, m] is [..., n, m]. A vector counts as a row
 * on the left, as a column on the right, and its dimension goes; two vectors give their dot product. PyTorch: `torch.matmul`.
 */
export function matmul(a: Tensor, b: Tensor): Tensor {
  const y = run.matmul(a, b)
  if (!tracked(a) && !tracked(b)) return y
  const like = [shapeOf(a), shapeOf(b)] as const
  return record(y, { op: 'matmul', inputs: [a, b], saved: [a, b], backward: (dy, a, b) => matmulGradient(dy, a!, b!, like) })
}

/** da = dy bᵀ, db = aᵀ dy, each summed over what was broadcast. */
function matmulGradient(
  dy: Tensor,
  a: Tensor,
  b: Tensor,
  like: readonly [ReturnType<typeof shapeOf>, ReturnType<typeof shapeOf>],
): (() => Tensor)[] {
  // Vectors as the matrices that they stood for.
  const left = a.ndim === 1 ? a.unsqueeze(0) : a
  const right = b.ndim === 1 ? b.unsqueeze(1) : b
  const rows = a.ndim === 1 ? dy.unsqueeze(b.ndim === 1 ? 0 : -2) : dy
  const d = b.ndim === 1 ? rows.unsqueeze(-1) : rows
  return [
    () => sumBack(d.matmul(right.t()).sumTo(left.shape).reshape(like[0].shape), like[0]),
    () => {
      // One matrix against a batch of rows: a single product over all rows instead of a batch of products and a sum.
      const flat = right.ndim === 2 && left.ndim > 2
      const db = flat ? left.flatten(0, -2).t().matmul(d.flatten(0, -2)) : left.t().matmul(d)
      return sumBack(db.sumTo(right.shape).reshape(like[1].shape), like[1])
    },
  ]
}

/** Matrix product of two matrices. PyTorch: `torch.mm`. */
export function mm(a: Tensor, b: Tensor): Tensor {
  return ranked('mm', a, b, 2)
}

/** Matrix products of two batches, [n, i, k] by [n, k, j]. PyTorch: `torch.bmm`. */
export function bmm(a: Tensor, b: Tensor): Tensor {
  return ranked('bmm', a, b, 3)
}

/** Matrix by vector. PyTorch: `torch.mv`. */
export function mv(a: Tensor, b: Tensor): Tensor {
  return ranked('mv', a, b, 2, 1)
}

/** Sum of the products of two vectors. PyTorch: `torch.dot`. */
export function dot(a: Tensor, b: Tensor): Tensor {
  return ranked('dot', a, b, 1)
}

/** All products of two vectors: y[i][j] = a[i] b[j]. PyTorch: `torch.outer`. */
export function outer(a: Tensor, b: Tensor): Tensor {
  return a.reshape([-1, 1]).mul(b.reshape([1, -1]))
}

function ranked(op: string, a: Tensor, b: Tensor, rank: number, rankB = rank): Tensor {
  if (a.ndim !== rank || b.ndim !== rankB || (rank === 3 && a.shape[0] !== b.shape[0])) {
    throw new ShapeError(
      `${op}: takes tensors of ${rank} and ${rankB} dimensions${rank === 3 ? ' and one batch size' : ''}, got ${show(a.shape)} and `
        + `${show(b.shape)}. Use matmul, which broadcasts.`,
      {
        op,
        shapes: [a.shape, b.shape],
      },
    )
  }
  return matmul(a, b)
}
