import { expect, test } from 'vitest'
import { zeros } from '../../ts/index.js'
import { groupNorm, instanceNorm } from '../../ts/ops/group-norm.js'
import { type Case, checkOp } from '../check.js'
import { normalised } from './norms.js'

interface Args {
  groups: number
  eps: number
}
const of = (x: number[], groups: number, params: number, layout?: Case['layout'], eps = 1e-5): Case<Args> => ({
  inputs: [x, ...Array.from({ length: params }, () => [x.at(-1)!])],
  args: { groups, eps },
  ...(layout && { layout }),
})
const tolerance = { float32: 1e-4, bfloat16: 0.15, float16: 3e-2 }
checkOp<Args>('groupNorm', {
  op: ([x, weight = null, bias = null], { groups, eps }) => groupNorm(x!, groups, { weight, bias, eps }),
  rows: ['group_norm_grad'],
  tolerance,
  reference: (inputs, { groups, eps }) =>
    normalised(
      inputs,
      eps,
      (i) => `${i[0]} ${Math.floor((i.at(-1)! * groups) / inputs[0]!.shape.at(-1)!)}`,
      (i) => i.at(-1)!,
    ),
  cases: [
    of([2, 4], 2, 2),
    of([3, 6], 1, 2),
    of([2, 3, 4], 2, 2),
    of([2, 3, 4], 4, 1),
    of([2, 2, 2, 6], 3, 2),
    of([2, 2, 2, 4], 2, 0),
    of([4, 6], 2, 2, 'transposed'),
    of([4, 6], 3, 2, 'sliced'),
    of([2, 4], 2, 2, 'offset', 0.1),
    of([0, 3, 4], 2, 2),
  ],
  large: [of([3, 9, 9, 32], 4, 2), of([5, 40, 48], 6, 2)],
})
checkOp<Args>('instanceNorm', {
  op: ([x, weight = null, bias = null], { eps }) => instanceNorm(x!, { weight, bias, eps }),
  rows: ['group_norm', 'group_norm_grad'],
  tolerance,
  reference: (inputs, { eps }) =>
    normalised(
      inputs,
      eps,
      (i) => `${i[0]} ${i.at(-1)}`,
      (i) => i.at(-1)!,
    ),
  cases: [
    of([2, 3, 4], 4, 2),
    of([1, 5, 1], 1, 2),
    of([2, 3, 2], 2, 1),
    of([2, 3, 2], 2, 0),
    of([2, 2, 3, 2], 2, 2),
    of([2, 4, 3], 3, 2, 'transposed'),
    of([2, 3, 4], 4, 2, 'sliced'),
    of([0, 3, 2], 2, 2),
  ],
})

test('messages', () => {
  expect(() => groupNorm(zeros([2, 3]), 2)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: groupNorm: 2 groups do not divide 3 channels.
      x [2, 3] float32 (N ... C)
      Choose a number of groups that divides the last dimension.]
  `)
  expect(() => groupNorm(zeros([3]), 1)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: groupNorm: x must have at least two dimensions, N ... C.
      x [3] float32
      Add the batch dimension with reshape.]
  `)
})
