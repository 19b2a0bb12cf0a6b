import { isGradEnabled, record } from '../autograd.js'
import type { Tensor } from '../tensor.js'
import { shapeOf, sumBack } from './pointwise-table.js'
import { tracked } from './support.js'

/** The fused gradient of a normalisation: dx, dweight, dbias. */
export type FusedGradient = (dy: Tensor, x: Tensor, first: Tensor, second: Tensor, weight: Tensor | null) => readonly Tensor[]

interface Norm {
  op: string
  x: Tensor
  weight: Tensor | null
  bias: Tensor | null
  /** What the kernel answered: the result and two statistics. */
  results: readonly [Tensor, Tensor, Tensor]
  fused: FusedGradient
  /** Brings x into the shape in which `dims` are normalised together. */
  spread?: (x: Tensor) => Tensor
  dims: readonly number[]
  eps: number
}

/**
 * Records y = x̂ w + b with x̂ = (x - mean) / sqrt(variance + eps) over `dims`:
 * dx = rstd (g - mean g - x̂ mean(g x̂)) with g = dy w, dw = Σ dy x̂, db = Σ dy. One kernel gives all three; where they will themselves be
 * differentiated the formulas run as public ops.
 */
export function recordNorm(norm: Norm): Tensor {
  const [y, first, second] = norm.results
  recordTracked(norm)
  // The graph holds its own references.
  first.dispose()
  second.dispose()
  return y
}

function recordTracked({ op, x, weight, bias, results, fused, spread = (t) => t, dims, eps }: Norm): void {
  const [y, first, second] = results
  if (!tracked(x) && !(weight && tracked(weight)) && !(bias && tracked(bias))) return
  // A bias without a weight still stands in the third place: the thunks go by what was given.
  const inputs = [x, ...(weight ? [weight] : []), ...(bias ? [bias] : [])]
  const [likeX, likeWeight, likeBias] = [shapeOf(x), weight && shapeOf(weight), bias && shapeOf(bias)]
  record(y, {
    op,
    inputs,
    saved: weight ? [x, first, second, weight] : [x, first, second],
    backward: (dy, x, first, second, weight) => {
      const [dx, dweight, dbias] = isGradEnabled()
        ? composed(dy, x!, weight ?? null, spread, dims, eps)
        : fused(dy, x!, first!, second!, weight ?? null)
      return [
        () => sumBack(dx!, likeX),
        ...(likeWeight ? [() => sumBack(dweight!, likeWeight)] : []),
        ...(likeBias ? [() => sumBack(dbias!, likeBias)] : []),
      ]
    },
  })
}

function composed(
  dy: Tensor,
  x: Tensor,
  weight: Tensor | null,
  spread: (x: Tensor) => Tensor,
  dims: readonly number[],
  eps: number,
): Tensor[] {
  const keep = { keepdim: true }
  const wide = spread(x)
  const centred = wide.sub(wide.mean(dims, keep))
  const rstd = centred.square().mean(dims, keep).add(eps).rsqrt()
  const normal = centred.mul(rstd)
  const g = spread(weight ? dy.mul(weight) : dy)
  const dx = rstd.mul(g.sub(g.mean(dims, keep)).sub(normal.mul(g.mul(normal).mean(dims, keep))))
  return [dx.reshape(x.shape), dy.mul(normal.reshape(x.shape)), dy]
}
