import { expect, test } from 'vitest'
import { tensor, zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/arithmetic.js'
import { checkBinary, checkScalar, INTEGERS } from './cases.js'
import { numbers } from '../check.js'

const remainder = (a: number, b: number): number => a - Math.floor(a / b) * b

checkBinary('add', ops.add, (a, b) => a + b, { integers: [...INTEGERS] })
checkBinary('sub', ops.sub, (a, b) => a - b, { integers: ['int64', 'int32', 'int8'] })
checkBinary('mul', ops.mul, (a, b) => a * b, { integers: [...INTEGERS] })
checkBinary('div', ops.div, (a, b) => a / b, { right: 'positive', integers: [...INTEGERS] })
checkBinary('maximum', ops.maximum, Math.max, { integers: [...INTEGERS] })
checkBinary('minimum', ops.minimum, Math.min, { integers: [...INTEGERS] })
checkBinary('remainder', ops.remainder, remainder, {
  right: 'positive',
  integers: [...INTEGERS],
  second: false,
  tolerance: { float32: 1e-4, bfloat16: 10, float16: 10 },
})
checkBinary('pow', ops.pow, (a, b) => a ** b, { left: 'positive' })
checkBinary('atan2', ops.atan2, Math.atan2)
checkBinary('floorDivide', ops.floorDivide, (a, b) => Math.floor(a / b), {
  right: 'positive',
  integers: [...INTEGERS],
  gradient: false,
  tolerance: { bfloat16: 10, float16: 10 },
})
checkBinary('hypot', ops.hypot, Math.hypot, { left: 'positive' })

checkScalar('addScalar', ops.add, (x, c) => x + c, { integers: INTEGERS, c: 2 })
checkScalar('subScalar', ops.sub, (x, c) => x - c, { integers: ['int64', 'int32', 'int8'], c: 2 })
checkScalar('mulScalar', ops.mul, (x, c) => x * c, { integers: INTEGERS, c: 3 })
checkScalar('mulFraction', ops.mul, (x, c) => x * c, { integers: INTEGERS, c: 1.5 })
checkScalar('divScalar', ops.div, (x, c) => x / c, { integers: INTEGERS, c: 3 })
checkScalar('maximumScalar', ops.maximum, Math.max, { integers: INTEGERS, c: 1 })
checkScalar('minimumScalar', ops.minimum, Math.min, { integers: INTEGERS, c: 1 })
checkScalar('remainderScalar', ops.remainder, remainder, { integers: INTEGERS, c: 3 })
checkScalar('powScalar', ops.pow, (x, c) => x ** c, { kind: 'positive', c: 2.5 })
checkScalar('powSquare', ops.pow, (x, c) => x ** c, { rows: ['pow_scalar'], c: 2, integers: ['int64', 'int32'] })
checkScalar('powInverse', ops.pow, (x, c) => x ** c, { rows: ['pow_scalar'], kind: 'positive', c: -1 })

test('equal elements share the gradient of maximum and minimum', () => {
  for (const op of [ops.maximum, ops.minimum]) {
    const [a, b] = [tensor([1, 2], { requiresGrad: true }), tensor([1, 2], { requiresGrad: true })]
    op(a, b).sum().backward()
    expect([numbers(a.grad!), numbers(b.grad!)]).toEqual([
      [0.5, 0.5],
      [0.5, 0.5],
    ])
  }
})

test('the gradient of pow at 0', () => {
  const [a, b] = [tensor([0, 0, 2], { requiresGrad: true }), tensor([2, 0, 0], { requiresGrad: true })]
  a.pow(b).sum().backward()
  expect(numbers(a.grad!)).toEqual([0, 0, 0])
  expect(numbers(b.grad!).slice(0, 2)).toEqual([0, 0])
  const x = tensor([0, 3], { requiresGrad: true })
  x.pow(0).sum().backward()
  expect(numbers(x.grad!)).toEqual([0, 0])
})

test('dtypes follow promotion, numbers are weak', () => {
  const of = (a: 'float32' | 'float64' | 'int32' | 'int64' | 'uint8' | 'bool' | 'bfloat16' | 'float16', b: number | typeof a) =>
    zeros([1], { dtype: a }).add(typeof b === 'number' ? b : zeros([1], { dtype: b })).dtype
  expect([
    of('int32', 'int64'),
    of('int32', 'float32'),
    of('bfloat16', 'float16'),
    of('float32', 'float64'),
    of('bool', 'uint8'),
    of('int64', 'bfloat16'),
  ]).toEqual(['int64', 'float32', 'float32', 'float64', 'uint8', 'bfloat16'])
  expect([of('int32', 1), of('int32', 0.5), of('bfloat16', 0.5), of('float64', 1), of('uint8', 1)]).toEqual([
    'int32',
    'float32',
    'bfloat16',
    'float64',
    'uint8',
  ])
  const [a, b] = [tensor([1, 2], { requiresGrad: true }), tensor([1, 2], { dtype: 'float64', requiresGrad: true })]
  a.mul(b).sum().backward()
  expect([a.grad!.dtype, b.grad!.dtype]).toEqual(['float32', 'float64'])
})

test('messages', () => {
  expect(() => zeros([2, 3]).add(zeros([2, 4]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: add: shapes do not broadcast.
      [2, 3] and [2, 4]: sizes 3 and 4 meet at dim -1.
      Sizes must be equal or 1, counted from the last dimension; reshape or expand one of them.]
  `)
  expect(() => zeros([2], { requiresGrad: true }).floorDivide(2).sum().backward()).toThrowErrorMatchingInlineSnapshot(
    `[NoGradientError: floorDivide: has no gradient. Use a.div(b).floor(), whose gradient is 0.]`,
  )
})

test('by 0: integers give 0 where their op stays among integers, floats what IEEE says', async () => {
  for (const dtype of ['int32', 'int64', 'uint8', 'int8'] as const) {
    const [a, b] = [tensor([5, 0, 7], { dtype }), tensor([0, 0, 2], { dtype })]
    expect(await a.floorDivide(b).tolist()).toEqual([0, 0, 3])
    expect(await a.remainder(b).tolist()).toEqual([0, 0, 1])
    expect(await a.remainder(0).tolist()).toEqual([0, 0, 0])
    expect(await a.div(b).tolist()).toEqual([Infinity, NaN, 3.5])
  }
  const [a, b] = [tensor([5, 0]), tensor([0, 0])]
  expect(await a.floorDivide(b).tolist()).toEqual([Infinity, NaN])
  expect(await a.remainder(b).tolist()).toEqual([NaN, NaN])
})
