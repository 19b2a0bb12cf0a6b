import { expect, test } from 'vitest'
import { type Tensor, tensor, zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/shape.js'
import { type Case, checkOp } from '../check.js'
import { build, get, type Nd, permute, reshape } from '../reference.js'

const layouts = ['transposed', 'sliced', 'offset', 'expanded'] as const

/** An op that only reads the elements in row-major order under another shape. */
function checkReshape(name: string, op: (x: Tensor, args: any) => Tensor, pairs: [number[], any, number[]][], rows = ['reshape']): void {
  checkOp<{ args: any; shape: number[] }>(name, {
    op: ([x], { args }) => op(x!, args),
    reference: ([x], { shape }) => reshape(x!, shape),
    rows,
    cases: pairs.map(([from, args, shape], i) => ({
      inputs: [from],
      args: { args, shape },
      ...(i >= pairs.length - 4 && { layout: layouts[i % 4]! }),
    })),
    integers: ['int32', 'bool'],
  })
}

checkReshape('reshape', (x, shape) => ops.reshape(x, shape), [
  [[], [1, 1], [1, 1]],
  [[6], [2, 3], [2, 3]],
  [[2, 3], [-1], [6]],
  [
    [2, 3, 4],
    [6, -1],
    [6, 4],
  ],
  [
    [0, 3],
    [3, 0],
    [3, 0],
  ],
  [
    [4, 6],
    [2, 12],
    [2, 12],
  ],
  [[4, 6], [24], [24]],
  [
    [2, 3, 4],
    [3, 8],
    [3, 8],
  ],
  [
    [4, 2],
    [2, 4],
    [2, 4],
  ],
])
checkReshape('view', (x, shape) => ops.view(x, ...shape), [
  [[], [1], [1]],
  [[6], [3, 2], [3, 2]],
  [[2, 3], [6], [6]],
  [
    [2, 3, 4],
    [-1, 4],
    [6, 4],
  ],
  [[0, 3], [0], [0]],
  [[4, 6], [24], [24]],
  [
    [4, 6],
    [3, 8],
    [3, 8],
  ],
  [[2, 3, 4], [24], [24]],
])
checkReshape('flatten', (x, [start, end]) => ops.flatten(x, start, end), [
  [[], [0, -1], [1]],
  [[6], [0, -1], [6]],
  [[2, 3], [0, -1], [6]],
  [
    [2, 3, 4],
    [1, -1],
    [2, 12],
  ],
  [
    [2, 3, 4],
    [0, 1],
    [6, 4],
  ],
  [[0, 3], [0, -1], [0]],
  [[4, 6], [0, 1], [24]],
  [
    [2, 3, 4],
    [1, 2],
    [2, 12],
  ],
  [
    [2, 2, 2],
    [0, 1],
    [4, 2],
  ],
])
checkReshape('unflatten', (x, [dim, sizes]) => ops.unflatten(x, dim, sizes), [
  [[6], [0, [2, 3]], [2, 3]],
  [[6], [0, [-1, 2]], [3, 2]],
  [
    [2, 6],
    [1, [3, 2]],
    [2, 3, 2],
  ],
  [
    [6, 2],
    [0, [3, 2]],
    [3, 2, 2],
  ],
  [[0], [0, [0, 2]], [0, 2]],
  [
    [4, 6],
    [1, [2, 3]],
    [4, 2, 3],
  ],
  [
    [4, 6],
    [-2, [2, 2]],
    [2, 2, 6],
  ],
  [
    [2, 4],
    [1, [4, 1]],
    [2, 4, 1],
  ],
  [
    [2, 8],
    [1, [2, 4]],
    [2, 2, 4],
  ],
])
checkReshape('squeeze', (x, dims) => ops.squeeze(x, dims ?? undefined), [
  [[1, 3, 1], null, [3]],
  [[1, 3, 1], 0, [3, 1]],
  [[1, 3, 1], [0, -1], [3]],
  [[2, 3], 0, [2, 3]],
  [[1], null, []],
  [[0, 1], null, [0]],
  [[4, 1, 2], 1, [4, 2]],
  [[1, 4, 2], 0, [4, 2]],
  [[4, 2, 1], -1, [4, 2]],
])
checkReshape('unsqueeze', (x, dim) => ops.unsqueeze(x, dim), [
  [[], 0, [1]],
  [[3], 0, [1, 3]],
  [[3], -1, [3, 1]],
  [[2, 3], 1, [2, 1, 3]],
  [[0], 0, [1, 0]],
  [[4, 6], 0, [1, 4, 6]],
  [[4, 6], 2, [4, 6, 1]],
  [[2, 3, 4], -2, [2, 3, 1, 4]],
  [[4, 2], 1, [4, 1, 2]],
])

const orders: Case<number[]>[] = [
  { inputs: [[]], args: [] },
  { inputs: [[5]], args: [0] },
  { inputs: [[2, 3]], args: [1, 0] },
  { inputs: [[2, 3, 4]], args: [2, 0, 1] },
  { inputs: [[2, 3, 4]], args: [0, -1, 1] },
  { inputs: [[4, 6]], args: [1, 0], layout: 'transposed' },
  { inputs: [[4, 6]], args: [1, 0], layout: 'sliced' },
  { inputs: [[0, 3]], args: [1, 0] },
  { inputs: [[2, 3, 2, 2]], args: [3, 1, 0, 2] },
]
checkOp<number[]>('permute', {
  op: ([x], order) => ops.permute(x!, order),
  reference: ([x], order) =>
    permute(
      x!,
      order.map((d) => (d < 0 ? d + order.length : d)),
    ),
  cases: orders,
  integers: ['int64', 'bool'],
})

const swapped = (rank: number, a: number, b: number): number[] => {
  const order = Array.from({ length: rank }, (_, i) => i)
  ;[order[a], order[b]] = [order[b]!, order[a]!]
  return order
}
const pairs: Case<[number, number]>[] = [
  { inputs: [[5]], args: [0, 0] },
  { inputs: [[2, 3]], args: [0, 1] },
  { inputs: [[2, 3, 4]], args: [0, 2] },
  { inputs: [[2, 3, 4]], args: [1, 1] },
  { inputs: [[4, 6]], args: [0, 1], layout: 'transposed' },
  { inputs: [[4, 6]], args: [0, 1], layout: 'sliced' },
  { inputs: [[0, 3]], args: [0, 1] },
  { inputs: [[2, 3, 2, 2]], args: [1, 3] },
]
checkOp<[number, number]>('transpose', {
  op: ([x], [a, b]) => ops.transpose(x!, a, b),
  reference: ([x], [a, b]) => permute(x!, swapped(x!.shape.length, a, b)),
  rows: ['permute'],
  cases: pairs,
})
checkOp<[number, number]>('movedim', {
  op: ([x], [a, b]) => ops.movedim(x!, a, b),
  rows: ['permute'],
  cases: pairs,
  reference: ([x], [a, b]) => {
    const order = x!.shape.map((_, i) => i).filter((i) => i !== a)
    order.splice(b, 0, a)
    return permute(x!, order)
  },
})

checkOp<number[]>('expand', {
  op: ([x], shape) => ops.expand(x!, shape),
  reference: ([x], shape) =>
    build(
      shape.map((size, i) => (size === -1 ? x!.shape[i - shape.length + x!.shape.length]! : size)),
      (index) => get(x!, index),
    ),
  cases: [
    { inputs: [[]], args: [2, 3] },
    { inputs: [[1]], args: [4] },
    { inputs: [[3]], args: [2, 3] },
    { inputs: [[3, 1]], args: [3, 4] },
    { inputs: [[1, 3]], args: [2, -1] },
    { inputs: [[2, 1, 3]], args: [4, 2, 5, 3] },
    { inputs: [[3, 1]], args: [2, 3, 2], layout: 'transposed' },
    { inputs: [[1, 4]], args: [3, 4], layout: 'sliced' },
    { inputs: [[1, 3]], args: [0, 3] },
    { inputs: [[0, 1]], args: [0, 5] },
  ],
})

const sliced = (x: Nd, dim: number, start: number, length: number, step: number): Nd =>
  build(
    x.shape.map((size, i) => (i === dim ? length : size)),
    (index) =>
      get(
        x,
        index.map((at, i) => (i === dim ? start + at * step : at)),
      ),
  )
checkOp<[number, number, number]>('narrow', {
  op: ([x], [dim, start, length]) => ops.narrow(x!, dim, start, length),
  reference: ([x], [dim, start, length]) => sliced(x!, dim, start, length, 1),
  rows: ['slice'],
  cases: [
    { inputs: [[7]], args: [0, 2, 3] },
    { inputs: [[3, 5]], args: [1, 0, 5] },
    { inputs: [[3, 5]], args: [0, 1, 2] },
    { inputs: [[2, 3, 4]], args: [1, 2, 1] },
    { inputs: [[3, 5]], args: [1, 5, 0] },
    { inputs: [[4, 6]], args: [1, 1, 3], layout: 'transposed' },
    { inputs: [[4, 6]], args: [0, 1, 3], layout: 'sliced' },
    { inputs: [[0, 3]], args: [1, 0, 2] },
  ],
})
checkOp<[number, number | null, number | null, number]>('slice', {
  op: ([x], [dim, start, stop, step]) => ops.slice(x!, dim, start, stop, step),
  reference: ([x], [dim, start, stop, step]) => {
    const places = Array.from({ length: x!.shape[dim]! }, (_, i) => i)
      .slice(start ?? 0, stop ?? undefined)
      .filter((_, i) => i % step === 0)
    return build(
      x!.shape.map((size, i) => (i === dim ? places.length : size)),
      (index) =>
        get(
          x!,
          index.map((at, i) => (i === dim ? places[at]! : at)),
        ),
    )
  },
  cases: [
    { inputs: [[7]], args: [0, 1, 6, 2] },
    { inputs: [[7]], args: [0, -4, -1, 1] },
    { inputs: [[3, 5]], args: [1, null, null, 3] },
    { inputs: [[3, 5]], args: [0, 2, 1, 1] },
    { inputs: [[3, 5]], args: [1, 0, 99, 2] },
    { inputs: [[4, 6]], args: [1, 1, 5, 2], layout: 'transposed' },
    { inputs: [[4, 6]], args: [0, 1, 4, 2], layout: 'sliced' },
    { inputs: [[0, 3]], args: [0, 0, 5, 1] },
    { inputs: [[2, 3, 4]], args: [2, -3, null, 2] },
  ],
})
checkOp<[number, number]>('select', {
  op: ([x], [dim, at]) => ops.select(x!, dim, at),
  reference: ([x], [dim, at]) => {
    const i = at < 0 ? at + x!.shape[dim]! : at
    const y = sliced(x!, dim, i, 1, 1)
    return reshape(
      y,
      y.shape.filter((_, j) => j !== dim),
    )
  },
  cases: [
    { inputs: [[7]], args: [0, 2] },
    { inputs: [[3, 5]], args: [1, -1] },
    { inputs: [[3, 5]], args: [0, 0] },
    { inputs: [[2, 3, 4]], args: [1, 1] },
    { inputs: [[4, 6]], args: [1, 2], layout: 'transposed' },
    { inputs: [[4, 6]], args: [0, 3], layout: 'sliced' },
    { inputs: [[0, 3]], args: [1, 2] },
    { inputs: [[4, 3]], args: [0, 2], layout: 'offset' },
  ],
})
checkOp<[number, number, number]>('diagonal', {
  op: ([x], [offset, a, b]) => ops.diagonal(x!, offset, a, b),
  reference: ([x], [offset, a, b]) => {
    const [r, c] = [Math.max(0, -offset), Math.max(0, offset)]
    const length = Math.max(0, Math.min(x!.shape[a]! - r, x!.shape[b]! - c))
    const others = x!.shape.map((_, i) => i).filter((i) => i !== a && i !== b)
    return build([...others.map((i) => x!.shape[i]!), length], (index) => {
      const at: number[] = []
      others.forEach((dim, i) => {
        at[dim] = index[i]!
      })
      at[a] = r + index.at(-1)!
      at[b] = c + index.at(-1)!
      return get(x!, at)
    })
  },
  cases: [
    { inputs: [[3, 3]], args: [0, 0, 1] },
    { inputs: [[3, 5]], args: [2, 0, 1] },
    { inputs: [[5, 3]], args: [-1, 0, 1] },
    { inputs: [[2, 3, 4]], args: [0, 1, 2] },
    { inputs: [[2, 3, 4]], args: [1, 0, 2] },
    { inputs: [[4, 4]], args: [1, 0, 1], layout: 'transposed' },
    { inputs: [[4, 6]], args: [0, 1, 0], layout: 'sliced' },
    { inputs: [[3, 3]], args: [5, 0, 1] },
    { inputs: [[0, 3]], args: [0, 0, 1] },
  ],
})

test('views share memory with their base', () => {
  const x = tensor([1, 2, 3, 4])
  expect(x.reshape([2, 2]).t().dataSync()).toEqual(Float32Array.of(1, 3, 2, 4))
})

test('messages', () => {
  expect(() => zeros([2, 3]).reshape([4])).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: reshape: cannot read 6 elements as [4].
      x [2, 3] float32 has 6 elements.
      The product of the sizes must stay 6; one size may be -1 and is worked out.]
  `)
  expect(() => zeros([2, 3]).permute([0, 0])).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: permute: dims [0, 0] are no order of 2 dimensions.
      x [2, 3] float32
      Name each dimension once.]
  `)
  expect(() => zeros([2, 3]).expand([2, 4])).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: expand: cannot expand to [2, 4]: dim 1 has size 3.
      x [2, 3] float32
      Only sizes of 1 are repeated; name as many dimensions as x has, or more.]
  `)
  expect(() => zeros([2, 3]).transpose(0, 2)).toThrowErrorMatchingInlineSnapshot(
    `
    [ValueError: transpose: dim 2 does not exist.
      x [2, 3]
      Use a dim from -2 to 1.]
  `,
  )
  expect(() => zeros([2, 3]).unflatten(1, [2, 2])).toThrowErrorMatchingInlineSnapshot(
    `[ShapeError: unflatten: dim 1 has size 3, which [2, 2] does not make up. The product must be 3.]`,
  )
  expect(() => zeros([2, 3]).narrow(1, 2, 2)).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: slice: the slice reaches past the end of dim 1.
      x [2, 3] float32 with start 2, length 2, step 1; dim 1 has size 3
      Keep start + (length - 1) * step below 3.]
  `)
  expect(() => zeros([2, 3]).select(0, 2)).toThrowErrorMatchingInlineSnapshot(`
    [IndexError: select: index 2 is out of range for dim 0 of size 2.
      x [2, 3] float32
      Use an index from -2 to 1.]
  `)
  expect(() => zeros([2, 3]).slice(0, 0, 1, 0)).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: slice: step must be 1 or more, got 0. Use flip to go backwards.]`,
  )
})
