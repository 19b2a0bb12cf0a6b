import type { Tensor } from '../index.js'
import { settle } from '../internal.js'

/**
 * Two parameter groups: weights, with `weightDecay`, and what should not shrink (biases, and the scales of norms: everything of fewer than
 * two dimensions, or whose name matches `except`), without.
 *
 * ```js
 * new optim.AdamW(optim.decayGroups(model, { weightDecay: 0.01 }), { lr: 2e-5 })
 * ```
 */
export function decayGroups(
  model: { namedParameters(): Iterable<readonly [string, Tensor]> },
  options: { weightDecay?: number; except?: RegExp } = {},
): { params: Tensor[]; weightDecay: number }[] {
  const { weightDecay, except } = settle('decayGroups', options, { weightDecay: 0.01, except: undefined })
  const decayed: Tensor[] = []
  const spared: Tensor[] = []
  for (const [name, parameter] of model.namedParameters()) {
    const spare = except === undefined ? parameter.shape.length < 2 : except.test(name)
    ;(spare ? spared : decayed).push(parameter)
  }
  return [
    { params: decayed, weightDecay },
    { params: spared, weightDecay: 0 },
  ].filter(({ params }) => params.length > 0)
}
