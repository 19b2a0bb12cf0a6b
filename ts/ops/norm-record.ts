import { isGradEnabled, record } from '../autograd.js'
import type { Tensor } from '../tensor.js'
import { type Activation, activationGradient } from './activation-code.js'
import { shapeOf, sumBack } from './pointwise-table.js'
import { tracked } from './support.js'

/** What the fused gradient of a normalisation is computed from. */
export interface Kept {
  x: Tensor
  first: Tensor
  second: Tensor
  weight: Tensor | null
  bias: Tensor | null
}
/** The fused gradient of a normalisation: dx, dweight, dbias. `relu`: dy is what stands behind a ReLU. */
export type FusedGradient = (dy: Tensor, kept: Kept, relu: boolean) => readonly Tensor[]

interface Norm {
  op: string
  x: Tensor
  weight: Tensor | null
  bias: Tensor | null
  /** What the kernel added to the result. */
  residual?: Tensor | null
  /** What it applied to the sum. */
  activation?: Activation
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

function recordTracked({ op, x, weight, bias, residual = null, activation = 'none', results, fused, spread = (t) => t, dims, eps }: Norm): void {
  const [y, first, second] = results
  // A bias without a weight still stands in the third place: the thunks go by what was given.
  const inputs = [x, weight, bias, residual].filter((input) => input !== null)
  if (!inputs.some(tracked)) return
  const relu = activation === 'relu'
  const likes = { x: shapeOf(x), weight: weight && shapeOf(weight), bias: bias && shapeOf(bias) }
  // Behind a ReLU the gradient asks where y was cut off, or, to read one tensor less, computes that from x and the bias.
  const kept = Object.entries({ x, first, second, weight, bias: relu ? bias : null, y: relu ? y : null }).filter(([, t]) => t !== null)
  record(y, {
    op,
    inputs,
    saved: kept.map(([, tensor]) => tensor as Tensor),
    backward: (dy, ...tensors) => {
      const { y, ...saved } = { weight: null, bias: null, ...Object.fromEntries(kept.map(([name], i) => [name, tensors[i]])) } as Kept & { y: Tensor }
      const again = isGradEnabled()
      // The residual's gradient is dy behind the activation: where there is one, it is computed anyway.
      const inside = relu && residual === null && !again
      const d = inside ? dy : activationGradient(activation, y, dy)
      const [dx, dweight, dbias] = again ? composed(d, saved.x, saved.weight, spread, dims, eps) : fused(d, saved, inside)
      return [
        () => sumBack(dx!, likes.x),
        ...(likes.weight ? [() => sumBack(dweight!, likes.weight!)] : []),
        ...(likes.bias ? [() => sumBack(dbias!, likes.bias!)] : []),
        ...(residual ? [() => d] : []),
      ]
    },
  })
}

/** dx, and dweight and dbias before they are summed, as public ops. */
export function composed(
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
