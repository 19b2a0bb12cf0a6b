import { expect, test } from 'vitest'
import { IndexError, NoGradientError, tensor, zeros } from '../../ts/index.js'
import { lstm } from '../../ts/ops/lstm.js'
import { checkOp } from '../check.js'
import { type Args, cases, large, optionsOf, reference, sigmoid } from './recurrent.js'

checkOp<Args>('lstm', {
  op: (inputs, args) => {
    const [x, weightIh, weightHh] = inputs
    const { output, hidden, cell } = lstm(x!, weightIh!, weightHh!, optionsOf(inputs, x!.shape[0]!, args))
    return [output, hidden, cell]
  },
  rows: ['lstm_grad'],
  second: 'refused',
  tolerance: { float32: 1e-4, bfloat16: 0.15, float16: 3e-2 },
  cases: cases(4),
  large: large(4),
  reference: reference(4, () => (x, u, _, c) => {
    const [i, f, g, o] = x.map((value, gate) => value + u[gate]!) as [number, number, number, number]
    const next = sigmoid(f) * c + sigmoid(i) * Math.tanh(g)
    return { h: sigmoid(o) * Math.tanh(next), c: next }
  }),
})

test('messages', () => {
  expect(() => lstm(zeros([2, 3, 4]), zeros([8, 4]), zeros([8, 3]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: lstm: x [N, T, I] needs weights [4 H, I] and [4 H, H] of its dtype.
      x [2, 3, 4] float32, weightIh [8, 4] float32, weightHh [8, 3] float32
      Give x as [N, T, features], and both weights for as many units.]
  `)
  expect(() => lstm(zeros([2, 3, 4]), zeros([8, 4]), zeros([8, 2]), { h0: zeros([3, 2]) })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: lstm: h0 must be [N, H], here [2, 2] float32.
      h0 [3, 2] float32]
  `)
  expect(() => lstm(zeros([2, 3, 4]), zeros([8, 4]), zeros([8, 2]), { lengths: zeros([2]) })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: lstm: lengths must be int32 [N], here [2] int32.
      lengths [2] float32]
  `)
})

test('a recurrent mask has no gradient, and says so', () => {
  expect(() => lstm(zeros([2, 3, 4]), zeros([8, 4]), zeros([8, 2]), { recurrentMask: zeros([2, 2], { requiresGrad: true }) })).toThrow(NoGradientError)
})

test('a length that does not fit is a late error', async () => {
  const call = (lengths: number[]) => lstm(zeros([2, 3, 4]), zeros([8, 4]), zeros([8, 2]), { lengths: tensor(Int32Array.from(lengths)) }).hidden.data()
  await expect(call([3, 4])).rejects.toThrow(IndexError)
  await expect(call([-1, 3])).rejects.toThrow('length -1 of row 0')
})
