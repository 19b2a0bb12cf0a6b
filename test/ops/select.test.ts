import { expect, test } from 'vitest'
import { tensor, zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/select.js'
import { checkOp, numbers } from '../check.js'
import { broadcast, build, get, type Nd, unravel } from '../reference.js'

const filled = (values: number[], size: number, fill: number): number[] => Array.from({ length: size }, (_, i) => values[i] ?? fill)
const chosen = (x: Nd, mask: Nd): number[] => {
  const values: number[] = []
  build(broadcast(x.shape, mask.shape), (i) => (get(mask, i) !== 0 && values.push(get(x, i)), 0))
  return values
}
type Bounds = { size: number; fill: number }

checkOp<Bounds>('maskedSelect', {
  op: ([x, mask], bounded) => ops.maskedSelect(x!, mask!, bounded),
  reference: ([x, mask], { size, fill }) => ({ shape: [size], data: filled(chosen(x!, mask!), size, fill) }),
  integers: ['int64', 'int32', 'uint8'],
  cases: [
    { inputs: [[7], { shape: [7], bool: true }], args: { size: 5, fill: 0 } },
    { inputs: [[3, 5], { shape: [3, 5], bool: true }], args: { size: 20, fill: 3 } },
    { inputs: [[3, 5], { shape: [5], bool: true }], args: { size: 4, fill: 1 } },
    { inputs: [[3, 1], { shape: [3, 4], bool: true }], args: { size: 6, fill: 0 } },
    { inputs: [[4, 6], { shape: [4, 6], bool: true }], args: { size: 9, fill: 0 }, layout: 'transposed' },
    { inputs: [[4, 6], { shape: [4, 1], bool: true }], args: { size: 9, fill: 0 }, layout: 'sliced' },
    { inputs: [[0, 3], { shape: [3], bool: true }], args: { size: 2, fill: 5 } },
    { inputs: [[], { shape: [3], bool: true }], args: { size: 2, fill: 0 } },
    { inputs: [[5], { shape: [5], bool: true }], args: { size: 0, fill: 0 } },
  ],
})
checkOp<Bounds>('nonzero', {
  op: ([x], bounded) => ops.nonzero(x!.gt(0), bounded),
  gradient: false,
  integers: ['int64', 'int32'],
  reference: ([x], { size, fill }) => {
    const places = x!.data.flatMap((v, i) => (v > 0 ? [unravel(i, x!.shape)] : []))
    return { shape: [size, x!.shape.length], data: Array.from({ length: size }, (_, i) => places[i] ?? x!.shape.map(() => fill)).flat() }
  },
  cases: [
    [[7], 4],
    [[3, 5], 20],
    [[2, 3, 4], 5],
    [[4, 6], 9, 'transposed'],
    [[4, 6], 9, 'sliced'],
    [[0, 3], 2],
    [[1], 1],
    [[5], 0],
  ].map(([shape, size, layout]) => ({
    inputs: [shape as number[]],
    args: { size: size as number, fill: -1 },
    ...(layout && { layout: layout as 'sliced' }),
  })),
})
checkOp<Bounds>('unique', {
  op: ([x], bounded) => ops.unique(x!.mul(2).round(), bounded),
  gradient: false,
  integers: ['int64', 'int32', 'uint8'],
  reference: ([x], { size, fill }) => ({
    shape: [size],
    data: filled(
      [...new Set(x!.data.map((v) => Math.round(2 * v) + 0))].sort((a, b) => a - b),
      size,
      fill,
    ),
  }),
  cases: [
    [[7], 4],
    [[3, 5], 20],
    [[2, 3, 4], 5],
    [[4, 6], 9, 'transposed'],
    [[4, 6], 9, 'sliced'],
    [[0, 3], 2],
    [[1], 1],
    [[5], 0],
  ].map(([shape, size, layout]) => ({
    inputs: [shape as number[]],
    args: { size: size as number, fill: 7 },
    ...(layout && { layout: layout as 'sliced' }),
  })),
})

test('without a size they wait and answer all', async () => {
  const x = tensor(
    [
      [1, 0, 2],
      [0, 3, 1],
    ],
    { requiresGrad: true },
  )
  expect(await (await x.nonzero()).tolist()).toEqual([
    [0, 0],
    [0, 2],
    [1, 1],
    [1, 2],
  ])
  expect(await (await x.unique()).tolist()).toEqual([0, 1, 2, 3])
  const picked = await x.maskedSelect(x.gt(1))
  expect(await picked.tolist()).toEqual([2, 3])
  picked.sum().backward()
  expect(numbers(x.grad!)).toEqual([0, 0, 1, 0, 1, 0])
  expect(await (await zeros([3]).nonzero()).tolist()).toEqual([])
  expect(await (await tensor(5).nonzero()).data()).toHaveLength(0)
})

test('messages', () => {
  expect(() => ops.maskedSelect(zeros([3]), zeros([3]), { size: 1 })).toThrowErrorMatchingInlineSnapshot(`
    [DTypeError: maskedSelect: the mask must be bool.
      mask [3] float32
      Compare it first, as mask.ne(0).]
  `)
  expect(() => ops.nonzero(zeros([3]), { size: -1 })).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: nonzero: size is negative.
      size -1
      Use 0 or more.]
  `)
})
