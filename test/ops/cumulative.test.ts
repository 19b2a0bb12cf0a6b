import { expect, test } from 'vitest'
import { tensor, zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/cumulative.js'
import { type Case, checkOp, numbers } from '../check.js'
import { lines } from '../reference.js'
import { INTEGERS } from './cases.js'

const cases: Case<number>[] = [
  { inputs: [[]], args: 0 },
  { inputs: [[7]], args: 0 },
  { inputs: [[3, 5]], args: 1 },
  { inputs: [[3, 5]], args: 0 },
  { inputs: [[2, 3, 4]], args: 1 },
  { inputs: [[2, 3, 4]], args: -1 },
  { inputs: [[4, 6]], args: 1, layout: 'transposed' },
  { inputs: [[4, 6]], args: 0, layout: 'sliced' },
  { inputs: [[0, 3]], args: 0 },
  { inputs: [[1, 4]], args: 0 },
]
const running =
  (f: (a: number, b: number) => number) =>
  (values: number[]): number[] => {
    let total = NaN
    return values.map((value, i) => (total = i === 0 ? value : f(total, value)))
  }

checkOp<number>('cumsum', {
  op: ([x], dim) => ops.cumsum(x!, dim),
  reference: ([x], dim) =>
    lines(
      x!,
      dim,
      running((a, b) => a + b),
    ),
  cases,
  large: [
    { inputs: [[131, 523]], args: 1 },
    { inputs: [[131, 523]], args: 0 },
  ],
  integers: [...INTEGERS, 'bool'],
})
checkOp<number>('cumprod', {
  op: ([x], dim) => ops.cumprod(x!, dim),
  reference: ([x], dim) =>
    lines(
      x!,
      dim,
      running((a, b) => a * b),
    ),
  cases,
  large: [{ inputs: [[523, 13]], args: 1 }],
  integers: ['int64', 'int32'],
})

test('the gradient of cumprod is exact at zeros', () => {
  // d/dx_k Σ_i Π_{j <= i} x_j, by hand for [2, 0, 3, 0]
  const x = tensor([2, 0, 3, 0], { requiresGrad: true })
  x.cumprod(0).sum().backward()
  expect(numbers(x.grad!)).toEqual([1, 8, 0, 0])
})

test('messages', () => {
  expect(() => zeros([2]).cumsum(1)).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: cumsum: dim 1 does not exist.
      The tensor has 1 dimensions.
      Use a dim from -1 to 0.]
  `)
})
