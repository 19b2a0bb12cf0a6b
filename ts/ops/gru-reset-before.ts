import { zeros } from '../create.js'
import type { Tensor } from '../tensor.js'
import { split, stack, unbind } from './concat.js'
import type { RecurrentResult } from './gru.js'
import { linear } from './linear.js'
import { bothBiases, project, type RecurrentOptions } from './recurrent.js'
import { checkOperands } from './recurrent-shapes.js'
import { bySteps, countedSteps } from './recurrent-steps.js'

/** The options of `gru`, none left open. */
type Settled = Required<Omit<RecurrentOptions, 'resetAfter'>>

/** The GRU of Cho et al. 2014, whose r multiplies the state before the product: n = tanh(W_in x_t + b_in + W_hn (r h_{t-1}) + b_hn). */
export function gruResetBefore(x: Tensor, weightIh: Tensor, weightHh: Tensor, options: Settled): RecurrentResult {
  const { biasIh, biasHh, h0, lengths, mask, inputMask, recurrentMask } = options
  const h = Math.floor((weightIh.shape[0] ?? 0) / 3)
  checkOperands('gru', 3, x, h, h, { weightIh, weightHh, biasIh, biasHh, h0, lengths, mask, inputMask, recurrentMask })
  const [n, t] = x.shape as [number, number]
  const projected = project(countedSteps(x, options), weightIh, bothBiases(biasIh, biasHh), inputMask)
  const weights = split(weightHh, [2 * h, h]) as [Tensor, Tensor]
  // All at once: a step's own gradient by itself would come with zeros for all other steps.
  const steps = unbind(projected, 1)
  const start = h0 ?? zeros([n, h], { dtype: x.dtype as 'float32', device: x.device })
  const { outputs, states } = bySteps(t, [start] as const, options, (at, [state]) => {
    const [gates, candidate] = split(steps[at]!, [2 * h, h], 1) as [Tensor, Tensor]
    const entering = recurrentMask === null ? state : state.mul(recurrentMask)
    const [r, z] = split(gates.add(linear(entering, weights[0])).sigmoid(), h, 1) as [Tensor, Tensor]
    const next = candidate.add(linear(r.mul(entering), weights[1])).tanh()
    return [next.add(z.mul(state.sub(next)))] as const
  })
  return { output: t === 0 ? projected.slice(2, 0, h) : stack(outputs, 1), hidden: states[0] }
}
