import { expect, test } from 'vitest'
import { tensor, zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/matmul.js'
import { type Case, checkOp, numbers } from '../check.js'
import { matmul, type Nd, reshape } from '../reference.js'

/** Vectors as the rows and columns that they stand for. */
function product(a: Nd, b: Nd): Nd {
  const left = a.shape.length === 1 ? reshape(a, [1, ...a.shape]) : a
  const right = b.shape.length === 1 ? reshape(b, [...b.shape, 1]) : b
  const y = matmul(left, right)
  const shape = [...y.shape]
  if (b.shape.length === 1) shape.splice(-1, 1)
  if (a.shape.length === 1) shape.splice(b.shape.length === 1 ? -1 : -2, 1)
  return reshape(y, shape)
}
const of = (a: number[], b: number[], layout?: Case['layout']): Case => ({ inputs: [a, b], ...(layout && { layout }) })

checkOp('matmul', {
  op: ([a, b]) => ops.matmul(a!, b!),
  reference: ([a, b]) => product(a!, b!),
  cases: [
    of([2, 3], [3, 4]),
    of([1, 1], [1, 1]),
    of([3], [3]),
    of([3], [3, 2]),
    of([2, 3], [3]),
    of([2, 2, 3], [3, 2]),
    of([2, 2, 3], [2, 3, 2]),
    of([2, 1, 2, 3], [3, 3, 2]),
    of([2, 3], [4, 3, 2]),
    of([3], [2, 3, 2]),
    of([2, 2, 3], [3]),
    of([4, 6], [6, 4], 'transposed'),
    of([2, 6], [6, 4], 'sliced'),
    of([2, 3], [3, 2], 'offset'),
    of([3, 2], [2, 3], 'expanded'),
    of([0, 3], [3, 2]),
    of([2, 0], [0, 3]),
    of([0, 2, 3], [3, 2]),
  ],
  large: [
    of([67, 300], [300, 41]),
    of([128, 128], [128, 128]),
    of([3, 33, 65], [3, 65, 29]),
    of([70, 90], [90, 50], 'transposed'),
    of([300], [300, 17]),
    of([5, 31, 64], [64, 33]),
  ],
  tolerance: { bfloat16: 6e-2 },
})
const pairs: [number[], number[]][] = [
  [
    [2, 3],
    [3, 4],
  ],
  [
    [1, 2],
    [2, 1],
  ],
  [
    [3, 3],
    [3, 3],
  ],
  [
    [4, 1],
    [1, 4],
  ],
  [
    [2, 5],
    [5, 2],
  ],
  [
    [1, 1],
    [1, 3],
  ],
  [
    [0, 2],
    [2, 3],
  ],
  [
    [5, 2],
    [2, 2],
  ],
]
checkOp('mm', {
  op: ([a, b]) => ops.mm(a!, b!),
  reference: ([a, b]) => matmul(a!, b!),
  rows: ['matmul'],
  cases: pairs.map(([a, b]) => of(a, b)),
})
checkOp('bmm', {
  op: ([a, b]) => ops.bmm(a!, b!),
  reference: ([a, b]) => matmul(a!, b!),
  rows: ['matmul'],
  cases: pairs.map(([a, b], i) => of([i % 3, ...a], [i % 3, ...b])),
})
checkOp('mv', {
  op: ([a, b]) => ops.mv(a!, b!),
  reference: ([a, b]) => product(a!, b!),
  rows: ['matmul'],
  cases: [...pairs.map(([a]) => of(a, [a[1]!])), of([7, 3], [3])],
})
checkOp('dot', {
  op: ([a, b]) => ops.dot(a!, b!),
  reference: ([a, b]) => product(a!, b!),
  rows: ['matmul'],
  cases: [1, 2, 3, 5, 8, 0, 13, 33].map((n) => of([n], [n])),
})
checkOp('outer', {
  op: ([a, b]) => ops.outer(a!, b!),
  reference: ([a, b]) => matmul(reshape(a!, [a!.data.length, 1]), reshape(b!, [1, b!.data.length])),
  rows: ['mul'],
  cases: [1, 2, 3, 5, 8, 0, 13, 4].map((n) => of([n], [n === 5 ? 1 : n + 1])),
})

test('integers and promotion', () => {
  const a = tensor(Int32Array.of(1, 2, 3, 4), { shape: [2, 2] })
  expect(numbers(a.cast('float64').matmul(a))).toEqual([7, 10, 15, 22])
})

test('messages', () => {
  expect(() => zeros([2, 3]).matmul(zeros([2, 3]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: matmul: left has 3 columns, right has 2 rows.
      left [2, 3] float32 (... M K), right [2, 3] float32 (... K N)
      Transpose the right operand: a.matmul(b.transpose(-2, -1)).]
  `)
  expect(() => zeros([]).matmul(zeros([2, 3]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: matmul: the left operand is a scalar.
      left [] float32, right [2, 3] float32
      Use a.mul(b) for a product with a number.]
  `)
  expect(() => zeros([2, 2, 3]).matmul(zeros([3, 3, 2]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: matmul: stacks of 2 and 3 matrices do not broadcast.
      left [2, 2, 3] float32, right [3, 3, 2] float32
      Leading sizes must be equal, or 1.]
  `)
  expect(() => zeros([2, 3]).bmm(zeros([3, 2]))).toThrowErrorMatchingInlineSnapshot(
    `[ShapeError: bmm: takes tensors of 3 and 3 dimensions and one batch size, got [2, 3] and [3, 2]. Use matmul, which broadcasts.]`,
  )
})
