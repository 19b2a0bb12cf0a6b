import { expect, test } from 'vitest'
import { scope, type Tensor, tensor, zeros } from '../../ts/index.js'
import { ctcDecode, type CtcDecodeOptions } from '../../ts/ops/ctc-decode.js'
import { type Case, checkOp, numbers } from '../check.js'
import { get, type Nd } from '../reference.js'

interface Args extends CtcDecodeOptions {
  steps?: number[]
}

/** Every path, the labels it spells, and the probabilities of all that spell the same; without a beam the best path alone. */
function reference([x]: Nd[], { steps, blank = 0, beamWidth, batchFirst = true }: Args): Nd[] {
  const [n, t, c] = (batchFirst ? x!.shape : [x!.shape[1]!, x!.shape[0]!, x!.shape[2]!]) as [number, number, number]
  const best = Array.from({ length: n }, (_, row) => {
    const count = steps?.[row] ?? t
    const spelt = new Map<string, { labels: number[]; sum: number; best: number }>()
    for (let code = 0; code < c ** count; code++) {
      const path = Array.from({ length: count }, (_, step) => Math.floor(code / c ** step) % c)
      const labels = path.filter((label, step) => label !== blank && label !== path[step - 1])
      const score = path.reduce((sum, label, step) => sum + get(x!, batchFirst ? [row, step, label] : [step, row, label]), 0)
      const key = labels.join()
      const known = spelt.get(key) ?? { labels, sum: 0, best: -Infinity }
      spelt.set(key, { labels, sum: known.sum + Math.exp(score), best: Math.max(known.best, score) })
    }
    const by = beamWidth === undefined ? 'best' : 'sum'
    const { labels, [by]: score } = [...spelt.values()].reduce((a, b) => (b[by] > a[by] ? b : a))
    return { labels, score: beamWidth === undefined ? score : Math.log(score) }
  })
  return [
    { shape: [n, t], data: best.flatMap(({ labels }) => Array.from({ length: t }, (_, i) => labels[i] ?? -1)) },
    { shape: [n], data: best.map(({ labels }) => labels.length) },
    { shape: [n], data: best.map(({ score }) => score) },
  ]
}

const of = (shape: [number, number, number], args: Args = {}, layout?: Case['layout']): Case<Args> => ({
  inputs: [{ shape, values: 'distinct' }], args, ...(layout && { layout }),
})

checkOp<Args>('ctcDecode', {
  op: ([x], { steps, ...options }) => {
    const { labels, lengths, scores } = ctcDecode(x!, steps ? tensor(Int32Array.from(steps)) : null, options)
    return [labels, lengths, scores]
  },
  reference,
  gradient: false,
  cases: [
    of([2, 5, 3]),
    of([2, 5, 3], { beamWidth: 300 }),
    of([3, 4, 4], { blank: 3 }),
    of([3, 4, 4], { blank: 3, beamWidth: 300 }),
    of([3, 5, 3], { steps: [5, 0, 2] }),
    of([3, 5, 3], { steps: [3, 1, 0], beamWidth: 300 }),
    of([5, 2, 3], { batchFirst: false, beamWidth: 300 }),
    of([4, 5, 2], {}, 'transposed'),
    of([4, 5, 2], { beamWidth: 64 }, 'sliced'),
    of([0, 4, 3]),
    of([2, 0, 3], { beamWidth: 2 }),
  ],
})

test('a beam sees that many weak ways make a likely label, the best path does not (Graves 2012, figure 7.4)', () => {
  scope(() => {
    const x = tensor([[[0.6, 0.4], [0.6, 0.4]]], { dtype: 'float64' }).log()
    const { lengths } = ctcDecode(x)
    expect(numbers(lengths)).toEqual([0])
    const { labels, scores } = ctcDecode(x, null, { beamWidth: 2 })
    expect(numbers(labels)).toEqual([1, -1])
    expect(Math.exp(numbers(scores)[0]!)).toBeCloseTo(0.64, 12)
  })
})

test('messages', async () => {
  const x: Tensor = zeros([2, 4, 3])
  expect(() => ctcDecode(x, null, { beamWidth: 0 })).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: ctcDecode: beamWidth is a number of prefixes, 1 or more, got 0.
      Leave it out for the best class of each step.]
  `)
  expect(() => ctcDecode(x.select(0, 0))).toThrow(/needs log-probabilities \[N, T, C\]/)
  expect(() => ctcDecode(x, null, { blank: 3 })).toThrow(/the blank 3 is no class/)
  await expect(ctcDecode(x, tensor(Int32Array.of(4, 5))).lengths.data()).rejects.toThrow(/inputLengths says 5 for row 1/)
})
