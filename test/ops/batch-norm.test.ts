import { expect, test } from 'vitest'
import { full, tensor, zeros } from '../../ts/index.js'
import { batchNorm } from '../../ts/ops/batch-norm.js'
import { type Case, checkOp, numbers } from '../check.js'
import { map, type Nd } from '../reference.js'
import { normalised } from './norms.js'

const of = (x: number[], params: number, layout?: Case['layout'], eps = 1e-5): Case<{ eps: number }> => ({
  inputs: [x, ...Array.from({ length: params }, () => [x.at(-1)!])],
  args: { eps },
  ...(layout && { layout }),
})
checkOp<{ eps: number }>('batchNorm', {
  op: ([x, weight = null, bias = null], { eps }) => batchNorm(x!, { weight, bias, training: true, eps }),
  rows: ['batch_norm_grad'],
  reference: (inputs, { eps }) =>
    normalised(
      inputs,
      eps,
      (i) => String(i.at(-1)),
      (i) => i.at(-1)!,
    ),
  cases: [
    of([5, 3], 2),
    of([2, 1], 2),
    of([4, 2], 1),
    of([4, 2], 0),
    of([2, 3, 2], 2),
    of([2, 2, 3, 2], 2),
    of([4, 6], 2, 'transposed'),
    of([4, 6], 2, 'sliced'),
    of([3, 2], 2, 'offset', 0.1),
    of([2, 2, 2, 1], 2),
    of([3, 0], 2),
  ],
  large: [of([8, 9, 9, 33], 2), of([300, 64], 2), of([4, 17, 3], 2)],
  tolerance: { float32: 1e-4, bfloat16: 0.15, float16: 3e-2 },
})

const act = (y: Nd): Nd => map((v) => Math.max(v, 0), y)
checkOp<{ eps: number }>('batchNormRelu', {
  op: ([x, weight = null, bias = null], { eps }) => batchNorm(x!, { weight, bias, training: true, eps, activation: 'relu' }),
  rows: ['batch_norm_grad'],
  reference: (inputs, { eps }) => act(normalised(inputs, eps, (i) => String(i.at(-1)), (i) => i.at(-1)!)),
  cases: [of([5, 3], 2), of([4, 2], 1), of([4, 2], 0), of([2, 3, 2], 2), of([2, 2, 3, 2], 2), of([4, 6], 2, 'transposed'), of([4, 6], 2, 'sliced'), of([3, 0], 2)],
  large: [of([8, 9, 9, 33], 2), of([300, 64], 2)],
  tolerance: { float32: 1e-4, bfloat16: 0.15, float16: 3e-2 },
})

checkOp<{ eps: number }>('batchNormResidual', {
  op: ([x, residual, weight = null, bias = null], { eps }) => batchNorm(x!, { weight, bias, training: true, eps, activation: 'relu', residual: residual! }),
  rows: ['batch_norm_grad'],
  reference: ([x, residual, ...rest], { eps }) => act(map((y, r) => y + r, normalised([x!, ...rest], eps, (i) => String(i.at(-1)), (i) => i.at(-1)!), residual!)),
  cases: [[5, 3], [4, 2], [2, 3, 2], [2, 2, 3, 2], [4, 6], [3, 4], [3, 0], [6, 1]].map((shape, i) => ({
    inputs: [shape, shape, ...(i === 1 ? [] : [[shape.at(-1)!], [shape.at(-1)!]])],
    args: { eps: 1e-5 },
    ...(i > 3 && i < 6 && { layout: 'transposed' as const }),
  })),
  large: [{ inputs: [[8, 9, 9, 33], [8, 9, 9, 33], [33], [33]], args: { eps: 1e-5 } }],
  tolerance: { float32: 1e-4, bfloat16: 0.15, float16: 3e-2 },
})

checkOp('batchNormEvaluationResidual', {
  op: ([x, residual, weight, bias, mean, variance]) =>
    batchNorm(x!, { weight: weight!, bias: bias!, runningMean: mean!, runningVar: variance!, eps: 1e-3, residual: residual!, activation: 'relu' }),
  rows: ['batch_norm_fixed'],
  reference: ([x, residual, weight, bias, mean, variance]) =>
    act(map((x, r, w, b, m, v) => ((x - m) / Math.sqrt(v + 1e-3)) * w + b + r, x!, residual!, weight!, bias!, mean!, variance!)),
  cases: [[5, 3], [1, 1], [4, 2], [2, 3, 2], [2, 2, 3, 2], [4, 6], [0, 3], [3, 4]].map((shape, i) => ({
    inputs: [shape, shape, [shape.at(-1)!], [shape.at(-1)!], [shape.at(-1)!], { shape: [shape.at(-1)!], values: 'positive' as const }],
    ...(i > 5 && { layout: 'transposed' as const }),
  })),
  tolerance: { bfloat16: 0.15, float16: 3e-2 },
})

