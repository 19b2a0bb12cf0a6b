import { gru } from '../../ts/ops/gru.js'
import { checkOp } from '../check.js'
import { type Args, cases, large, optionsOf, reference, sigmoid } from './recurrent.js'

checkOp<Args>('gru', {
  op: (inputs, args) => {
    const [x, weightIh, weightHh] = inputs
    const { output, hidden } = gru(x!, weightIh!, weightHh!, optionsOf(inputs, x!.shape[0]!, args))
    return [output, hidden]
  },
  rows: ['gru_grad'],
  second: 'refused',
  tolerance: { float32: 1e-4, bfloat16: 0.15, float16: 3e-2 },
  cases: cases(3),
  large: large(3),
  reference: reference(3, () => ([xr, xz, xn], [ur, uz, un], h) => {
    const [r, z] = [sigmoid(xr! + ur!), sigmoid(xz! + uz!)]
    return { h: (1 - z) * Math.tanh(xn! + r * un!) + z * h, c: 0 }
  }),
})
