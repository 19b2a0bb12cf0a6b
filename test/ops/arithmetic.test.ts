import { describe, expect, test } from 'vitest'
import { tensor, ValueError, zeros } from '../../ts/index.js'
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

describe('a number beside integers', () => {
  const x = tensor([5, 7], { dtype: 'int32' })
  const bytes = tensor([5, 250], { dtype: 'uint8' })

  test.each<[string, () => unknown]>([
    ['add', () => x.add(3e9)], ['sub', () => x.sub(-3e9)], ['mul', () => x.mul(2 ** 31)], ['maximum', () => bytes.maximum(300)],
    ['minimum', () => bytes.minimum(-1)], ['remainder', () => bytes.remainder(256)], ['rsub', () => x.rsub(3e9)], ['rpow', () => bytes.rpow(-1)],
    ['pow', () => bytes.pow(300)], ['floorDivide', () => bytes.floorDivide(300)], ['where', () => tensor([true, false]).where(300, bytes)],
    ['where', () => bytes.maskedFill(tensor([true, false]), -1)], ['add', () => tensor([1n]).add(2 ** 63)],
  ])('that their dtype does not hold is refused: %s', (op, call) => {
    expect(call).toThrow(ValueError)
    expect(call).toThrow(new RegExp(`^${op}: .* does not fit u?int`))
  })

  test('says what holds it', () => {
    expect(() => x.add(3e9)).toThrowErrorMatchingInlineSnapshot(`
      [ValueError: add: 3000000000 does not fit int32, which holds -2147483648 to 2147483647.
        Convert the tensor first, x.to('int64'), or give another number.]
    `)
    expect(() => x.add(1e30)).toThrow(/x\.to\('float32'\)/)
  })

  test('at the ends of their range computes; a fraction makes float32', async () => {
    expect(await x.add(2 ** 31 - 8).tolist()).toEqual([2147483645, 2147483647])
    expect(await x.sub(7).add(-(2 ** 31) + 2).tolist()).toEqual([-2147483648, -2147483646])
    expect(await bytes.minimum(255).tolist()).toEqual([5, 250])
    expect(await tensor([1n]).add(3e9).data()).toEqual(BigInt64Array.of(3000000001n))
    expect(await tensor([-1n]).add(-(2 ** 63) + 2048).data()).toEqual(BigInt64Array.of(-9223372036854773761n))
    expect(x.add(0.5).dtype).toBe('float32')
    // A comparison compares the number itself.
    expect(await bytes.lt(300).tolist()).toEqual([true, true])
    expect(await bytes.gt(-1).tolist()).toEqual([true, true])
  })

  test('as a negative exponent is refused, as in PyTorch', async () => {
    for (const dtype of ['int64', 'int32', 'uint8', 'int8', 'bool'] as const) {
      expect(() => tensor([1, 1], { dtype }).pow(-1)).toThrow(ValueError)
    }
    expect(() => x.pow(-2)).toThrowErrorMatchingInlineSnapshot(`
      [ValueError: pow: int32 holds no powers of -2, which are fractions.
        Convert first: x.to('float32').pow(-2).]
    `)
    expect(await tensor([2, 4]).pow(-1).tolist()).toEqual([0.5, 0.25])
    expect(x.pow(-0.5).dtype).toBe('float32')
  })
})
