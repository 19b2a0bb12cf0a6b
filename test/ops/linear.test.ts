import { expect, test } from 'vitest'
import { zeros } from '../../ts/index.js'
import { linear } from '../../ts/ops/linear.js'
import { type Case, checkOp } from '../check.js'
import { map, matmul, type Nd, permute } from '../reference.js'

const reference = (x: Nd, w: Nd, b: Nd | undefined, relu: boolean): Nd => {
  const y = matmul(
    {
      shape: [x.data.length / Math.max(1, x.shape.at(-1)!), x.shape.at(-1)!].map((n, i) =>
        i === 0 && x.shape.at(-1) === 0 ? x.shape.slice(0, -1).reduce((a, c) => a * c, 1) : n,
      ),
      data: x.data,
    },
    permute(w, [1, 0]),
  )
  const shaped = { shape: [...x.shape.slice(0, -1), w.shape[0]!], data: y.data }
  const summed = b ? map((v, c) => v + c, shaped, b) : shaped
  return relu ? map((v) => Math.max(0, v), summed) : summed
}
const of = (x: number[], out: number, bias: boolean, layout?: Case['layout']): Case => ({
  inputs: [x, [out, x.at(-1)!], ...(bias ? [[out]] : [])],
  ...(layout && { layout }),
})
const cases = [
  of([2, 3], 4, true),
  of([2, 3], 4, false),
  of([3], 2, true),
  of([2, 3, 4], 2, true),
  of([1, 1], 1, true),
  of([4, 6], 4, true, 'transposed'),
  of([4, 6], 2, false, 'sliced'),
  of([2, 3], 2, true, 'offset'),
  of([0, 3], 2, true),
  of([2, 2, 2, 3], 3, false),
  of([2, 0], 3, true),
]
const large = [of([67, 300], 41, true), of([5, 31, 64], 33, true), of([128, 64], 10, false)]

checkOp('linear', {
  op: ([x, w, b]) => linear(x!, w!, b ?? null),
  reference: ([x, w, b]) => reference(x!, w!, b, false),
  cases,
  large,
  tolerance: { bfloat16: 6e-2 },
})
checkOp('linearRelu', {
  op: ([x, w, b]) => linear(x!, w!, b ?? null, { activation: 'relu' }),
  reference: ([x, w, b]) => reference(x!, w!, b, true),
  rows: ['linear', 'relu_grad'],
  cases,
  large,
  tolerance: { bfloat16: 6e-2 },
})

test('messages', () => {
  expect(() => linear(zeros([2, 3]), zeros([4, 5]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: linear: x has 3 features, weight expects 5.
      x [2, 3] float32, weight [4, 5] float32 (out in)
      Use new Linear(3, 4).]
  `)
  expect(() => linear(zeros([2, 3]), zeros([4, 3]), zeros([3]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: linear: bias does not fit 4 outputs.
      bias [3] float32, weight [4, 3] float32 (out in)
      Use a bias [4].]
  `)
  expect(() => linear(zeros([2, 3]), zeros([4, 3]), null, { activation: 'tanh' as 'relu' })).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: linear: activation is 'none' or 'relu', got 'tanh'. Call others on the result.]`,
  )
})
