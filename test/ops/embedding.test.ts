import { expect, test } from 'vitest'
import { tensor, zeros } from '../../ts/index.js'
import { embedding } from '../../ts/ops/embedding.js'
import { type Case, checkOp, numbers } from '../check.js'
import { build, get } from '../reference.js'

type Args = { paddingIdx?: number }
const of = (weight: number[], ids: number[], layout?: Case['layout']): Case<Args> => ({
  inputs: [weight, { shape: ids, below: Math.max(1, weight[0]!) }],
  args: {},
  ...(layout && { layout }),
})
checkOp<Args>('embedding', {
  op: ([weight, ids], args) => embedding(weight!, ids!, args),
  reference: ([weight, ids]) => build([...ids!.shape, weight!.shape[1]!], (i) => get(weight!, [get(ids!, i.slice(0, -1)), i.at(-1)!])),
  rows: ['embedding_grad'],
  cases: [
    of([5, 3], [4]),
    of([5, 3], [2, 3]),
    of([5, 1], []),
    of([1, 4], [3]),
    of([4, 6], [7], 'transposed'),
    of([4, 6], [2, 2], 'sliced'),
    of([5, 3], [0]),
    of([5, 3], [2, 2, 2]),
    of([3, 0], [2]),
  ],
  large: [of([300, 65], [40, 30])],
  tolerance: { bfloat16: 8e-2, float16: 1e-2 },
})

test.each([1, -2])('the row of paddingIdx %i gets no gradient, nor does its gradient', (paddingIdx) => {
  const weight = tensor(
    [
      [1, 2],
      [3, 4],
      [5, 6],
    ],
    { requiresGrad: true },
  )
  const ids = tensor(Int32Array.of(1, 0, 1, 2))
  embedding(weight, ids, { paddingIdx }).sum().backward()
  expect(numbers(weight.grad!)).toEqual([1, 1, 0, 0, 1, 1])
})

test.each([-1, 3])('id %i of 3 rows is a late IndexError', async (id) => {
  await expect(embedding(zeros([3, 2]), tensor(Int32Array.of(id))).data()).rejects.toMatchObject({ code: 'ERR_INDEX', op: 'embedding' })
})

test('messages', () => {
  expect(() => embedding(zeros([3, 2]), zeros([2]))).toThrowErrorMatchingInlineSnapshot(`
    [DTypeError: embedding: ids must be int32 or int64.
      ids [2] float32
      Convert it with .to('int32').]
  `)
  expect(() => embedding(zeros([3]), tensor(Int32Array.of(1)))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: embedding: the weight must be [rows, features].
      weight [3] float32
      Reshape it to two dimensions.]
  `)
  expect(() => embedding(zeros([3, 2]), tensor(Int32Array.of(1)), { paddingIdx: 3 })).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: embedding: paddingIdx 3 is no row of a weight with 3 rows.]`,
  )
})
