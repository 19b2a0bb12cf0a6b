// Recurrences that no kernel computes as a whole: of single ops, step by step, so that gradients of any order follow.
import type { Tensor } from '../tensor.js'
import { sequenceMask } from './gather.js'
import type { RecurrentOptions } from './recurrent.js'
import { where } from './where.js'

/** Options of {@link bySteps}. */
export type StepOptions = Required<Pick<RecurrentOptions, 'lengths' | 'mask' | 'reverse'>>

/**
 * Goes through so many steps. `cell` makes the next states, each [N, ...], of a step and the states before; the first of them is the output. Steps that do
 * not count leave the states as they are, and those behind a row's length put out 0. Answers with the outputs in their places, and the last states.
 */
export function bySteps<States extends readonly Tensor[]>(
  steps: number, start: States, { lengths, mask, reverse }: StepOptions, cell: (at: number, states: States) => States,
): { outputs: Tensor[]; states: States } {
  const theirs = lengths === null ? null : sequenceMask(lengths, steps)
  const outputs: Tensor[] = []
  let states = start
  for (let step = 0; step < steps; step++) {
    const at = reverse ? steps - 1 - step : step
    const before = states
    const unless = (counts: Tensor): void => { states = states.map((state, i) => where(counts, state, before[i]!)) as unknown as States }
    states = cell(at, before)
    if (mask !== null) unless(mask.slice(1, at, at + 1))
    const inside = theirs === null ? null : theirs.slice(1, at, at + 1)
    if (inside !== null) unless(inside)
    outputs[at] = inside === null ? states[0]! : where(inside, states[0]!, 0)
  }
  return { outputs, states }
}

/** x [N, T, I], with zeros for steps that do not count: what stands there, NaN even, then reaches neither results nor gradients. */
export function countedSteps(x: Tensor, { lengths, mask }: Pick<StepOptions, 'lengths' | 'mask'>): Tensor {
  const inside = lengths === null ? null : sequenceMask(lengths, x.shape[1]!)
  const counts = inside === null ? mask : mask === null ? inside : inside.logicalAnd(mask)
  return counts === null ? x : where(counts.unsqueeze(-1), x, 0)
}
