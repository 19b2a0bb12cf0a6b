import { arange } from '../create.js'
import { ValueError } from '../errors.js'
import type { Tensor } from '../tensor.js'

/** How a recurrent layer's steps become one row of a sequence: its state after the 'last' one, the 'mean' of its outputs, or each feature's 'max'. */
export type StepPool = 'last' | 'mean' | 'max'

/** The ways of {@link StepPool}. */
export const STEP_POOLS: readonly StepPool[] = ['last', 'mean', 'max']

/** @throws ValueError for a way that is none of `ways` */
export function checkPool(model: string, pool: unknown, ways: readonly string[]): void {
  if (ways.includes(pool as string)) return
  const names = ways.map((way) => `'${way}'`)
  throw new ValueError(`${model}: pool is ${names.slice(0, -1).join(', ')} or ${names.at(-1)}, got '${String(pool)}'.`, { op: model })
}

/**
 * One row for each sequence, over its own steps alone: outputs [N, T, F], which are 0 behind a row's steps, and the states after the last ones [N, F] -> [N, F].
 * A sequence without steps gives zeros.
 */
export function poolSteps(pool: StepPool, output: Tensor, hidden: Tensor, lengths: Tensor | null): Tensor {
  // Where no sequence has a step, the states are the zeros that they began as.
  if (pool === 'last' || output.shape[1] === 0) return hidden
  if (lengths === null) return pool === 'mean' ? output.mean([1]) : output.max(1).values
  const steps = lengths.clamp(1).unsqueeze(1)
  if (pool === 'mean') return output.sum([1]).div(steps.cast(output.dtype))
  const behind = arange(output.shape[1]!).ge(steps).unsqueeze(-1)
  return output.maskedFill(behind, -Infinity).max(1).values
}
