import { describe, expect, test } from 'vitest'
import { IndexError, scope, type Tensor, tensor, zeros } from '../../ts/index.js'
import { ctcLoss, type CtcLossOptions } from '../../ts/ops/ctc-loss.js'
import { type Case, checkOp, numbers } from '../check.js'
import { get, type Nd, sum } from '../reference.js'

interface Args extends CtcLossOptions {
  steps?: number[]
  labels?: number[]
}

/** Probabilities of the ways to have come to each of blank, label, blank, label, ..., blank, step by step and not as logarithms. */
function reference([logProbs, targets]: Nd[], { steps, labels, blank = 0, reduction = 'mean', batchFirst = true }: Args): Nd {
  const [n, t] = batchFirst ? logProbs!.shape : [logProbs!.shape[1]!, logProbs!.shape[0]!]
  const counts = Array.from({ length: n! }, (_, row) => labels?.[row] ?? targets!.shape[1]!)
  const losses = counts.map((count, row) => {
    const states = Array.from({ length: 2 * count + 1 }, (_, s) => (s % 2 === 0 ? blank : get(targets!, [row, (s - 1) / 2])))
    // Before the first step one is in front of the first blank.
    let ways = states.map(() => 0)
    for (let step = 0; step < (steps?.[row] ?? t!); step++) {
      const before = (s: number): number => (step === 0 ? Number(s === -1) : (ways[s] ?? 0))
      ways = states.map((c, s) => {
        const leap = step === 0 ? s === 1 : c !== blank && c !== states[s - 2]
        const come = before(s) + before(s - 1) + (leap ? before(step === 0 ? -1 : s - 2) : 0)
        return come * Math.exp(get(logProbs!, batchFirst ? [row, step, c] : [step, row, c]))
      })
    }
    return -Math.log((ways.at(-1) ?? 0) + (ways.at(-2) ?? 0))
  })
  if (reduction === 'none') return { shape: [n!], data: losses }
  if (reduction === 'sum') return { shape: [], data: [sum(losses)] }
  return { shape: [], data: [sum(losses.map((loss, row) => loss / Math.max(1, counts[row]!))) / n!] }
}

/** Labels 0 .. C - 2, the blank being C - 1 unless it is named. */
const of = (shape: [number, number, number], most: number, args: Args = {}, layout?: Case['layout']): Case<Args> => ({
  inputs: [shape, { shape: [args.batchFirst === false ? shape[1] : shape[0], most], below: shape[2] - 1 }],
  args: { blank: shape[2] - 1, ...args },
  ...(layout && { layout }),
})
const int32 = (values: number[] | undefined): Tensor | null => (values === undefined ? null : tensor(Int32Array.from(values)))
const op = ([logProbs, targets]: Tensor[], { steps, labels, ...options }: Args): Tensor =>
  ctcLoss(logProbs!, targets!, int32(steps), int32(labels), options)

checkOp<Args>('ctcLoss', {
  op,
  reference,
  second: 'refused',
  cases: [
    of([2, 7, 5], 3),
    of([1, 3, 2], 1),
    of([3, 6, 4], 2, { reduction: 'sum' }),
    of([3, 6, 4], 2, { reduction: 'none' }),
    of([3, 8, 4], 3, { steps: [8, 6, 7], labels: [3, 2, 0] }),
    of([3, 8, 4], 3, { steps: [8, 6, 7], labels: [1, 0, 2], reduction: 'none' }),
    of([7, 2, 5], 3, { batchFirst: false }),
    of([2, 4, 3], 0),
    of([4, 7, 6], 2, {}, 'transposed'),
    of([4, 7, 6], 2, {}, 'sliced'),
    of([0, 4, 3], 1, { reduction: 'sum' }),
  ],
  large: [of([17, 61, 29], 12), of([5, 130, 12], 40, { reduction: 'sum' })],
})

const labels = (...rows: number[][]): Tensor => tensor(rows, { dtype: 'int32' })

