import { expect, test } from 'vitest'
import { tensor, zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/statistics.js'
import { type Case, checkOp, numbers } from '../check.js'
import { fold, sum } from '../reference.js'

interface Args {
  dims?: number[]
  keepdim?: boolean
  correction?: number
  p?: number
}

const variance = (v: number[], correction: number): number => {
  const mean = sum(v) / v.length
  return sum(v.map((e) => (e - mean) ** 2)) / Math.max(0, v.length - correction)
}
const base: Case<Args>[] = [
  { inputs: [[7]], args: {} },
  { inputs: [[3, 5]], args: { dims: [1] } },
  { inputs: [[3, 5]], args: { dims: [0], keepdim: true } },
  { inputs: [[2, 3, 4]], args: { dims: [0, 2] } },
  { inputs: [[4, 6]], args: { dims: [1] }, layout: 'transposed' },
  { inputs: [[4, 6]], args: { dims: [0] }, layout: 'sliced' },
  { inputs: [[2, 3, 4]], args: { dims: [-1] } },
  { inputs: [[0, 3]], args: { dims: [1] } },
]
const large: Case<Args>[] = [{ inputs: [[131, 523]], args: { dims: [1] } }]
const corrected = [...base, { inputs: [[3, 5]], args: { dims: [1], correction: 0 } }]

checkOp<Args>('var', {
  op: ([x], { dims, keepdim = false, correction = 1 }) => ops.var(x!, dims, { keepdim, correction }),
  reference: ([x], { dims, keepdim = false, correction = 1 }) => fold(x!, dims, keepdim, (v) => variance(v, correction)),
  cases: corrected,
  large,
})
checkOp<Args>('std', {
  op: ([x], { dims, keepdim = false, correction = 1 }) => ops.std(x!, dims, { keepdim, correction }),
  reference: ([x], { dims, keepdim = false, correction = 1 }) => fold(x!, dims, keepdim, (v) => Math.sqrt(variance(v, correction))),
  cases: corrected,
  large,
})
checkOp<Args>('logsumexp', {
  op: ([x], { dims, keepdim = false }) => ops.logsumexp(x!, dims, { keepdim }),
  reference: ([x], { dims, keepdim = false }) =>
    fold(x!, dims, keepdim, (v) => {
      const m = Math.max(...v)
      return m + Math.log(sum(v.map((e) => Math.exp(e - m))))
    }),
  cases: [...base, { inputs: [{ shape: [3, 5], values: 'large' }], args: { dims: [1] } }],
  large,
})
const pNorm = (v: number[], p: number): number => {
  const a = v.map(Math.abs)
  return p === Infinity
    ? Math.max(...a)
    : p === -Infinity
      ? Math.min(...a)
      : p === 0
        ? a.filter((e) => e > 0).length
        : sum(a.map((e) => e ** p)) ** (1 / p)
}
for (const p of [2, 1, 3, 0.5, Infinity, -Infinity]) {
  checkOp<Args>(p === 2 ? 'norm' : `norm${p}`, {
    op: ([x], { dims, keepdim = false }) => ops.norm(x!, p, dims, { keepdim }),
    reference: ([x], { dims, keepdim = false }) => fold(x!, dims, keepdim, (v) => pNorm(v, p)),
    cases: base,
    large: p === 2 ? large : [],
  })
}
checkOp<Args>('normZero', {
  op: ([x], { dims, keepdim = false }) => ops.norm(x!, 0, dims, { keepdim }),
  reference: ([x], { dims, keepdim = false }) => fold(x!, dims, keepdim, (v) => pNorm(v, 0)),
  cases: base,
  gradient: false,
})
checkOp('dist', {
  op: ([a, b]) => ops.dist(a!, b!),
  reference: ([a, b]) => ({ shape: [], data: [Math.hypot(...a!.data.map((e, i) => e - b!.data[i]!))] }),
  cases: [[3], [2, 3], [2, 3, 2], [1], [4, 6], [5, 1], [2, 2], [7]].map((shape, i) => ({
    inputs: [shape, shape],
    ...(i % 2 === 1 && { layout: 'transposed' as const }),
  })),
})

test('the gradient of a norm at 0 is 0', () => {
  for (const p of [2, 3]) {
    const x = zeros([3], { requiresGrad: true })
    x.norm(p).backward()
    expect(numbers(x.grad!)).toEqual([0, 0, 0])
  }
})

test('logsumexp of infinities', () => {
  expect(tensor([-Infinity, -Infinity]).logsumexp().itemSync()).toBe(-Infinity)
  expect(tensor([Infinity, 1]).logsumexp().itemSync()).toBe(Infinity)
  expect(tensor([1000, 1000]).logsumexp().itemSync()).toBeCloseTo(1000 + Math.LN2, 3)
})

test('one value has no unbiased variance', () => {
  expect(tensor([3]).var().itemSync()).toBeNaN()
  expect(tensor([3]).var(null, { correction: 0 }).itemSync()).toBe(0)
})

test('messages', () => {
  expect(() => zeros([2, 3]).var([5])).toThrowErrorMatchingInlineSnapshot(
    `
    [ValueError: var: dim 5 does not exist.
      x [2, 3]
      Use a dim from -2 to 1.]
  `,
  )
})
