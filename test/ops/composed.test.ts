import { expect, test } from 'vitest'
import { tensor, zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/composed.js'
import { type Case, checkOp, numbers, shapeOf } from '../check.js'
import { fold, map, matmul, sum } from '../reference.js'
import { binaryCases, checkBinary, checkUnary } from './cases.js'

const three: Case[] = binaryCases('normal', 'positive').map((c) => ({
  ...c,
  inputs: [...c.inputs, { shape: shapeOf(c.inputs[1]!), values: 'positive' as const }],
}))
checkBinary(
  'lerp',
  (a, b) => ops.lerp(a, b, 0.3),
  (a, b) => a + 0.3 * (b - a),
)
checkOp('lerpTensor', {
  op: ([a, b, w]) => ops.lerp(a!, b!, w!),
  reference: ([a, b, w]) => map((a, b, w) => a + w * (b - a), a!, b!, w!),
  cases: three,
})
checkOp('addcmul', {
  op: ([x, a, b]) => ops.addcmul(x!, a!, b!, 0.5),
  reference: ([x, a, b]) => map((x, a, b) => x + 0.5 * a * b, x!, a!, b!),
  cases: three,
})
checkOp('addcdiv', {
  op: ([x, a, b]) => ops.addcdiv(x!, a!, b!, 0.5),
  reference: ([x, a, b]) => map((x, a, b) => x + (0.5 * a) / b, x!, a!, b!),
  cases: three,
})
checkOp('addmm', {
  op: ([x, a, b]) => ops.addmm(x!, a!, b!, { alpha: 0.5, beta: 2 }),
  reference: ([x, a, b]) => map((x, p) => 2 * x + 0.5 * p, x!, matmul(a!, b!)),
  cases: [
    [2, 3, 4],
    [1, 1, 1],
    [3, 2, 3],
    [4, 5, 1],
    [1, 4, 2],
    [0, 2, 3],
    [2, 0, 3],
    [3, 3, 3],
  ].map(([n, k, m], i) => ({ inputs: [i % 2 ? [m!] : [n!, m!], [n!, k!], [k!, m!]] })),
})
checkBinary('logaddexp', ops.logaddexp, (a, b) => Math.max(a, b) + Math.log1p(Math.exp(-Math.abs(a - b))))
checkUnary('asin', ops.asin, Math.asin, { kind: 'unit' })
checkUnary('acos', ops.acos, Math.acos, { kind: 'unit' })
checkUnary('sinh', ops.sinh, Math.sinh)
checkUnary('cosh', ops.cosh, Math.cosh)
checkUnary(
  'logit',
  (x) => ops.logit(x.mul(0.4)),
  (x) => Math.log((0.4 * x) / (1 - 0.4 * x)),
  { kind: 'positive' },
)
checkUnary(
  'logitBounded',
  (x) => ops.logit(x, 0.2),
  (x) => {
    const p = Math.min(0.8, Math.max(0.2, x))
    return Math.log(p / (1 - p))
  },
)
checkUnary(
  'nanToNum',
  (x) => ops.nanToNum(x),
  (x) => x,
)
checkBinary('xlogy', ops.xlogy, (x, y) => x * Math.log(y), { right: 'positive' })
checkUnary('deg2rad', ops.deg2rad, (x) => (x * Math.PI) / 180)
checkUnary('rad2deg', ops.rad2deg, (x) => (x * 180) / Math.PI)
const rows: Case[] = [[3, 4], [1, 1], [2, 3, 4], [5], [4, 6], [4, 6], [0, 3], [3, 1]].map((shape, i) => ({
  inputs: [shape, shape],
  ...(i === 4 && { layout: 'transposed' as const }),
  ...(i === 5 && { layout: 'sliced' as const }),
}))
checkOp('normalize', {
  op: ([x]) => ops.normalize(x!),
  reference: ([x]) =>
    map(
      (v, n) => v / Math.max(n, 1e-12),
      x!,
      fold(x!, [-1], true, (v) => Math.hypot(...v)),
    ),
  cases: rows.map((c) => ({ ...c, inputs: c.inputs.slice(0, 1) })),
})
checkOp('cosineSimilarity', {
  op: ([a, b]) => ops.cosineSimilarity(a!, b!),
  cases: rows,
  reference: ([a, b]) =>
    map(
      (p, n, m) => p / (Math.max(n, 1e-8) * Math.max(m, 1e-8)),
      fold(
        map((x, y) => x * y, a!, b!),
        [-1],
        false,
        sum,
      ),
      fold(a!, [-1], false, (v) => Math.hypot(...v)),
      fold(b!, [-1], false, (v) => Math.hypot(...v)),
    ),
})

test('infinities and NaN', () => {
  const of = numbers
  expect(of(tensor([-Infinity, Infinity]).logaddexp(tensor([-Infinity, Infinity])))).toEqual([-Infinity, Infinity])
  expect(of(tensor([NaN, Infinity, -Infinity]).nanToNum({ nan: 1, posinf: 2, neginf: 3 }))).toEqual([1, 2, 3])
  expect(of(tensor([0, 0]).xlogy(tensor([0, NaN])))).toEqual([0, NaN])
})

test('messages', () => {
  expect(() => zeros([2]).lerp(zeros([3]), 0.5)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: sub: shapes do not broadcast.
      [3] and [2]: sizes 3 and 2 meet at dim -1.
      Sizes must be equal or 1, counted from the last dimension; reshape or expand one of them.]
  `)
})
