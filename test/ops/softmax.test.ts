import { expect, test } from 'vitest'
import { tensor, zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/softmax.js'
import { type Case, checkOp, numbers } from '../check.js'
import { lines, sum } from '../reference.js'

const cases: Case<number>[] = [
  { inputs: [[]], args: 0 },
  { inputs: [[7]], args: 0 },
  { inputs: [[3, 5]], args: -1 },
  { inputs: [[3, 5]], args: 0 },
  { inputs: [[2, 3, 4]], args: 1 },
  { inputs: [{ shape: [3, 5], values: 'large' }], args: 1 },
  { inputs: [[4, 6]], args: 1, layout: 'transposed' },
  { inputs: [[4, 6]], args: 0, layout: 'sliced' },
  { inputs: [[0, 3]], args: 1 },
  { inputs: [[3, 1]], args: 1 },
  { inputs: [[3, 0]], args: 1 },
]
const large: Case<number>[] = [
  { inputs: [[131, 523]], args: 1 },
  { inputs: [[523, 131]], args: 0 },
  { inputs: [{ shape: [65, 1001], values: 'large' }], args: -1 },
]
const exponentials = (v: number[]): number[] => v.map((e) => Math.exp(e - Math.max(...v)))
const logSum = (v: number[]): number => Math.max(...v) + Math.log(sum(exponentials(v)))

checkOp<number>('softmax', {
  op: ([x], dim) => ops.softmax(x!, dim),
  reference: ([x], dim) => lines(x!, dim, (v) => exponentials(v).map((e) => e / sum(exponentials(v)))),
  rows: ['softmax_grad'],
  cases,
  large,
})
checkOp<number>('logSoftmax', {
  op: ([x], dim) => ops.logSoftmax(x!, dim),
  reference: ([x], dim) => lines(x!, dim, (v) => v.map((e) => e - logSum(v))),
  rows: ['log_softmax_grad'],
  cases,
  large,
})
checkOp<number>('softmin', {
  op: ([x], dim) => ops.softmin(x!, dim),
  reference: ([x], dim) =>
    lines(x!, dim, (v) => {
      const e = exponentials(v.map((a) => -a))
      return e.map((a) => a / sum(e))
    }),
  rows: ['softmax'],
  cases,
})

test('masked entries get nothing, and huge ones do not overflow', () => {
  expect(numbers(tensor([0, -Infinity, 0]).softmax())).toEqual([0.5, 0, 0.5])
  expect(numbers(tensor([1e30, 0]).softmax())).toEqual([1, 0])
  expect(numbers(tensor([-Infinity, -Infinity]).softmax())).toEqual([NaN, NaN])
})

test('messages', () => {
  expect(() => zeros([2, 3]).softmax(2)).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: softmax: dim 2 does not exist.
      The tensor has 2 dimensions.
      Use a dim from -2 to 1.]
  `)
  expect(() => zeros([2], { dtype: 'int32' }).softmax()).toThrowErrorMatchingInlineSnapshot(`
    [DTypeError: softmax: needs a floating dtype.
      x [2] int32
      Convert it with .to('float32').]
  `)
})
