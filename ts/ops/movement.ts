import { record } from '../autograd.js'
import { ShapeError, ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { axis, type Shape, show, tracked } from './support.js'

/** The elements of `dims` in reverse order. PyTorch: `torch.flip`. */
export function flip(x: Tensor, dims: number | Shape): Tensor {
  const list = typeof dims === 'number' ? [dims] : dims
  // In the op table no dims mean all of them; here they mean none.
  if (list.length === 0) return x
  const y = run.flip(x, list)
  return tracked(x) ? record(y, { op: 'flip', inputs: [x], saved: [], backward: (dy) => [() => dy.flip(list)] }) : y
}

/**
 * Elements moved by `shifts` along `dims`, those pushed out at the end coming in at the front. Without dims, over the flattened tensor.
 * PyTorch: `torch.roll`.
 */
export function roll(x: Tensor, shifts: number | Shape, dims?: number | Shape): Tensor {
  const by = typeof shifts === 'number' ? [shifts] : shifts
  if (dims === undefined) {
    if (by.length !== 1) throw new ValueError(`roll: ${by.length} shifts need as many dims.`, { op: 'roll' })
    return scope(() => rolled(x.reshape([-1]), by[0]!, 0).reshape(x.shape))
  }
  const along = typeof dims === 'number' ? [dims] : dims
  if (along.length !== by.length)
    throw new ValueError(`roll: ${by.length} shifts for ${along.length} dims; give one shift a dim.`, { op: 'roll' })
  return scope(() => along.reduce((y, dim, i) => rolled(y, by[i]!, axis('roll', dim, x)), x))
}

function rolled(x: Tensor, shift: number, dim: number): Tensor {
  const y = run.roll(x, shift, dim)
  return tracked(x) ? record(y, { op: 'roll', inputs: [x], saved: [], backward: (dy) => [() => rolled(dy, -shift, dim)] }) : y
}

/** The last two dimensions with 0 above the diagonal. PyTorch: `torch.tril`. */
export function tril(x: Tensor, diagonal = 0): Tensor {
  const y = run.tril(x, diagonal)
  return tracked(x) ? record(y, { op: 'tril', inputs: [x], saved: [], backward: (dy) => [() => dy.tril(diagonal)] }) : y
}

/** The last two dimensions with 0 below the diagonal. PyTorch: `torch.triu`. */
export function triu(x: Tensor, diagonal = 0): Tensor {
  const y = run.triu(x, diagonal)
  return tracked(x) ? record(y, { op: 'triu', inputs: [x], saved: [], backward: (dy) => [() => dy.triu(diagonal)] }) : y
}

/** x repeated `counts[i]` times along dimension i; more counts than dimensions add dimensions in front. PyTorch: `x.repeat`. */
export function repeat(x: Tensor, counts: Shape): Tensor {
  if (counts.length < x.ndim || counts.some((n) => !Number.isInteger(n) || n < 0)) {
    throw new ShapeError(
      `repeat: counts ${show(counts)} for shape ${show(x.shape)}; give a whole number for each dimension, or more of them.`,
      { op: 'repeat', shapes: [x.shape] },
    )
  }
  return scope(() => {
    const shape = [...Array<number>(counts.length - x.ndim).fill(1), ...x.shape]
    // One dimension at a time, so that the rank never grows by more than one.
    return counts.reduce((y, n, dim) => {
      if (n === 1) return y
      const before = y.shape
      return y
        .unsqueeze(dim)
        .expand([...before.slice(0, dim), n, ...before.slice(dim)])
        .reshape(before.map((size, i) => (i === dim ? size * n : size)))
    }, x.reshape(shape))
  })
}

/** {@link repeat} under NumPy's name: `torch.tile`, in which missing counts are 1. */
export function tile(x: Tensor, counts: Shape): Tensor {
  return repeat(x, [...Array<number>(Math.max(0, x.ndim - counts.length)).fill(1), ...counts])
}

/** Every element `n` times in a row along `dim`. PyTorch: `torch.repeat_interleave`. */
export function repeatInterleave(x: Tensor, n: number, dim: number): Tensor {
  const d = axis('repeatInterleave', dim, x)
  const { shape } = x
  return scope(() =>
    x
      .unsqueeze(d + 1)
      .expand([...shape.slice(0, d + 1), n, ...shape.slice(d + 1)])
      .reshape(shape.map((size, i) => (i === d ? size * n : size))),
  )
}

/** The matrix with x on its diagonal and 0 elsewhere; x's last dimension becomes two. PyTorch: `torch.diag_embed`. */
export function diagEmbed(x: Tensor): Tensor {
  const n = x.shape.at(-1)!
  return scope(() => {
    // A row of n and n zeros after each element, read n wide: each element moves one place to the right of the one before.
    const padded = x.unsqueeze(-1).pad([0, n])
    return padded
      .flatten(-2)
      .narrow(-1, 0, n * n)
      .unflatten(-1, [n, n])
  })
}

/** Of a matrix its diagonal, of a vector the matrix with that diagonal. PyTorch: `torch.diag`. */
export function diag(x: Tensor): Tensor {
  return x.ndim === 1 ? diagEmbed(x) : x.diagonal()
}

/** The sum of the diagonal. PyTorch: `torch.trace`. */
export function trace(x: Tensor): Tensor {
  return scope(() => x.diagonal().sum())
}
