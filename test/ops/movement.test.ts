import { expect, test } from 'vitest'
import { zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/movement.js'
import { type Case, checkOp } from '../check.js'
import { build, get, sum } from '../reference.js'

const some: DTypes = ['int64', 'int32', 'uint8', 'bool']
type DTypes = ('int64' | 'int32' | 'uint8' | 'bool')[]
const shapes: Pick<Case, 'inputs' | 'layout'>[] = [
  { inputs: [[5]] },
  { inputs: [[3, 5]] },
  { inputs: [[2, 3, 4]] },
  { inputs: [[4, 6]], layout: 'transposed' },
  { inputs: [[4, 6]], layout: 'sliced' },
  { inputs: [[4, 3]], layout: 'offset' },
  { inputs: [[0, 3]] },
  { inputs: [[1]] },
]
const large = [{ inputs: [[131, 523]] }]

checkOp<number[]>('flip', {
  op: ([x], dims) => ops.flip(x!, dims),
  reference: ([x], dims) =>
    build(x!.shape, (index) =>
      get(
        x!,
        index.map((at, i) => (dims.some((d) => (d + x!.shape.length) % x!.shape.length === i) ? x!.shape[i]! - 1 - at : at)),
      ),
    ),
  cases: [...shapes.map((c) => ({ ...c, args: [-1] })), { inputs: [[3, 5]], args: [0] }, { inputs: [[2, 3, 4]], args: [0, 2] }],
  large: large.map((c) => ({ ...c, args: [1] })),
  integers: some,
})
checkOp<[number, number]>('roll', {
  op: ([x], [shift, dim]) => ops.roll(x!, shift, dim),
  reference: ([x], [shift, dim]) => {
    const d = dim < 0 ? dim + x!.shape.length : dim
    const n = x!.shape[d]!
    return build(x!.shape, (index) =>
      get(
        x!,
        index.map((at, i) => (i === d ? (((at - shift) % n) + n) % n : at)),
      ),
    )
  },
  cases: [
    ...shapes.map((c): Case<[number, number]> => ({ ...c, args: [2, -1] })),
    { inputs: [[3, 5]], args: [-1, 0] },
    { inputs: [[3, 5]], args: [17, 1] },
  ],
  large: large.map((c) => ({ ...c, args: [40, 1] })),
  integers: some,
})
checkOp('rollFlat', {
  op: ([x]) => ops.roll(x!, 2),
  rows: ['roll'],
  reference: ([x]) => ({
    shape: x!.shape,
    data: x!.data.map((_, i) => x!.data[(((i - 2) % x!.data.length) + x!.data.length) % x!.data.length]!),
  }),
  cases: shapes,
})

const matrices: Case<number>[] = [
  { inputs: [[3, 3]], args: 0 },
  { inputs: [[3, 5]], args: 1 },
  { inputs: [[5, 3]], args: -1 },
  { inputs: [[2, 3, 4]], args: 0 },
  { inputs: [[4, 6]], args: 2, layout: 'transposed' },
  { inputs: [[4, 6]], args: -2, layout: 'sliced' },
  { inputs: [[0, 3]], args: 0 },
  { inputs: [[3, 3]], args: 9 },
  { inputs: [[3, 3]], args: -9 },
]
checkOp<number>('tril', {
  op: ([x], k) => ops.tril(x!, k),
  reference: ([x], k) => build(x!.shape, (index) => (index.at(-1)! - index.at(-2)! <= k ? get(x!, index) : 0)),
  cases: matrices,
  large: large.map((c) => ({ ...c, args: 5 })),
  integers: some,
})
checkOp<number>('triu', {
  op: ([x], k) => ops.triu(x!, k),
  reference: ([x], k) => build(x!.shape, (index) => (index.at(-1)! - index.at(-2)! >= k ? get(x!, index) : 0)),
  cases: matrices,
  large: large.map((c) => ({ ...c, args: 5 })),
  integers: some,
})

const counts: Case<number[]>[] = [
  { inputs: [[]], args: [3] },
  { inputs: [[3]], args: [2] },
  { inputs: [[3]], args: [2, 2] },
  { inputs: [[2, 3]], args: [1, 2] },
  { inputs: [[2, 3]], args: [2, 1, 3] },
  { inputs: [[4, 6]], args: [1, 2], layout: 'transposed' },
  { inputs: [[4, 6]], args: [2, 1], layout: 'sliced' },
  { inputs: [[0, 3]], args: [2, 2] },
  { inputs: [[2, 2]], args: [0, 1] },
]
checkOp<number[]>('repeat', {
  op: ([x], n) => ops.repeat(x!, n),
  rows: ['expand'],
  reference: ([x], n) => {
    const own = [...Array<number>(n.length - x!.shape.length).fill(1), ...x!.shape]
    return build(
      own.map((size, i) => size * n[i]!),
      (index) =>
        get(
          { shape: own, data: x!.data },
          index.map((at, i) => at % own[i]!),
        ),
    )
  },
  cases: counts,
})
checkOp<number[]>('tile', {
  op: ([x], n) => ops.tile(x!, n),
  rows: ['expand'],
  reference: ([x], n) => {
    const times = [...Array<number>(Math.max(0, x!.shape.length - n.length)).fill(1), ...n]
    return build(
      x!.shape.map((size, i) => size * times[i]!),
      (index) =>
        get(
          x!,
          index.map((at, i) => at % x!.shape[i]!),
        ),
    )
  },
  cases: [
    [[3], [2]],
    [[2, 3], [2]],
    [
      [2, 3],
      [2, 2],
    ],
    [[2, 3, 2], [2]],
    [
      [1, 3],
      [3, 1],
    ],
    [[4], [1]],
    [
      [2, 2],
      [1, 3],
    ],
    [[3, 1], [4]],
  ].map(([shape, args]) => ({ inputs: [shape!], args: args! })),
})
checkOp<[number, number]>('repeatInterleave', {
  op: ([x], [n, dim]) => ops.repeatInterleave(x!, n, dim),
  rows: ['expand'],
  reference: ([x], [n, dim]) => {
    const d = dim < 0 ? dim + x!.shape.length : dim
    return build(
      x!.shape.map((size, i) => (i === d ? size * n : size)),
      (index) =>
        get(
          x!,
          index.map((at, i) => (i === d ? Math.floor(at / n) : at)),
        ),
    )
  },
  cases: [
    [[3], [2, 0]],
    [
      [2, 3],
      [2, 1],
    ],
    [
      [2, 3],
      [3, 0],
    ],
    [
      [2, 3, 2],
      [2, 1],
    ],
    [
      [1, 3],
      [3, -1],
    ],
    [[4], [1, 0]],
    [
      [2, 2],
      [0, 1],
    ],
    [
      [3, 1],
      [4, 1],
    ],
  ].map(([shape, args]) => ({ inputs: [shape!], args: args as [number, number] })),
})
checkOp('diagEmbed', {
  op: ([x]) => ops.diagEmbed(x!),
  rows: ['pad'],
  reference: ([x]) => build([...x!.shape, x!.shape.at(-1)!], (index) => (index.at(-1) === index.at(-2) ? get(x!, index.slice(0, -1)) : 0)),
  cases: [
    { inputs: [[1]] },
    { inputs: [[4]] },
    { inputs: [[2, 3]] },
    { inputs: [[2, 2, 3]] },
    { inputs: [[4, 6]], layout: 'transposed' },
    { inputs: [[4, 6]], layout: 'sliced' },
    { inputs: [[0, 3]] },
    { inputs: [[3, 1]] },
  ],
})
checkOp('diag', {
  op: ([x]) => ops.diag(x!),
  rows: ['diagonal'],
  cases: [[4], [1], [3, 3], [3, 5], [5, 3], [1, 1], [2, 4], [7]].map((shape) => ({ inputs: [shape] })),
  reference: ([x]) =>
    x!.shape.length === 1
      ? build([x!.shape[0]!, x!.shape[0]!], ([i, j]) => (i === j ? x!.data[i!]! : 0))
      : build([Math.min(...x!.shape)], ([i]) => get(x!, [i!, i!])),
})
checkOp('trace', {
  op: ([x]) => ops.trace(x!),
  rows: ['diagonal'],
  reference: ([x]) => ({ shape: [], data: [sum(Array.from({ length: Math.min(...x!.shape) }, (_, i) => get(x!, [i, i])))] }),
  cases: [
    [3, 3],
    [3, 5],
    [5, 3],
    [1, 1],
    [2, 4],
    [4, 4],
    [2, 2],
    [1, 5],
  ].map((shape, i) => ({ inputs: [shape], ...(i > 5 && { layout: 'transposed' as const }) })),
})

test('messages', () => {
  expect(() => zeros([2]).tril()).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: tril: needs a matrix, or a batch of them.
      x [2] float32
      Reshape it to at least two dimensions.]
  `)
  expect(() => zeros([2]).roll([1, 2], [0])).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: roll: 2 shifts for 1 dims; give one shift a dim.]`,
  )
  expect(() => zeros([2, 3]).repeat([2])).toThrowErrorMatchingInlineSnapshot(
    `[ShapeError: repeat: counts [2] for shape [2, 3]; give a whole number for each dimension, or more of them.]`,
  )
  expect(() => zeros([2, 3]).flip([2])).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: flip: dim 2 does not exist.
      The tensor has 2 dimensions.
      Use a dim from -2 to 1.]
  `)
})
