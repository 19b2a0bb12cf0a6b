import { expect, test } from 'vitest'
import { tensor, zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/compare.js'
import { checkBinary, checkScalar, INTEGERS } from './cases.js'
import { numbers } from '../check.js'

const none = { gradient: false, integers: [...INTEGERS, 'bool' as const] }
checkBinary('eq', ops.eq, (a, b) => Number(a === b), none)
checkBinary('ne', ops.ne, (a, b) => Number(a !== b), none)
checkBinary('lt', ops.lt, (a, b) => Number(a < b), none)
checkBinary('le', ops.le, (a, b) => Number(a <= b), none)
checkBinary('gt', ops.gt, (a, b) => Number(a > b), none)
checkBinary('ge', ops.ge, (a, b) => Number(a >= b), none)
checkBinary('logicalAnd', ops.logicalAnd, (a, b) => Number(a !== 0 && b !== 0), none)
checkBinary('logicalOr', ops.logicalOr, (a, b) => Number(a !== 0 || b !== 0), none)
checkBinary('logicalXor', ops.logicalXor, (a, b) => Number((a !== 0) !== (b !== 0)), none)

const scalar = { gradient: false, integers: INTEGERS, c: 1 }
checkScalar('eqScalar', ops.eq, (x, c) => Number(x === c), scalar)
checkScalar('neScalar', ops.ne, (x, c) => Number(x !== c), scalar)
checkScalar('ltScalar', ops.lt, (x, c) => Number(x < c), scalar)
checkScalar('leScalar', ops.le, (x, c) => Number(x <= c), scalar)
checkScalar('gtScalar', ops.gt, (x, c) => Number(x > c), scalar)
checkScalar('geScalar', ops.ge, (x, c) => Number(x >= c), scalar)

test('NaN equals nothing and is different from everything', () => {
  const x = tensor([NaN, 1])
  expect(numbers(x.eq(x))).toEqual([0, 1])
  expect(numbers(x.ne(x))).toEqual([1, 0])
  expect(numbers(x.lt(2))).toEqual([0, 1])
})

test('isclose, allclose and equal', async () => {
  const [a, b] = [tensor([1, NaN, Infinity, 2]), tensor([1 + 1e-7, NaN, Infinity, 3])]
  expect(numbers(a.isclose(b))).toEqual([1, 0, 1, 0])
  expect(numbers(a.isclose(b, { equalNan: true }))).toEqual([1, 1, 1, 0])
  expect(await a.allclose(b)).toBe(false)
  expect(await tensor([1, 2]).allclose(tensor([1, 2.000001]))).toBe(true)
  expect(await tensor([1, 2]).equal(tensor([1, 2]))).toBe(true)
  expect(await tensor([1, 2]).equal(tensor([[1, 2]]))).toBe(false)
})

test('messages', () => {
  expect(() => zeros([2]).lt(zeros([3]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: lt: shapes do not broadcast.
      [2] and [3]: sizes 2 and 3 meet at dim -1.
      Sizes must be equal or 1, counted from the last dimension; reshape or expand one of them.]
  `)
})
