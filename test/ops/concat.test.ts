import { expect, test } from 'vitest'
import { type Tensor, tensor, zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/concat.js'
import { type Case, checkOp } from '../check.js'
import { build, get, type Nd } from '../reference.js'

function joined(xs: Nd[], dim: number): Nd {
  const d = dim < 0 ? dim + xs[0]!.shape.length : dim
  const sizes = xs.map((x) => x.shape[d]!)
  return build(
    xs[0]!.shape.map((size, i) => (i === d ? sizes.reduce((a, b) => a + b) : size)),
    (index) => {
      let at = index[d]!
      const which = sizes.findIndex((size) => (at < size ? true : ((at -= size), false)))
      return get(
        xs[which]!,
        index.map((v, i) => (i === d ? at : v)),
      )
    },
  )
}

const cases: Case<number>[] = [
  { inputs: [[3]], args: 0 },
  { inputs: [[3], [2]], args: 0 },
  {
    inputs: [
      [2, 3],
      [4, 3],
    ],
    args: 0,
  },
  {
    inputs: [
      [2, 3],
      [2, 1],
      [2, 2],
    ],
    args: 1,
  },
  {
    inputs: [
      [2, 3, 4],
      [2, 1, 4],
    ],
    args: -2,
  },
  {
    inputs: [
      [4, 6],
      [4, 2],
    ],
    args: 1,
    layout: 'transposed',
  },
  {
    inputs: [
      [4, 6],
      [3, 6],
    ],
    args: 0,
    layout: 'sliced',
  },
  {
    inputs: [
      [0, 3],
      [2, 3],
    ],
    args: 0,
  },
  {
    inputs: [
      [0, 3],
      [0, 2],
    ],
    args: 1,
  },
  {
    inputs: [
      [3, 2],
      [3, 2],
    ],
    args: 1,
    layout: 'expanded',
  },
]
checkOp<number>('concat', {
  op: (xs, dim) => ops.concat(xs, dim),
  reference: joined,
  cases,
  large: [
    {
      inputs: [
        [131, 300],
        [131, 223],
      ],
      args: 1,
    },
  ],
  integers: ['int64', 'int32', 'uint8', 'bool'],
})
checkOp<number>('cat', { op: (xs, dim) => ops.cat(xs, dim), reference: joined, cases, rows: ['concat'] })

checkOp<number>('stack', {
  op: (xs, dim) => ops.stack(xs, dim),
  rows: ['concat'],
  reference: (xs, dim) => {
    const d = dim < 0 ? dim + xs[0]!.shape.length + 1 : dim
    return build([...xs[0]!.shape.slice(0, d), xs.length, ...xs[0]!.shape.slice(d)], (index) =>
      get(
        xs[index[d]!]!,
        index.filter((_, i) => i !== d),
      ),
    )
  },
  cases: [
    { inputs: [[], []], args: 0 },
    { inputs: [[3]], args: 0 },
    { inputs: [[3], [3]], args: 1 },
    {
      inputs: [
        [2, 3],
        [2, 3],
      ],
      args: 1,
    },
    {
      inputs: [
        [2, 3],
        [2, 3],
        [2, 3],
      ],
      args: -1,
    },
    {
      inputs: [
        [4, 6],
        [4, 6],
      ],
      args: 0,
      layout: 'transposed',
    },
    {
      inputs: [
        [4, 6],
        [4, 6],
      ],
      args: 2,
      layout: 'sliced',
    },
    {
      inputs: [
        [0, 3],
        [0, 3],
      ],
      args: 0,
    },
  ],
})

const pieces = (x: Nd, sizes: number[], dim: number): Nd[] => {
  let start = 0
  return sizes.map((size) => {
    const from = start
    start += size
    return build(
      x.shape.map((n, i) => (i === dim ? size : n)),
      (index) =>
        get(
          x,
          index.map((at, i) => (i === dim ? at + from : at)),
        ),
    )
  })
}
checkOp<[number | number[], number, number[]]>('split', {
  op: ([x], [size, dim]) => ops.split(x!, size, dim),
  reference: ([x], [, dim, sizes]) => pieces(x!, sizes, dim),
  rows: ['slice'],
  cases: [
    { inputs: [[7]], args: [3, 0, [3, 3, 1]] },
    { inputs: [[6]], args: [[1, 2, 3], 0, [1, 2, 3]] },
    { inputs: [[2, 4]], args: [2, 1, [2, 2]] },
    { inputs: [[3, 2]], args: [1, 0, [1, 1, 1]] },
    { inputs: [[4, 6]], args: [4, 1, [4, 2]], layout: 'transposed' },
    { inputs: [[4, 6]], args: [[3, 1], 0, [3, 1]], layout: 'sliced' },
    { inputs: [[2, 5, 2]], args: [[0, 5], 1, [0, 5]] },
    { inputs: [[4]], args: [9, 0, [4]] },
  ],
})
checkOp<[number, number, number[]]>('chunk', {
  op: ([x], [count, dim]) => ops.chunk(x!, count, dim),
  reference: ([x], [, dim, sizes]) => pieces(x!, sizes, dim),
  rows: ['slice'],
  cases: [
    { inputs: [[7]], args: [3, 0, [3, 3, 1]] },
    { inputs: [[6]], args: [2, 0, [3, 3]] },
    { inputs: [[2, 4]], args: [4, 1, [1, 1, 1, 1]] },
    { inputs: [[3, 2]], args: [5, 0, [1, 1, 1]] },
    { inputs: [[4, 6]], args: [2, 1, [3, 3]], layout: 'transposed' },
    { inputs: [[4, 6]], args: [3, 0, [2, 2]], layout: 'sliced' },
    { inputs: [[2, 5, 2]], args: [2, 1, [3, 2]] },
    { inputs: [[4]], args: [1, 0, [4]] },
  ],
})
checkOp<number>('unbind', {
  op: ([x], dim) => ops.unbind(x!, dim),
  rows: ['select'],
  reference: ([x], dim) =>
    pieces(x!, Array<number>(x!.shape[dim]!).fill(1), dim).map(({ shape, data }) => ({ shape: shape.filter((_, i) => i !== dim), data })),
  cases: [
    [[3], 0],
    [[2, 3], 0],
    [[2, 3], 1],
    [[2, 3, 2], 1],
    [[1, 4], 0],
    [[4, 1], 1],
    [[3, 0], 0],
    [[2, 2, 2], 2],
  ].map(([shape, args], i) => ({ inputs: [shape as number[]], args: args as number, ...(i === 3 && { layout: 'transposed' as const }) })),
})
checkOp('meshgrid', {
  op: (xs) => ops.meshgrid(xs),
  rows: ['expand'],
  reference: (xs) =>
    xs.map((x, i) =>
      build(
        xs.map((v) => v.shape[0]!),
        (index) => x.data[index[i]!]!,
      ),
    ),
  cases: [[[3]], [[2], [3]], [[1], [4]], [[2], [2], [2]], [[5], [1]], [[3], [2], [1]], [[4], [4]], [[0], [2]]].map((inputs) => ({
    inputs,
  })),
})

test('a concat of mixed dtypes sends each gradient back in its own', () => {
  const [a, b] = [tensor([1], { requiresGrad: true }), tensor([2], { dtype: 'float64', requiresGrad: true })]
  const y: Tensor = ops.concat([a, b])
  expect(y.dtype).toBe('float64')
  y.sum().backward()
  expect([a.grad!.dtype, b.grad!.dtype]).toEqual(['float32', 'float64'])
})

test('messages', () => {
  expect(() => ops.concat([])).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: concat: needs at least one tensor.
      The list is empty.
      Pass the tensors as an array.]
  `)
  expect(() => ops.concat([zeros([2, 3]), zeros([3, 2])])).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: concat: sizes differ outside dim 0.
      xs[0] [2, 3] float32, xs[1] [3, 2] float32
      Only dim 0 may differ; pad or slice the others.]
  `)
  expect(() => ops.stack([zeros([2]), zeros([3])])).toThrowErrorMatchingInlineSnapshot(
    `[ShapeError: stack: shapes [2] and [3] differ. Use concat, or pad them to one shape.]`,
  )
  expect(() => zeros([4]).split([1, 2])).toThrowErrorMatchingInlineSnapshot(
    `[ShapeError: split: sizes [1, 2] do not add up to 4, the size of dim 0 of [4].]`,
  )
  expect(() => zeros([4]).chunk(0)).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: chunk: the number of chunks must be 1 or more, got 0.]`,
  )
})