describe('what cannot be', () => {
  const x = (): Tensor => zeros([2, 2, 3], { dtype: 'float64', requiresGrad: true })

  test('equal labels need a blank between them: infinite, as in PyTorch', () => {
    scope(() => {
      const logits = x()
      const loss = ctcLoss(logits.logSoftmax(-1), labels([1, 1], [1, 2]), null, null, { reduction: 'none' })
      expect(numbers(loss)).toEqual([Infinity, expect.closeTo(2 * Math.log(3), 12)])
      loss.sum().backward()
      const gradient = numbers(logits.grad!)
      expect(gradient.slice(0, 6)).toEqual(Array(6).fill(NaN))
      expect(gradient.slice(6)).toEqual([1, -2, 1, 1, 1, -2].map((v) => expect.closeTo(v / 3, 12)))
    })
  })

  test('zeroInfinity leaves such rows out', () => {
    scope(() => {
      const logits = x()
      const loss = ctcLoss(logits.logSoftmax(-1), labels([1, 1], [1, 2]), null, null, { reduction: 'none', zeroInfinity: true })
      expect(numbers(loss)[0]).toBe(0)
      loss.sum().backward()
      expect(numbers(logits.grad!).slice(0, 6).map(Math.abs)).toEqual(Array(6).fill(0))
    })
  })
})

test('labels and lengths out of range are late IndexErrors', async () => {
  const x = zeros([2, 4, 3])
  const said = (targets: Tensor, steps?: number[], counts?: number[]): Promise<unknown> => ctcLoss(x, targets, int32(steps), int32(counts)).item()
  await expect(said(labels([1, 3], [1, 2]))).rejects.toThrow(IndexError)
  await expect(said(labels([1, 3], [1, 2]))).rejects.toMatchObject({ code: 'ERR_INDEX', op: 'ctcLoss' })
  await expect(said(labels([1, 0], [1, 2]))).rejects.toThrow(/is the blank/)
  await expect(said(labels([1, 2], [1, 2]), [4, 5])).rejects.toThrow(/inputLengths says 5 for row 1, which has 4 steps/)
  await expect(said(labels([1, 2], [1, 2]), undefined, [-1, 2])).rejects.toThrow(/targetLengths says -1 for row 0/)
})

test('padding behind the labels is not looked at, a negative label ends them, and int64 is as good as int32', () => {
  scope(() => {
    const x = zeros([2, 4, 3]).logSoftmax(-1)
    const int64 = (values: Tensor): Tensor => values.to('int64')
    const padded = ctcLoss(x, int64(labels([1, -1], [1, 2])), int64(labels([4, 4]).reshape([2])), int64(labels([1, 2]).reshape([2])), { reduction: 'none' })
    expect(numbers(ctcLoss(x, labels([1, -1], [1, 2]), null, null, { reduction: 'none' }))).toEqual(numbers(padded))
    const mean = ctcLoss(x, labels([1, -1], [1, 2])).itemSync() as number
    expect(mean).toBeCloseTo((numbers(padded)[0]! + numbers(padded)[1]! / 2) / 2, 6)
    const alone = ctcLoss(x.slice(0, 0, 1), labels([1]), null, null, { reduction: 'none' })
    expect(numbers(padded)[0]).toBe(numbers(alone)[0])
  })
})

test('messages', () => {
  const x = zeros([4, 2, 3])
  expect(() => ctcLoss(x, labels([1, 2], [1, 2]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: ctcLoss: needs one row of targets a sequence.
      logProbs [4, 2, 3] float32 (N T C), targets [2, 2] int32 (N S)
      Give as many rows; log-probabilities [T, N, C] go with batchFirst: false.]
  `)
  expect(() => ctcLoss(x, labels([1, 2], [1, 2]), null, null, { batchFirst: false, blank: 3 })).toThrow(/the blank 3 is no class/)
  expect(() => ctcLoss(x, labels([1, 2], [1, 2]), null, null, { batchFirst: false, reduction: 'avg' as 'mean' })).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: ctcLoss: reduction is 'mean', 'sum' or 'none', got 'avg'.]`,
  )
})
