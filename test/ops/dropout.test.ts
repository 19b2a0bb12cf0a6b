import { describe, expect, test } from 'vitest'
import { Generator, ones, randn, zeros } from '../../ts/index.js'
import { dropout } from '../../ts/ops/dropout.js'
import { type Case, checkOp, numbers } from '../check.js'

const cases: Case<number>[] = [
  { inputs: [[]], args: 0.5 },
  { inputs: [[37]], args: 0.5 },
  { inputs: [[3, 5]], args: 0.2 },
  { inputs: [[2, 3, 4]], args: 0.9 },
  { inputs: [[4, 6]], args: 0.5, layout: 'transposed' },
  { inputs: [[4, 6]], args: 0.3, layout: 'sliced' },
  { inputs: [[0, 3]], args: 0.5 },
  { inputs: [[5]], args: 1 },
  { inputs: [[5]], args: 0 },
]
/**
 * The reference is the mask that the same key gives to ones, times x: what is checked is that op and gradient use one mask, at every dtype
 * and layout.
 */
checkOp<number>('dropout', {
  op: ([x], p) => dropout(x!, p, true, new Generator(7)),
  cases,
  large: [{ inputs: [[131, 523]], args: 0.4 }],
  reference: ([x], p) => {
    const mask = dropout(ones(x!.shape, { dtype: 'float64' }), p, true, new Generator(7)).dataSync()
    return { shape: x!.shape, data: x!.data.map((v, i) => v * Number(mask[i])) }
  },
})

describe('the mask', () => {
  test('keeps 1 - p of the elements, scaled by 1 / (1 - p)', () => {
    for (const p of [0.1, 0.5, 0.8]) {
      const y = numbers(dropout(ones([100_000]), p, true, new Generator(1)))
      expect([...new Set(y)].sort()).toEqual([0, Math.fround(1 / (1 - p))])
      // Five standard deviations of a binomial.
      expect(Math.abs(y.filter((v) => v !== 0).length / 1e5 - (1 - p))).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / 1e5))
    }
  })
  test('differs from call to call, and is the same for the same seed', () => {
    const generator = new Generator(3)
    const [a, b] = [dropout(ones([64]), 0.5, true, generator).dataSync(), dropout(ones([64]), 0.5, true, generator).dataSync()]
    expect(a).not.toEqual(b)
    const again = new Generator(3)
    expect([dropout(ones([64]), 0.5, true, again).dataSync(), dropout(ones([64]), 0.5, true, again).dataSync()]).toEqual([a, b])
  })
  test('evaluation and p = 0 give x itself, p = 1 zeros', () => {
    const x = randn([5])
    expect([dropout(x, 0.5, false), dropout(x, 0)]).toEqual([x, x])
    expect(numbers(dropout(x, 1)).map(Math.abs)).toEqual([0, 0, 0, 0, 0])
  })
})

test('messages', () => {
  expect(() => dropout(zeros([2]), 1.5)).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: dropout: p is a probability from 0 to 1, got 1.5.]`,
  )
  expect(() => dropout(zeros([2], { dtype: 'int32' }), 0.5)).toThrowErrorMatchingInlineSnapshot(`
    [DTypeError: dropout: needs a floating dtype.
      x [2] int32
      Convert it with .to('float32').]
  `)
})
