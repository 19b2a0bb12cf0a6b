import { expect, test } from 'vitest'
import { zeros } from '../../ts/index.js'
import { layerNorm, rmsNorm } from '../../ts/ops/layer-norm.js'
import { type Case, checkOp } from '../check.js'
import { build, get, sum } from '../reference.js'
import { normalised } from './norms.js'

interface Args {
  dims: number
  eps: number
}
const of = (x: number[], dims: number, params: number, layout?: Case['layout'], eps = 1e-5): Case<Args> => ({
  inputs: [x, ...Array.from({ length: params }, () => x.slice(-dims))],
  args: { dims, eps },
  ...(layout && { layout }),
})
const cases = [
  of([5, 3], 1, 2),
  of([4], 1, 2),
  of([2, 4], 1, 1),
  of([2, 4], 1, 0),
  of([2, 3, 2], 2, 2),
  of([2, 2, 3, 2], 3, 2),
  of([4, 6], 1, 2, 'transposed'),
  of([4, 6], 2, 0, 'sliced'),
  of([3, 2], 1, 2, 'offset', 0.1),
  of([0, 3], 1, 2),
  of([2, 3, 4], 1, 2),
]
const tolerance = { float32: 1e-4, bfloat16: 0.15, float16: 3e-2 }
checkOp<Args>('layerNorm', {
  op: ([x, weight = null, bias = null], { dims, eps }) => layerNorm(x!, x!.shape.slice(-dims), { weight, bias, eps }),
  rows: ['layer_norm_grad'],
  tolerance,
  cases,
  large: [of([131, 523], 1, 2), of([9, 7, 5, 33], 2, 2)],
  reference: (inputs, { dims, eps }) =>
    normalised(
      inputs,
      eps,
      (i) => i.slice(0, -dims).join(),
      (i) => i.slice(-dims).reduce((flat, v, d) => flat * inputs[0]!.shape.at(d - dims)! + v, 0),
    ),
})
checkOp<Args>('rmsNorm', {
  op: ([x, weight = null], { dims, eps }) => rmsNorm(x!, x!.shape.slice(-dims), { weight, eps }),
  rows: ['mean', 'rsqrt'],
  tolerance,
  cases: cases
    .map((c) => ({ ...c, inputs: c.inputs.slice(0, 2) }))
    .filter((c, i, all) => all.findIndex((d) => JSON.stringify(d) === JSON.stringify(c)) === i),
  reference: ([x, weight], { dims, eps }) =>
    build(x!.shape, (index) => {
      const inner = x!.shape.slice(-dims)
      const values = build(inner, (place) => get(x!, [...index.slice(0, -dims), ...place]) ** 2).data
      return (get(x!, index) / Math.sqrt(sum(values) / values.length + eps)) * (weight ? get(weight, index) : 1)
    }),
})

test('messages', () => {
  expect(() => layerNorm(zeros([2, 3]), [4])).toThrowErrorMatchingInlineSnapshot(
    `[ShapeError: layerNorm: the normalised shape [4] is not the end of the input's [2, 3].]`,
  )
  expect(() => layerNorm(zeros([2, 3]), 3, { weight: zeros([2]) })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: layerNorm: weight must have the shape [3], the normalised end of x's shape.
      x [2, 3] float32, weight [2] float32
      Make the layer for this many features.]
  `)
})
