import { expect, test } from 'vitest'
import { tensor } from '../../ts/index.js'
import * as ops from '../../ts/ops/pointwise.js'
import { erf } from '../reference.js'
import { checkScalar, checkUnary, INTEGERS } from './cases.js'
import { numbers } from '../check.js'

const evenHalves = (x: number): number => (Math.abs(x % 1) === 0.5 ? 2 * Math.round(x / 2) : Math.round(x))

checkUnary('exp', ops.exp, Math.exp, { integers: INTEGERS })
checkUnary('expm1', ops.expm1, Math.expm1)
checkUnary('exp2', ops.exp2, (x) => 2 ** x, { rows: ['rpow_scalar'] })
checkUnary('log', ops.log, Math.log, { kind: 'positive', integers: INTEGERS })
checkUnary('log1p', ops.log1p, Math.log1p, { kind: 'positive' })
checkUnary('log2', ops.log2, Math.log2, { kind: 'positive' })
checkUnary('log10', ops.log10, Math.log10, { kind: 'positive' })
checkUnary('sin', ops.sin, Math.sin, { integers: INTEGERS })
checkUnary('cos', ops.cos, Math.cos)
checkUnary('tan', ops.tan, Math.tan, { kind: 'unit' })
checkUnary('tanh', ops.tanh, Math.tanh, { rows: ['tanh_grad'] })
checkUnary('atan', ops.atan, Math.atan)
checkUnary('sqrt', ops.sqrt, Math.sqrt, { kind: 'positive', integers: INTEGERS })
checkUnary('rsqrt', ops.rsqrt, (x) => 1 / Math.sqrt(x), { kind: 'positive' })
checkUnary('reciprocal', ops.reciprocal, (x) => 1 / x, { kind: 'positive' })
checkUnary('erf', ops.erf, erf)
checkUnary('neg', ops.neg, (x) => -x, { integers: ['int64', 'int32', 'int8'] })
checkUnary('abs', ops.abs, Math.abs, { integers: INTEGERS })
checkUnary('square', ops.square, (x) => x * x, { integers: INTEGERS })
checkUnary('sign', ops.sign, Math.sign, { integers: INTEGERS })
checkUnary('floor', ops.floor, Math.floor, { integers: INTEGERS })
checkUnary('ceil', ops.ceil, Math.ceil, { integers: INTEGERS })
checkUnary('round', ops.round, evenHalves, { integers: INTEGERS })
checkUnary('trunc', ops.trunc, Math.trunc, { integers: INTEGERS })
checkUnary('frac', ops.frac, (x) => x - Math.trunc(x))
checkScalar('rsub', ops.rsub, (x, c) => c - x, { rows: ['rsub_scalar'], integers: ['int64', 'int32', 'int8'], c: 3 })
checkScalar('rdiv', ops.rdiv, (x, c) => c / x, { rows: ['rdiv_scalar'], kind: 'positive' })
checkScalar('rpow', ops.rpow, (x, c) => c ** x, { rows: ['rpow_scalar'] })
checkUnary(
  'clamp',
  (x) => ops.clamp(x, -0.7, 1.1),
  (x) => Math.min(1.1, Math.max(-0.7, x)),
  { rows: ['clamp_grad'] },
)
checkUnary(
  'clampBelow',
  (x) => ops.clamp(x, -1, null),
  (x) => Math.max(-1, x),
  { rows: ['clamp'], integers: ['int64', 'int32', 'int8'] },
)
checkUnary('isnan', ops.isnan, (x) => Number(Number.isNaN(x)), { gradient: false })
checkUnary('isinf', ops.isinf, (x) => Number(Math.abs(x) === Infinity), { gradient: false })
checkUnary('isfinite', ops.isfinite, (x) => Number(Number.isFinite(x)), { gradient: false })
checkUnary('logicalNot', ops.logicalNot, (x) => Number(x === 0), { gradient: false, integers: [...INTEGERS, 'bool'] })

const special = (dtype: 'float32' | 'float64') => tensor([NaN, Infinity, -Infinity, 0, -0, 1e30, -1e30], { dtype })

test.each(['float32', 'float64'] as const)('special values of %s', (dtype) => {
  const x = special(dtype)
  const of = numbers
  expect(of(x.isnan())).toEqual([1, 0, 0, 0, 0, 0, 0])
  expect(of(x.isinf())).toEqual([0, 1, 1, 0, 0, 0, 0])
  expect(of(x.isfinite())).toEqual([0, 0, 0, 1, 1, 1, 1])
  expect(of(x.exp())).toEqual([NaN, Infinity, 0, 1, 1, Infinity, 0])
  expect(of(x.log()).slice(0, 5)).toEqual([NaN, Infinity, NaN, -Infinity, -Infinity])
  expect(of(x.tanh())).toEqual([NaN, 1, -1, 0, -0, 1, -1])
  expect(of(x.sqrt()).slice(0, 5)).toEqual([NaN, Infinity, NaN, 0, -0])
  expect(of(x.erf())).toEqual([NaN, 1, -1, 0, -0, 1, -1])
  expect(of(x.sign()).map((v) => v + 0)).toEqual([0, 1, -1, 0, 0, 1, -1])
  expect(of(x.clamp(-1, 1))).toEqual([NaN, 1, -1, 0, -0, 1, -1])
})

test('halves round to even', () => {
  expect(numbers(tensor([0.5, 1.5, 2.5, -0.5, -1.5]).round())).toEqual([0, 2, 2, -0, -2])
})

test('messages', () => {
  const gone = tensor([1, 2])
  gone.dispose()
  expect(() => gone.exp()).toThrowErrorMatchingInlineSnapshot(
    `[DisposedError: exp: a tensor was used after it was disposed of (its scope has closed), or comes from another worker. Keep it with keep(t), return it from the scope, or pass it between workers with share(). A .grad is freed by zeroGrad() and by the next backward(): keep p.grad.clone(). A loader frees a batch when it gives the next: keep inputs.clone().]`,
  )
})

test('integers: bounds that are fractions give float32, whole ones keep the dtype', async () => {
  const x = tensor([0, 5], { dtype: 'int32' })
  const clamped = x.clamp(0.5, 2.5)
  expect([clamped.dtype, await clamped.tolist()]).toEqual(['float32', [0.5, 2.5]])
  expect([x.clamp(1, Infinity).dtype, await x.clamp(1, Infinity).tolist()]).toEqual(['float32', [1, 5]])
  expect([x.clamp(1, 3).dtype, await x.clamp(1, 3).tolist()]).toEqual(['int32', [1, 3]])
  expect([x.clamp(null, 3).dtype, await x.clamp(null, 3).tolist()]).toEqual(['int32', [0, 3]])
  // Bounds outside of a dtype bound nothing.
  expect(await tensor([5, 250], { dtype: 'uint8' }).clamp(-3, 300).tolist()).toEqual([5, 250])
  expect(await tensor([-1, 3], { dtype: 'int32' }).exp2().tolist()).toEqual([0.5, 8])
})
