import { expect, test } from 'vitest'
import { IndexError, ones, ShapeError, tensor } from '../../ts/index.js'
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

checkOp<Args>('gruResetBefore', {
  op: (inputs, args) => {
    const [x, weightIh, weightHh] = inputs
    const { output, hidden } = gru(x!, weightIh!, weightHh!, { ...optionsOf(inputs, x!.shape[0]!, args), resetAfter: false })
    return [output, hidden]
  },
  rows: ['gru_grad'],
  second: 'refused',
  tolerance: { float32: 1e-4, bfloat16: 0.15, float16: 3e-2 },
  cases: cases(3),
  large: large(3),
  reference: reference(3, () => ([, xz, xn], [, uz], h, _, again) => {
    const z = sigmoid(xz! + uz!)
    const n = Math.tanh(xn! + again(([xr], [ur]) => sigmoid(xr! + ur!)))
    return { h: (1 - z) * n + z * h, c: 0 }
  }),
})

test('resetAfter: false refuses lengths outside of the steps, and weights of other shapes', async () => {
  const [x, weightIh, weightHh] = [ones([2, 3, 2]), ones([6, 2]), ones([6, 2])]
  const { output } = gru(x, weightIh, weightHh, { resetAfter: false, lengths: tensor(Int32Array.of(1, 4)) })
  await expect(output.data()).rejects.toThrow(IndexError)
  expect(() => gru(x, ones([8, 2]), weightHh, { resetAfter: false })).toThrow(ShapeError)
  expect(() => gru(x, weightIh, ones([6, 3]), { resetAfter: false })).toThrow(ShapeError)
  for (const wrong of [{ mask: ones([2, 4], { dtype: 'bool' }) }, { lengths: tensor(Int32Array.of(1)) }, { h0: ones([2]) }, { biasHh: ones([1]) }, { inputMask: ones([2, 1]) }]) {
    expect(() => gru(x, weightIh, weightHh, { resetAfter: false, ...wrong })).toThrow(`gru: ${Object.keys(wrong)[0]} must be`)
  }
})
