import { expect, test } from 'vitest'
import { DTypeError, quantizedLinear, ShapeError, tensor, ValueError, zeros } from '../../ts/index.js'
import { numbers } from '../check.js'

/** Whole numbers from `low` up to `high`, the same in every run. */
const whole = (n: number, low: number, high: number): number[] => Array.from({ length: n }, (_, i) => low + ((i * 7919 + 13) % (high - low + 1)))

test.each([
  [1, 1, 1], [2, 3, 4], [5, 33, 17], [14, 64, 32], [1, 129, 65], [40, 70, 50],
])('%i rows of %i features to %i: the sums are exact', (rows, features, outputs) => {
  const [xs, ws] = [whole(rows * features, 0, 255), whole(outputs * features, -128, 127)]
  const scales = whole(outputs, 1, 9).map((v) => v / 64)
  const bias = whole(outputs, -20, 20).map((v) => v / 8)
  const x = tensor(xs, { shape: [rows, features], dtype: 'uint8' })
  const weight = tensor(ws, { shape: [outputs, features], dtype: 'int8' })
  const y = quantizedLinear(x, weight, tensor(scales), { xScale: 0.25, xZeroPoint: 7, bias: tensor(bias), activation: 'relu' })
  const want = Array.from({ length: rows * outputs }, (_, i) => {
    const [r, o] = [Math.floor(i / outputs), i % outputs]
    let sum = 0
    for (let k = 0; k < features; k++) sum += (xs[r * features + k]! - 7) * ws[o * features + k]!
    return Math.max(0, sum * 0.25 * scales[o]! + bias[o]!)
  })
  expect([y.dtype, y.shape]).toEqual(['float32', [rows, outputs]])
  numbers(y).forEach((value, i) => expect(Math.abs(value - want[i]!)).toBeLessThanOrEqual(1e-6 * Math.max(1, Math.abs(want[i]!))))
})

test('stacks, strides, no bias, no zero point', () => {
  const [x, weight] = [tensor(whole(24, 0, 255), { shape: [2, 3, 4], dtype: 'uint8' }), tensor(whole(20, -128, 127), { shape: [4, 5], dtype: 'int8' })]
  const scale = tensor([1, 1, 1, 1, 1])
  const y = quantizedLinear(x, weight.t(), scale, { xScale: 1 })
  expect(y.shape).toEqual([2, 3, 5])
  expect(numbers(y)).toEqual(numbers(x.double().reshape([6, 4]).matmul(weight.double())))
})

test('messages', () => {
  const [x, weight, scale] = [zeros([2, 3], { dtype: 'uint8' }), zeros([4, 3], { dtype: 'int8' }), zeros([4])]
  expect(() => quantizedLinear(zeros([2, 3]), weight, scale, { xScale: 1 })).toThrow(DTypeError)
  expect(() => quantizedLinear(x, weight, zeros([3]), { xScale: 1 })).toThrow(ShapeError)
  expect(() => quantizedLinear(x, weight, scale, { xScale: 0 })).toThrow(ValueError)
  expect(() => quantizedLinear(x, weight, scale, { xScale: 1, xZeroPoint: 300 })).toThrow(ValueError)
  expect(() => quantizedLinear(zeros([2, 3]), weight, scale, { xScale: 1 })).toThrowErrorMatchingInlineSnapshot(`
    [DTypeError: quantizedLinear: x must be uint8.
      x [2, 3] float32
      Convert it with .to('uint8').]
  `)
  expect(() => quantizedLinear(x, weight, scale, { xScale: 0 })).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: quantizedLinear: the scale of x must be a positive number.
      x_scale 0
      Use (max - min) / 255 of the values that x stands for.]
  `)
})