checkOp('batchNormEvaluation', {
  op: ([x, weight, bias, mean, variance]) =>
    batchNorm(x!, { weight: weight!, bias: bias!, runningMean: mean!, runningVar: variance!, eps: 1e-3 }),
  rows: ['batch_norm_fixed'],
  reference: ([x, weight, bias, mean, variance]) =>
    map((x, w, b, m, v) => ((x - m) / Math.sqrt(v + 1e-3)) * w + b, x!, weight!, bias!, mean!, variance!),
  cases: [
    [5, 3],
    [1, 1],
    [4, 2],
    [2, 3, 2],
    [2, 2, 3, 2],
    [4, 6],
    [0, 3],
    [3, 4],
  ].map((shape, i) => ({
    inputs: [shape, [shape.at(-1)!], [shape.at(-1)!], [shape.at(-1)!], { shape: [shape.at(-1)!], values: 'positive' as const }],
    ...(i > 5 && { layout: 'transposed' as const }),
  })),
  tolerance: { bfloat16: 0.15, float16: 2e-2 },
})

test.each([0.1, null])('running statistics, momentum %s', (momentum) => {
  const [runningMean, runningVar, numBatches] = [
    zeros([2], { dtype: 'float64' }),
    full([2], 1, { dtype: 'float64' }),
    zeros([], { dtype: 'int64' }),
  ]
  const batches = [
    [1, 2, 3, 5, 8, 13],
    [0, 1, 1, 0, 4, -2],
  ]
  const want: Nd[] = [
    { shape: [2], data: [0, 0] },
    { shape: [2], data: [1, 1] },
  ]
  batches.forEach((values, n) => {
    batchNorm(tensor(values, { shape: [3, 2], dtype: 'float64' }), { runningMean, runningVar, numBatches, training: true, momentum })
    const rate = momentum ?? 1 / (n + 1)
    for (const c of [0, 1]) {
      const own = values.filter((_, i) => i % 2 === c)
      const mean = (own[0]! + own[1]! + own[2]!) / 3
      const unbiased = own.reduce((s, v) => s + (v - mean) ** 2, 0) / 2
      want[0]!.data[c]! += rate * (mean - want[0]!.data[c]!)
      want[1]!.data[c]! += rate * (unbiased - want[1]!.data[c]!)
    }
  })
  expect(numbers(runningMean).map((v) => v.toFixed(9))).toEqual(want[0]!.data.map((v) => v.toFixed(9)))
  expect(numbers(runningVar).map((v) => v.toFixed(9))).toEqual(want[1]!.data.map((v) => v.toFixed(9)))
  expect(numBatches.itemSync()).toBe(2)
})

test('messages', () => {
  expect(() => batchNorm(zeros([2, 3]))).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: batchNorm: evaluation needs runningMean and runningVar. Pass training: true to use the batch itself.]`,
  )
  expect(() => batchNorm(zeros([1, 3]), { training: true })).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: batchNorm: one value a channel has no variance, got [1, 3]. Use a larger batch in training.]`,
  )
  expect(() => batchNorm(zeros([2, 3]), { training: true, weight: zeros([2]) })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: batchNorm: weight must have the shape [3], one a channel, the last dimension of x.
      x [2, 3] float32, weight [2] float32
      Make the layer for this many features.]
  `)
  expect(() => batchNorm(zeros([2, 3]), { training: true, residual: zeros([3]) })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: batchNorm: the residual must have x's shape and dtype.
      x [2, 3] float32, residual [3] float32
      Add another with y.add(residual), which broadcasts.]
  `)
  expect(() => batchNorm(zeros([2, 3]), { runningMean: zeros([2]), runningVar: zeros([3]) })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: batchNormFixed: mean must have the shape [3], one a channel, the last dimension of x.
      x [2, 3] float32, mean [2] float32
      Make the layer for this many features.]
  `)
  expect(() => batchNorm(zeros([2, 3]), { training: true, activation: 'gelu' as 'relu' })).toThrowErrorMatchingInlineSnapshot(`[ValueError: batchNorm: activation is 'none' or 'relu', got 'gelu'. Call others on the result.]`)
  expect(() =>
    batchNorm(zeros([2, 3]), { training: true, runningMean: zeros([3]), runningVar: zeros([3]) }),
  ).toThrowErrorMatchingInlineSnapshot(`[ValueError: batchNorm: running statistics come with numBatches, an int64 scalar.]`)
})
