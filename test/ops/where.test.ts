import { expect, test } from 'vitest'
import { tensor, zeros } from '../../ts/index.js'
import { maskedFill, where } from '../../ts/ops/where.js'
import { checkOp, numbers } from '../check.js'
import { map } from '../reference.js'

const bool = (shape: number[]): { shape: number[]; bool: true } => ({ shape, bool: true })
checkOp('where', {
  op: ([c, a, b]) => where(c!, a!, b!),
  reference: ([c, a, b]) => map((c, a, b) => (c !== 0 ? a : b), c!, a!, b!),
  integers: ['int64', 'int32', 'uint8'],
  cases: [
    { inputs: [bool([]), [], []] },
    { inputs: [bool([7]), [7], [7]] },
    { inputs: [bool([3, 1]), [4], [3, 4]] },
    { inputs: [bool([4]), [3, 4], []] },
    { inputs: [bool([2, 3, 4]), [3, 1], [4]] },
    { inputs: [bool([4, 6]), [4, 6], [4, 6]], layout: 'transposed' },
    { inputs: [bool([4, 6]), [4, 6], [6]], layout: 'sliced' },
    { inputs: [bool([0, 3]), [3], [3]] },
    { inputs: [bool([3, 4]), [3, 4], [3, 4]], layout: 'expanded' },
  ],
  large: [{ inputs: [bool([131, 523]), [131, 523], [523]] }],
})
checkOp<number>('maskedFill', {
  op: ([x, mask], value) => maskedFill(x!, mask!, value),
  reference: ([x, mask], value) => map((v, m) => (m !== 0 ? value : v), x!, mask!),
  rows: ['where_'],
  cases: [
    [[], []],
    [[7], [7]],
    [[3, 4], [4]],
    [
      [3, 4],
      [3, 1],
    ],
    [
      [2, 3, 4],
      [3, 1],
    ],
    [
      [4, 6],
      [4, 6],
    ],
    [[0, 3], [3]],
    [[1], [1]],
  ].map(([x, m], i) => ({ inputs: [x!, bool(m!)], args: i - 3, ...(i === 5 && { layout: 'transposed' as const }) })),
})

test("numbers take the other side's dtype", () => {
  const c = tensor([true, false])
  expect([where(c, tensor(Int32Array.of(1, 2)), 7).dtype, where(c, 1, 2).dtype, where(c, 0.5, tensor(Int32Array.of(1, 2))).dtype]).toEqual([
    'int32',
    'float32',
    'float32',
  ])
})

test('a NaN on the side not taken leaves the gradient clean', () => {
  const x = tensor([0, 1], { requiresGrad: true })
  where(x.gt(0), x.mul(2), 0).sum().backward()
  expect(numbers(x.grad!)).toEqual([0, 2])
})

test('messages', () => {
  expect(() => where(zeros([2]), zeros([2]), 0)).toThrowErrorMatchingInlineSnapshot(
    `[DTypeError: where: the condition is float32, it must be bool. Compare first: condition.ne(0).where(a, b).]`,
  )
  expect(() => where(tensor([true, false]), zeros([3]), 0)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: where: shapes do not broadcast.
      [2] and [3] and []: sizes 2 and 3 meet at dim -1.
      Sizes must be equal or 1, counted from the last dimension; reshape or expand one of them.]
  `)
})
