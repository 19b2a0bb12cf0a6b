import { expect, test } from 'vitest'
import { tensor, zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/gather.js'
import { type Case, checkOp, numbers } from '../check.js'
import { build, get, type Nd, numel } from '../reference.js'

const at = (index: readonly number[], dim: number, value: number): number[] => index.map((v, i) => (i === dim ? value : v))
const front = (dim: number, x: Nd): number => (dim < 0 ? dim + x.shape.length : dim)

checkOp<number>('gather', {
  op: ([x, index], dim) => ops.gather(x!, dim, index!),
  reference: ([x, index], dim) => build(index!.shape, (i) => get(x!, at(i, front(dim, x!), get(index!, i)))),
  rows: ['scatter_add'],
  cases: [
    { inputs: [[5], { shape: [7], below: 5 }], args: 0 },
    { inputs: [[3, 5], { shape: [3, 2], below: 5 }], args: 1 },
    { inputs: [[3, 5], { shape: [4, 5], below: 3 }], args: 0 },
    { inputs: [[3, 5], { shape: [2, 9], below: 5 }], args: -1 },
    { inputs: [[2, 3, 4], { shape: [2, 5, 4], below: 3 }], args: 1 },
    { inputs: [[4, 6], { shape: [4, 3], below: 6 }], args: 1, layout: 'transposed' },
    { inputs: [[4, 6], { shape: [2, 6], below: 4 }], args: 0, layout: 'sliced' },
    { inputs: [[3, 5], { shape: [0, 5], below: 3 }], args: 0 },
  ],
  large: [{ inputs: [[131, 523], { shape: [131, 400], below: 523 }], args: 1 }],
  integers: ['int64', 'int32', 'uint8'],
})

/** x with source put, or added, where the index says. */
function scattered(x: Nd, index: Nd, source: Nd, dim: number, add: boolean): Nd {
  const y = { shape: x.shape, data: [...x.data] }
  build(index.shape, (i) => {
    const place = at(i, front(dim, x), get(index, i)).reduce((flat, v, d) => flat * x.shape[d]! + v, 0)
    return (y.data[place] = get(source, i) + (add ? y.data[place]! : 0))
  })
  return y
}
/** One index a line, so that none repeats: with repeats the gradient of a scatter is not defined. */
const single = (shape: number[]): { shape: number[]; below: number } => ({ shape, below: 1 })
const once: Case<number>[] = [
  { inputs: [[5], single([1]), [1]], args: 0 },
  { inputs: [[3, 5], single([3, 1]), [3, 1]], args: 1 },
  { inputs: [[3, 5], single([1, 5]), [1, 5]], args: 0 },
  { inputs: [[3, 5], single([1, 2]), [1, 4]], args: 0 },
  { inputs: [[2, 3, 4], single([2, 1, 4]), [2, 1, 4]], args: 1 },
  { inputs: [[4, 6], single([4, 1]), [4, 1]], args: -1, layout: 'transposed' },
  { inputs: [[4, 6], single([1, 6]), [1, 6]], args: 0, layout: 'sliced' },
  { inputs: [[3, 5], single([0, 5]), [0, 5]], args: 0 },
]
checkOp<number>('scatter', {
  op: ([x, index, source], dim) => ops.scatter(x!, dim, index!, source!),
  reference: ([x, index, source], dim) => scattered(x!, index!, source!, dim, false),
  cases: once,
  rows: ['gather'],
})
checkOp<number>('scatterAdd', {
  op: ([x, index, source], dim) => ops.scatterAdd(x!, dim, index!, source!),
  reference: ([x, index, source], dim) => scattered(x!, index!, source!, dim, true),
  rows: ['gather'],
  cases: [
    { inputs: [[5], { shape: [7], below: 5 }, [7]], args: 0 },
    { inputs: [[3, 5], { shape: [3, 2], below: 5 }, [3, 2]], args: 1 },
    { inputs: [[3, 5], { shape: [4, 5], below: 3 }, [4, 5]], args: 0 },
    { inputs: [[3, 5], { shape: [2, 9], below: 5 }, [3, 9]], args: -1 },
    { inputs: [[2, 3, 4], { shape: [2, 5, 4], below: 3 }, [2, 5, 4]], args: 1 },
    { inputs: [[4, 6], { shape: [4, 3], below: 6 }, [4, 3]], args: 1, layout: 'transposed' },
    { inputs: [[4, 6], { shape: [2, 6], below: 4 }, [2, 6]], args: 0, layout: 'sliced' },
    { inputs: [[3, 5], { shape: [0, 5], below: 3 }, [0, 5]], args: 0 },
  ],
  large: [{ inputs: [[131, 523], { shape: [131, 400], below: 523 }, [131, 400]], args: 1 }],
  integers: ['int64', 'int32'],
})

const selects: Case<number>[] = [
  { inputs: [[5], { shape: [7], below: 5 }], args: 0 },
  { inputs: [[3, 5], { shape: [2], below: 5 }], args: 1 },
  { inputs: [[3, 5], { shape: [4], below: 3 }], args: 0 },
  { inputs: [[3, 5], { shape: [], below: 5 }], args: -1 },
  { inputs: [[2, 3, 4], { shape: [5], below: 3 }], args: 1 },
  { inputs: [[4, 6], { shape: [3], below: 6 }], args: 1, layout: 'transposed' },
  { inputs: [[4, 6], { shape: [2], below: 4 }], args: 0, layout: 'sliced' },
  { inputs: [[3, 5], { shape: [0], below: 3 }], args: 0 },
]
checkOp<number>('indexSelect', {
  op: ([x, index], dim) => ops.indexSelect(x!, dim, index!),
  rows: ['index_select_grad'],
  cases: selects,
  large: [{ inputs: [[131, 523], { shape: [300], below: 131 }], args: 0 }],
  integers: ['int64', 'int32', 'uint8', 'bool'],
  reference: ([x, index], dim) =>
    build(
      x!.shape.map((size, i) => (i === front(dim, x!) ? index!.data.length : size)),
      (i) => get(x!, at(i, front(dim, x!), index!.data[i[front(dim, x!)]!]!)),
    ),
})
checkOp<number>('indexAdd', {
  op: ([x, index, source], dim) => ops.indexAdd(x!, dim, index!, source!),
  rows: ['index_select_grad'],
  reference: ([x, index, source], dim) => {
    const y = { shape: x!.shape, data: [...x!.data] }
    build(
      source!.shape,
      (i) => (y.data[at(i, dim, index!.data[i[dim]!]!).reduce((flat, v, d) => flat * x!.shape[d]! + v, 0)]! += get(source!, i)),
    )
    return y
  },
  cases: [
    { inputs: [[5], { shape: [7], below: 5 }, [7]], args: 0 },
    { inputs: [[3, 5], { shape: [2], below: 5 }, [3, 2]], args: 1 },
    { inputs: [[3, 5], { shape: [4], below: 3 }, [4, 5]], args: 0 },
    { inputs: [[2, 3, 4], { shape: [5], below: 3 }, [2, 5, 4]], args: 1 },
    { inputs: [[4, 6], { shape: [3], below: 6 }, [4, 3]], args: 1, layout: 'transposed' },
    { inputs: [[4, 6], { shape: [2], below: 4 }, [2, 6]], args: 0, layout: 'sliced' },
    { inputs: [[3, 5], { shape: [0], below: 3 }, [0, 5]], args: 0 },
    { inputs: [[1, 2], { shape: [4], below: 1 }, [4, 2]], args: 0 },
  ],
})
checkOp('take', {
  op: ([x, index]) => ops.take(x!, index!),
  rows: ['index_select'],
  reference: ([x, index]) => ({ shape: index!.shape, data: index!.data.map((i) => x!.data[i]!) }),
  cases: [
    [[5], [3]],
    [
      [3, 5],
      [2, 2],
    ],
    [[2, 3, 4], [7]],
    [[4, 6], []],
    [
      [4, 6],
      [5, 1],
    ],
    [[1], [4]],
    [[3, 3], [0]],
    [
      [2, 2],
      [2, 2, 2],
    ],
  ].map(([shape, index], i) => ({
    inputs: [shape!, { shape: index!, below: numel(shape!) }],
    ...(i === 4 && { layout: 'transposed' as const }),
  })),
})
checkOp<number>('oneHot', {
  op: ([index], classes) => ops.oneHot(index!, classes),
  reference: ([index], classes) => build([...index!.shape, classes], (i) => Number(i.at(-1) === get(index!, i.slice(0, -1)))),
  gradient: false,
  cases: [
    [[], 3],
    [[4], 5],
    [[4], 3],
    [[2, 3], 4],
    [[0], 3],
    [[1], 1],
    [[2, 2, 2], 2],
    [[7], 10],
  ].map(([shape, args]) => ({ inputs: [{ shape: shape as number[], below: args as number }], args: args as number })),
})

checkOp<number>('sequenceMask', {
  op: ([lengths], steps) => ops.sequenceMask(lengths!, steps),
  reference: ([lengths], steps) => build([lengths!.shape[0]!, steps], ([row, t]) => Number(t! < get(lengths!, [row!]))),
  gradient: false,
  cases: [[4, 5], [1, 1], [3, 0], [0, 4], [2, 30], [5, 2], [7, 3], [300, 7]].map(([rows, steps]) => ({ inputs: [{ shape: [rows!], below: steps! + 1 }], args: steps! })),
})

test('lengths that do not fit are refused, their values late', async () => {
  await expect(tensor(Int32Array.of(3, 4)).sequenceMask(3).data()).rejects.toThrow(/length 4 of row 1 does not fit/)
  await expect(tensor(Int32Array.of(-1)).sequenceMask(3).data()).rejects.toMatchObject({ code: 'ERR_INDEX' })
  expect(() => zeros([2]).sequenceMask(3)).toThrow(/^sequenceMask: lengths must be int32 \[N\]/)
  expect(() => tensor([[1]], { dtype: 'int32' }).sequenceMask(3)).toThrow(/^sequenceMask: lengths must be int32 \[N\]/)
})

test('of repeated indices the last source stays', () => {
  const y = zeros([3]).scatter(0, tensor(Int32Array.of(1, 1, 1)), tensor([4, 5, 6]))
  expect(numbers(y)).toEqual([0, 6, 0])
  expect(numbers(zeros([3]).scatter(0, tensor(Int32Array.of(0, 2)), 9))).toEqual([9, 0, 9])
})

test.each([-1, 3])('index %i of a dimension of 3 is a late IndexError', async (bad) => {
  const index = tensor(Int32Array.of(0, bad))
  const x = zeros([3])
  await expect(x.gather(0, index).data()).rejects.toMatchObject({ code: 'ERR_INDEX', op: 'gather' })
  await expect(x.indexSelect(0, index).data()).rejects.toMatchObject({ code: 'ERR_INDEX' })
  await expect(x.scatter(0, index, 1).data()).rejects.toMatchObject({ code: 'ERR_INDEX' })
  await expect(x.scatterAdd(0, index, zeros([2])).data()).rejects.toMatchObject({ code: 'ERR_INDEX' })
  await expect(index.oneHot(3).data()).rejects.toMatchObject({ code: 'ERR_INDEX' })
})

test('messages', () => {
  expect(() => zeros([3]).gather(0, zeros([2]))).toThrowErrorMatchingInlineSnapshot(`
    [DTypeError: gather: index must be int32 or int64.
      index [2] float32
      Convert it with .to('int32').]
  `)
  expect(() => zeros([3, 4]).gather(0, tensor(Int32Array.of(1)))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: gather: x has 2 dimensions, the index 1.
      x [3, 4] float32, index [1] int32
      They must have the same number; use indexSelect for a vector of indices.]
  `)
  expect(() => zeros([3]).indexSelect(1, tensor(Int32Array.of(1)))).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: indexSelect: dim 1 does not exist.
      The tensor has 1 dimensions.
      Use a dim from -1 to 0.]
  `)
})

test('scatter writes no number that integers do not hold', async () => {
  const [x, index] = [tensor([1, 2], { dtype: 'int32' }), tensor([0], { dtype: 'int32' })]
  expect(() => x.scatter(0, index, 0.5)).toThrow(/^scatter: 0\.5 is no int32\.\n  Convert the tensor first, x\.to\('float32'\)/)
  expect(() => x.scatter(0, index, 3e9)).toThrow(/^scatter: 3000000000 does not fit int32.*\n.*x\.to\('int64'\)/)
  expect(await x.scatter(0, index, -5).tolist()).toEqual([-5, 2])
})
