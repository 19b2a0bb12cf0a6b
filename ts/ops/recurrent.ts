// What the recurrent ops share: their options, and how these reach kernels and graph.
import { NoGradientError } from '../errors.js'
import { isGradEnabled } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { tracked } from './support.js'

/** Options that every recurrent op takes. N rows, T steps, I features in, H units, G gates. */
export interface RecurrentOptions {
  /** [G H], added to the projections of the inputs. */
  biasIh?: Tensor | null
  /** [G H], added to the recurrent part. */
  biasHh?: Tensor | null
  /** The state before the first step, [N, H]. Default zeros. */
  h0?: Tensor | null
  /** Steps of each row, int32 [N]: outputs behind them are 0, the last states those of the row's last step, as with PyTorch's packed sequences. */
  lengths?: Tensor | null
  /** bool [N, T]: where false, the step is passed over and the state carried on, as Keras does. */
  mask?: Tensor | null
  /** Factors on every step's input, [N, I]: variational dropout (Gal & Ghahramani 2016), Keras' `dropout`. */
  inputMask?: Tensor | null
  /** Factors on the state that enters the product, [N, H], the same at every step: Keras' `recurrent_dropout`. It takes no gradient. */
  recurrentMask?: Tensor | null
  /** From each row's last step to its first. Default false. */
  reverse?: boolean
}

/** The sum of two biases of which either may be missing. */
export function bothBiases(a: Tensor | null, b: Tensor | null): Tensor | null {
  return a === null ? b : b === null ? a : a.add(b)
}

/** Factors of the inputs that are learnt are multiplied outside of the kernel, which has no gradient for them. */
export function factored(x: Tensor, inputMask: Tensor | null): { x: Tensor; inputMask: Tensor | null } {
  return inputMask !== null && tracked(inputMask) ? { x: x.mul(inputMask.unsqueeze(1)), inputMask: null } : { x, inputMask }
}

/** Optional tensors in a list without holes, as graphs keep them, where each stands again, and of other things those whose tensor is there. */
export function present<Name extends string>(
  optional: Readonly<Record<Name, Tensor | null>>,
): { tensors: Tensor[]; of: (kept: readonly Tensor[]) => Record<Name, Tensor | null>; pick: <T>(all: Readonly<Record<Name, T>>) => T[] } {
  const names = Object.keys(optional) as Name[]
  const there = names.filter((name) => optional[name] !== null)
  return {
    tensors: there.map((name) => optional[name]!),
    of: (kept) => Object.fromEntries(names.map((name) => [name, kept[there.indexOf(name)] ?? null])) as Record<Name, Tensor | null>,
    pick: (all) => there.map((name) => all[name]),
  }
}

/** Masks are drawn, not learnt. */
export function refuseMaskGradient(op: string, mask: Tensor | null): void {
  if (mask !== null && tracked(mask)) throw new NoGradientError(`${op}: recurrentMask has no gradient. Pass it with .detach().`, { op })
}

/** Whole-sequence gradients have none of their own. */
export function refuseSecond(op: string): void {
  if (isGradEnabled()) throw new NoGradientError(`${op}: has no second derivative. Call backward without createGraph, or write the recurrence with single ops.`, { op })
}
