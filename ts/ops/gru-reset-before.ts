import { zeros } from '../create.js'
import { ShapeError } from '../errors.js'
import type { Tensor } from '../tensor.js'
import { stack } from './concat.js'
import type { RecurrentResult } from './gru.js'
import { linear } from './linear.js'
import type { RecurrentOptions } from './recurrent.js'
import { bySteps } from './recurrent-steps.js'

type Options = Required<Pick<RecurrentOptions, 'h0' | 'lengths' | 'mask' | 'recurrentMask' | 'reverse'>>

/**
 * The GRU of Cho et al. 2014, whose r multiplies the state before the product: n = tanh(W_in x_t + b + W_hn (r h_{t-1})). `projected` [N, T, 3 H] holds
 * W_ih x_t + b.
 */
export function gruResetBefore(projected: Tensor, weightHh: Tensor, { h0, recurrentMask, ...options }: Options): RecurrentResult {
  const [n, t, gates] = projected.shape as [number, number, number]
  const h = weightHh.shape[1]!
  if (weightHh.ndim !== 2 || weightHh.shape[0] !== 3 * h || gates !== 3 * h) {
    throw new ShapeError(`gru: weightIh has ${gates} rows and weightHh is [${weightHh.shape.join(', ')}], expected [3 H, I] and [3 H, H].\n  Stack the gates r, z, n by rows.`, { op: 'gru', shapes: [projected.shape, weightHh.shape] })
  }
  const weights = [weightHh.slice(0, 0, 2 * h), weightHh.slice(0, 2 * h, 3 * h)] as const
  const start = h0 ?? zeros([n, h], { dtype: projected.dtype, device: projected.device })
  const { outputs, states } = bySteps(t, [start] as const, options, (at, [state]) => {
    const x = projected.select(1, at)
    const entering = recurrentMask === null ? state : state.mul(recurrentMask)
    const gated = x.slice(1, 0, 2 * h).add(linear(entering, weights[0])).sigmoid()
    const [r, z] = [gated.slice(1, 0, h), gated.slice(1, h, 2 * h)]
    const next = x.slice(1, 2 * h, 3 * h).add(linear(r.mul(entering), weights[1])).tanh()
    return [next.add(z.mul(state.sub(next)))] as const
  })
  return { output: t === 0 ? projected.slice(2, 0, h) : stack(outputs, 1), hidden: states[0] }
}
