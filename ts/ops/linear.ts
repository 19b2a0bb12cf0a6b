import { record } from '../autograd.js'
import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'
import { type Activation, activationCode, activationGradient } from './activation-code.js'
import { tracked } from './support.js'

/**
 * y = act(x Wᵀ + b): x [..., in], weight [out, in], bias [out], y [..., out]. PyTorch: `F.linear`.
 * @example linear(x, weight, bias, { activation: 'relu' })
 */
export function linear(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  { activation = 'none' }: { activation?: Activation } = {},
): Tensor {
  const y = run.linear(x, weight, bias, activationCode('linear', activation))
  if (!tracked(x) && !tracked(weight) && !(bias && tracked(bias))) return y
  return record(y, {
    op: 'linear',
    inputs: bias ? [x, weight, bias] : [x, weight],
    saved: activation === 'none' ? [x, weight] : [x, weight, y],
    // dx = d W, dW = dᵀ x, db = Σ d, with d = dy where the activation let it pass.
    backward: (dy, x, weight, y) => {
      const d = activationGradient(activation, y!, dy)
      const rows = (t: Tensor): Tensor => (t.ndim === 2 ? t : t.reshape([-1, t.shape.at(-1)!]))
      return [() => d.matmul(weight!), () => rows(d).t().matmul(rows(x!)), () => rows(d).sum([0])]
    },
  })
}
