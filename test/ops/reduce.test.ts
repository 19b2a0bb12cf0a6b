import { expect, test } from 'vitest'
import { tensor, zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/reduce.js'
import { type Case, checkOp, numbers } from '../check.js'
import { axes, fold, type Nd, reshape, sum } from '../reference.js'
import type { Kind } from '../values.js'
import { INTEGERS } from './cases.js'

interface Args {
  dims?: number[]
  keepdim?: boolean
}

function cases(values: Kind, empty = true): Case<Args>[] {
  const of = (shape: number[], args: Args, layout?: Case['layout']): Case<Args> => ({
    inputs: [{ shape, values }],
    args,
    ...(layout && { layout }),
  })
  return [
    of([], {}),
    of([7], {}),
    of([3, 5], { dims: [1] }),
    of([3, 5], { dims: [0], keepdim: true }),
    of([2, 3, 4], { dims: [0, 2] }),
    of([2, 3, 4], { dims: [-2] }),
    of([4, 6], { dims: [1] }, 'transposed'),
    of([4, 6], { dims: [0] }, 'sliced'),
    of([3, 4], { dims: [1] }, 'offset'),
    of([2, 3, 4], { keepdim: true }),
    of([0, 3], { dims: [1] }),
    ...(empty ? [of([0, 3], { dims: [0] }), of([2, 0], {})] : []),
  ]
}
const large = (values: Kind): Case<Args>[] => [
  { inputs: [{ shape: [131, 523], values }], args: {} },
  { inputs: [{ shape: [131, 523], values }], args: { dims: [0] } },
  { inputs: [{ shape: [131, 523], values }], args: { dims: [1] } },
]

const product = (values: number[]): number => values.reduce((a, b) => a * b, 1)

checkOp<Args>('sum', {
  op: ([x], { dims, keepdim = false }) => ops.sum(x!, dims, { keepdim }),
  reference: ([x], { dims, keepdim = false }) => fold(x!, dims, keepdim, sum),
  cases: cases('normal'),
  large: large('normal'),
  integers: [...INTEGERS, 'bool'],
})
checkOp<Args>('mean', {
  op: ([x], { dims, keepdim = false }) => ops.mean(x!, dims, { keepdim }),
  reference: ([x], { dims, keepdim = false }) => fold(x!, dims, keepdim, (v) => sum(v) / v.length),
  cases: cases('normal'),
  large: large('normal'),
})
checkOp<Args>('prod', {
  op: ([x], { dims, keepdim = false }) => ops.prod(x!, dims, { keepdim }),
  reference: ([x], { dims, keepdim = false }) => fold(x!, dims, keepdim, product),
  cases: cases('positive'),
  large: [{ inputs: [{ shape: [523, 7], values: 'positive' }], args: { dims: [1] } }],
  integers: ['int64', 'int32'],
})
checkOp<Args>('amax', {
  op: ([x], { dims, keepdim = false }) => ops.amax(x!, dims, { keepdim }),
  reference: ([x], { dims, keepdim = false }) => fold(x!, dims, keepdim, (v) => Math.max(...v)),
  cases: cases('distinct', false),
  large: large('normal').slice(1),
  integers: INTEGERS,
})
checkOp<Args>('amin', {
  op: ([x], { dims, keepdim = false }) => ops.amin(x!, dims, { keepdim }),
  reference: ([x], { dims, keepdim = false }) => fold(x!, dims, keepdim, (v) => Math.min(...v)),
  cases: cases('distinct', false),
  large: large('normal').slice(1),
  integers: INTEGERS,
})
checkOp<Args>('any', {
  op: ([x], { dims, keepdim = false }) => ops.any(x!.gt(1), dims, { keepdim }),
  reference: ([x], { dims, keepdim = false }) => fold(x!, dims, keepdim, (v) => Number(v.some((e) => e > 1))),
  cases: cases('normal'),
  gradient: false,
  integers: INTEGERS,
})
checkOp<Args>('all', {
  op: ([x], { dims, keepdim = false }) => ops.all(x!.lt(1), dims, { keepdim }),
  reference: ([x], { dims, keepdim = false }) => fold(x!, dims, keepdim, (v) => Number(v.every((e) => e < 1))),
  cases: cases('normal'),
  gradient: false,
  integers: INTEGERS,
})
checkOp<Args>('countNonzero', {
  op: ([x], { dims }) => ops.countNonzero(x!, dims),
  reference: ([x], { dims }) => fold(x!, dims, false, (v) => v.filter((e) => e !== 0).length),
  cases: cases('normal'),
  rows: ['ne_scalar'],
  gradient: false,
  integers: INTEGERS,
})

const place =
  (best: (a: number, b: number) => boolean) =>
  (v: number[]): number =>
    v.reduce((at, e, i) => (best(e, v[at]!) ? i : at), 0)
const alongDim =
  (f: (v: number[]) => number) =>
  ([x]: Nd[], { dim, keepdim = false }: { dim?: number; keepdim?: boolean }): Nd =>
    dim === undefined || x!.shape.length === 0 ? { shape: [], data: [f(x!.data)] } : fold(x!, [dim], keepdim, f)
const placeCases: Case<{ dim?: number; keepdim?: boolean }>[] = [
  { inputs: [[]], args: { dim: 0 } },
  { inputs: [[7]], args: {} },
  { inputs: [[7]], args: { dim: 0 } },
  { inputs: [[3, 5]], args: { dim: 1 } },
  { inputs: [[3, 5]], args: { dim: -2, keepdim: true } },
  { inputs: [[4, 6]], args: { dim: 1 }, layout: 'transposed' },
  { inputs: [[4, 6]], args: {}, layout: 'sliced' },
  { inputs: [[2, 3, 4]], args: { dim: 1 } },
  { inputs: [[0, 3]], args: { dim: 1 } },
]
checkOp('argmax', {
  op: ([x], { dim, keepdim = false }) => ops.argmax(x!, dim, { keepdim }),
  reference: alongDim(place((a, b) => a > b)),
  cases: placeCases,
  gradient: false,
  integers: INTEGERS,
  tolerance: { bfloat16: 0 },
})
checkOp('argmin', {
  op: ([x], { dim, keepdim = false }) => ops.argmin(x!, dim, { keepdim }),
  reference: alongDim(place((a, b) => a < b)),
  cases: placeCases,
  gradient: false,
  integers: INTEGERS,
})

const maxCases: Case<Args & { dim: number }>[] = [
  { inputs: [[5]], args: { dim: 0 } },
  { inputs: [[3, 5]], args: { dim: 1 } },
  { inputs: [[3, 5]], args: { dim: 0, keepdim: true } },
  { inputs: [[2, 3, 4]], args: { dim: 1 } },
  { inputs: [[4, 6]], args: { dim: 1 }, layout: 'transposed' },
  { inputs: [[4, 6]], args: { dim: 0 }, layout: 'sliced' },
  { inputs: [[0, 3]], args: { dim: 1 } },
  { inputs: [[2, 3, 4]], args: { dim: -1 } },
]
checkOp('max', {
  op: ([x], { dim, keepdim = false }) => {
    const { values, indices } = ops.max(x!, dim, { keepdim })
    return [values, indices]
  },
  reference: ([x], { dim, keepdim = false }) => [
    fold(x!, [dim], keepdim, (v) => Math.max(...v)),
    fold(
      x!,
      [dim],
      keepdim,
      place((a, b) => a > b),
    ),
  ],
  cases: maxCases,
  rows: ['argmax', 'gather'],
})
checkOp('min', {
  op: ([x], { dim, keepdim = false }) => {
    const { values, indices } = ops.min(x!, dim, { keepdim })
    return [values, indices]
  },
  reference: ([x], { dim, keepdim = false }) => [
    fold(x!, [dim], keepdim, (v) => Math.min(...v)),
    fold(
      x!,
      [dim],
      keepdim,
      place((a, b) => a < b),
    ),
  ],
  cases: maxCases,
  rows: ['argmin', 'gather'],
})

checkOp<number[]>('sumTo', {
  op: ([x], shape) => ops.sumTo(x!, shape),
  reference: ([x], shape) => {
    const lead = x!.shape.length - shape.length
    return reshape(
      fold(
        x!,
        axes(undefined, x!.shape.length).filter((i) => i < lead || shape[i - lead] === 1),
        true,
        sum,
      ),
      shape,
    )
  },
  rows: ['sum'],
  cases: [
    { inputs: [[2, 3]], args: [3] },
    { inputs: [[2, 3]], args: [1, 3] },
    { inputs: [[2, 3]], args: [2, 1] },
    { inputs: [[2, 3, 4]], args: [3, 1] },
    { inputs: [[2, 3, 4]], args: [1, 1, 1] },
    { inputs: [[5]], args: [1] },
    { inputs: [[2, 3]], args: [1], layout: 'transposed' },
    { inputs: [[0, 3]], args: [3] },
    { inputs: [[4, 2, 3]], args: [2, 1] },
  ],
})

test('the product of elements with zeros has exact gradients', () => {
  const x = tensor(
    [
      [2, 0, 3],
      [0, 0, 5],
      [1, 2, 3],
    ],
    { requiresGrad: true },
  )
  x.prod([1]).sum().backward()
  expect(numbers(x.grad!)).toEqual([0, 6, 0, 0, 0, 0, 6, 3, 2])
})

test('equal extremes share the gradient, max along a dim gives it to the first', () => {
  const x = tensor([3, 1, 3], { requiresGrad: true })
  x.amax().backward()
  expect(numbers(x.grad!)).toEqual([0.5, 0, 0.5])
  x.grad = null
  x.max(0).values.backward()
  expect(numbers(x.grad!)).toEqual([1, 0, 0])
})

test('NaN wins, and dtypes are those of PyTorch', () => {
  const x = tensor([1, NaN, 3])
  expect([x.amax().itemSync(), x.amin().itemSync(), x.argmax().itemSync()]).toEqual([NaN, NaN, 1])
  expect([
    zeros([2], { dtype: 'int32' }).sum().dtype,
    zeros([2], { dtype: 'uint8' }).amax().dtype,
    x.argmax().dtype,
    x.any().dtype,
  ]).toEqual(['int64', 'uint8', 'int32', 'bool'])
  expect([zeros([0]).sum().itemSync(), zeros([0]).prod().itemSync(), zeros([0]).mean().itemSync()]).toEqual([0, 1, NaN])
})

test('messages', () => {
  expect(() => zeros([2, 3]).sum([2])).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: sum: dim 2 does not exist.
      The tensor has 2 dimensions.
      Use a dim from -2 to 1.]
  `)
  expect(() => zeros([2, 3]).sum([0, 0])).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: sum: dim 0 is named twice.
      dims [0, 0] of a tensor with 2 dimensions.
      Name each dimension once.]
  `)
  expect(() => zeros([2], { dtype: 'int32' }).mean()).toThrowErrorMatchingInlineSnapshot(`
    [DTypeError: mean: a mean of integers has no dtype to be in.
      x [2] int32
      Convert it first, as x.to('float32').mean().]
  `)
  expect(() => zeros([0]).amax()).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: amax: no elements have no largest or smallest.
      x [0] float32: dim 0 is empty
      Reduce over dimensions that are not empty.]
  `)
})
