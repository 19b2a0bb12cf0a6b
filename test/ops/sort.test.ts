import { expect, test } from 'vitest'
import { tensor, zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/sort.js'
import { type Case, checkOp, numbers, shapeOf } from '../check.js'
import { lines } from '../reference.js'
import { INTEGERS } from './cases.js'

/** Places in order: stable, NaN last as the largest. */
const order = (values: number[], descending: boolean): number[] =>
  values.map((_, i) => i).sort((a, b) => (values[a] === values[b] ? a - b : (values[a]! < values[b]! ? -1 : 1) * (descending ? -1 : 1)))

interface Args {
  dim: number
  descending?: boolean
  k?: number
  largest?: boolean
}
const shapes: [number[], number, Case['layout']?][] = [
  [[], 0],
  [[7], 0],
  [[3, 5], 1],
  [[3, 5], 0],
  [[2, 3, 4], 1],
  [[4, 6], 1, 'transposed'],
  [[4, 6], 0, 'sliced'],
  [[0, 3], 1],
  [[1, 4], 0],
  [[3, 4], -1, 'offset'],
]
const cases = (extra: Partial<Args>): Case<Args>[] =>
  shapes.map(([shape, dim, layout]) => ({ inputs: [{ shape, values: 'distinct' }], args: { dim, ...extra }, ...(layout && { layout }) }))

for (const descending of [false, true]) {
  checkOp<Args>(descending ? 'sortDescending' : 'sort', {
    op: ([x], { dim }) => {
      const { values, indices } = ops.sort(x!, dim, { descending })
      return [values, indices]
    },
    rows: ['sort', 'scatter_add'],
    reference: ([x], { dim }) => [
      lines(x!, dim, (v) => order(v, descending).map((i) => v[i]!)),
      lines(x!, dim, (v) => order(v, descending)),
    ],
    cases: cases({}),
    large: [{ inputs: [{ shape: [37, 523], values: 'distinct' }], args: { dim: 1 } }],
    integers: INTEGERS,
  })
}
checkOp<Args>('argsort', {
  op: ([x], { dim }) => ops.argsort(x!, dim),
  reference: ([x], { dim }) => lines(x!, dim, (v) => order(v, false)),
  cases: cases({}),
  rows: ['sort'],
  gradient: false,
  integers: INTEGERS,
})

const top: Case<Args>[] = [
  { inputs: [{ shape: [7], values: 'distinct' }], args: { dim: 0, k: 3 } },
  { inputs: [{ shape: [7], values: 'distinct' }], args: { dim: 0, k: 3, largest: false } },
  { inputs: [{ shape: [3, 5], values: 'distinct' }], args: { dim: 1, k: 2 } },
  { inputs: [{ shape: [3, 5], values: 'distinct' }], args: { dim: 0, k: 1 } },
  { inputs: [{ shape: [2, 3, 4], values: 'distinct' }], args: { dim: 1, k: 3 } },
  { inputs: [{ shape: [4, 6], values: 'distinct' }], args: { dim: 1, k: 2 }, layout: 'transposed' },
  { inputs: [{ shape: [4, 6], values: 'distinct' }], args: { dim: 0, k: 2, largest: false }, layout: 'sliced' },
  { inputs: [{ shape: [0, 3], values: 'distinct' }], args: { dim: 1, k: 3 } },
  { inputs: [{ shape: [5], values: 'distinct' }], args: { dim: 0, k: 0 } },
]
checkOp<Args>('topk', {
  op: ([x], { dim, k, largest = true }) => {
    const { values, indices } = ops.topk(x!, k!, dim, { largest })
    return [values, indices]
  },
  cases: top,
  reference: ([x], { dim, k, largest = true }) => [
    lines(x!, dim, (v) =>
      order(v, largest)
        .slice(0, k)
        .map((i) => v[i]!),
    ),
    lines(x!, dim, (v) => order(v, largest).slice(0, k)),
  ],
  large: [{ inputs: [{ shape: [37, 523], values: 'distinct' }], args: { dim: 1, k: 9 } }],
  integers: INTEGERS,
})
checkOp<Args>('median', {
  op: ([x], { dim }) => {
    const { values, indices } = ops.median(x!, dim)
    return [values, indices]
  },
  rows: ['sort'],
  reference: ([x], { dim }) => {
    const d = dim < 0 ? dim + x!.shape.length : dim
    const gone = (y: { shape: readonly number[]; data: number[] }) => ({ shape: y.shape.filter((_, i) => i !== d), data: y.data })
    return [
      gone(lines(x!, dim, (v) => [v[order(v, false)[(v.length - 1) >> 1]!]!])),
      gone(lines(x!, dim, (v) => [order(v, false)[(v.length - 1) >> 1]!])),
    ]
  },
  cases: cases({})
    .filter((c) => shapeOf(c.inputs[0]!).length > 0 && shapeOf(c.inputs[0]!)[0] !== 0)
    .concat({ inputs: [{ shape: [6], values: 'distinct' }], args: { dim: 0 } }),
})

test('equal values keep their order, NaN comes last', () => {
  const { values, indices } = tensor([2, NaN, 1, 2, 1]).sort()
  expect([numbers(values), numbers(indices)]).toEqual([
    [1, 1, 2, 2, NaN],
    [2, 4, 0, 3, 1],
  ])
  expect(numbers(tensor([1, NaN, 3]).topk(2).indices)).toEqual([1, 2])
})

test('messages', () => {
  expect(() => zeros([3]).topk(4)).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: topk: k is larger than dim 0.
      k 4, x [3] float32
      Use a k of at most 3.]
  `)
  expect(() => zeros([3]).sort(1)).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: sort: dim 1 does not exist.
      The tensor has 1 dimensions.
      Use a dim from -1 to 0.]
  `)
})
