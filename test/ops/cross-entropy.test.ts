import { expect, test } from 'vitest'
import { type Tensor, tensor, zeros } from '../../ts/index.js'
import { crossEntropy, type CrossEntropyOptions } from '../../ts/ops/cross-entropy.js'
import { type Case, checkOp, numbers, read } from '../check.js'
import { build, get, type Nd, sum } from '../reference.js'

interface Args {
  weighted?: boolean
  ignoreIndex?: number
  labelSmoothing?: number
  reduction?: CrossEntropyOptions['reduction']
  soft?: boolean
}

/**
 * Σ over classes of -t log softmax, by PyTorch's rules: smoothing spreads over all classes, and the mean divides by the weights of the
 * labels.
 */
function reference(
  [logits, labels, weight]: Nd[],
  { weighted = false, ignoreIndex = -100, labelSmoothing = 0, reduction = 'mean', soft = false }: Args,
): Nd {
  const c = logits!.shape.at(-1)!
  const lead = logits!.shape.slice(0, -1)
  const w = (k: number): number => (weighted ? weight!.data[k]! : 1)
  const counts: number[] = []
  const losses = build(lead, (index) => {
    const row = Array.from({ length: c }, (_, k) => get(logits!, [...index, k]))
    const top = Math.max(...row)
    const lse = top + Math.log(sum(row.map((v) => Math.exp(v - top))))
    const label = soft ? -1 : get(labels!, index)
    const skip = !soft && label === ignoreIndex
    counts.push(skip ? 0 : soft ? 1 : w(label))
    if (skip) return 0
    const target = (k: number): number =>
      (1 - labelSmoothing) * (soft ? get(labels!, [...index, k]) : Number(k === label)) + labelSmoothing / c
    return sum(row.map((v, k) => target(k) * w(k) * (lse - v)))
  })
  if (reduction === 'none') return losses
  return { shape: [], data: [reduction === 'sum' ? sum(losses.data) : sum(losses.data) / sum(counts)] }
}

const of = (shape: number[], args: Args, layout?: Case['layout']): Case<Args> => ({
  inputs: [
    shape,
    { shape: shape.slice(0, -1), below: shape.at(-1)! },
    ...(args.weighted ? [{ shape: [shape.at(-1)!], values: 'positive' as const }] : []),
  ],
  args,
  ...(layout && { layout }),
})
const op = ([logits, labels, weight]: Tensor[], { weighted = false, soft: _, ...options }: Args): Tensor =>
  crossEntropy(logits!, labels!, { ...options, weight: weighted ? weight!.detach() : null })

/** The class weights are data: no gradient is asked of them. */
checkOp<Args>('crossEntropy', {
  op: (inputs, args) => op(inputs, args),
  reference,
  rows: ['cross_entropy', 'cross_entropy_grad'],
  cases: [
    of([4, 3], {}),
    of([1, 1], {}),
    of([5, 7], { reduction: 'sum' }),
    of([5, 7], { reduction: 'none' }),
    of([4, 3], { labelSmoothing: 0.1 }),
    of([5, 4], { ignoreIndex: 1 }),
    of([2, 3, 4], {}),
    of([3], {}),
    of([4, 6], { reduction: 'sum' }, 'transposed'),
    of([4, 6], {}, 'sliced'),
    of([0, 3], { reduction: 'sum' }),
    of([5, 4], { ignoreIndex: 2, labelSmoothing: 0.2, reduction: 'none' }),
  ],
  large: [of([301, 1003], {}), of([301, 1003], { labelSmoothing: 0.1, ignoreIndex: 3 })],
})
for (const args of [{}, { reduction: 'sum' }, { labelSmoothing: 0.3 }, { ignoreIndex: 1 }] as Args[]) {
  test(`class weights, ${JSON.stringify(args)}, against PyTorch's rule`, () => {
    const logits = tensor(
      [
        [0.2, -1, 0.5],
        [1.5, 0.3, -0.2],
        [0, 2, 1],
        [0.4, 0.1, 0.9],
      ],
      { dtype: 'float64', requiresGrad: true },
    )
    const labels = tensor(Int32Array.of(0, 2, 1, 1))
    const weight = tensor([0.5, 1.5, 2], { dtype: 'float64' })
    const value = crossEntropy(logits, labels, { ...args, weight })
    expect(value.itemSync()).toBeCloseTo(reference([read(logits), read(labels), read(weight)], { ...args, weighted: true }).data[0]!, 12)
    value.backward()
    const plain = read(logits)
    plain.data.forEach((_, i) => {
      const side = (by: number): number =>
        reference([{ ...plain, data: plain.data.map((v, j) => (i === j ? v + by : v)) }, read(labels), read(weight)], {
          ...args,
          weighted: true,
        }).data[0]!
      expect(Number(logits.grad!.dataSync()[i])).toBeCloseTo((side(1e-6) - side(-1e-6)) / 2e-6, 6)
    })
  })
}

const probabilities = (shape: number[], args: Args, layout?: Case['layout']): Case<Args> => ({
  inputs: [shape, { shape, values: 'positive' }],
  args: { ...args, soft: true },
  ...(layout && { layout }),
})
checkOp<Args>('crossEntropyProbabilities', {
  op: (inputs, args) => op(inputs, args),
  reference,
  rows: ['log_softmax'],
  cases: [
    probabilities([4, 3], {}),
    probabilities([1, 1], {}),
    probabilities([5, 7], { reduction: 'sum' }),
    probabilities([5, 7], { reduction: 'none' }),
    probabilities([4, 3], { labelSmoothing: 0.1 }),
    probabilities([2, 3, 4], {}),
    probabilities([4, 6], {}, 'transposed'),
    probabilities([4, 6], {}, 'sliced'),
    probabilities([3], {}),
  ],
})

test('a label out of range is a late IndexError, and nothing but ignored rows gives NaN', async () => {
  await expect(crossEntropy(zeros([2, 3]), tensor(Int32Array.of(0, 3))).item()).rejects.toMatchObject({
    code: 'ERR_INDEX',
    op: 'crossEntropy',
  })
  expect(crossEntropy(zeros([2, 3]), tensor(Int32Array.of(-100, -100))).itemSync()).toBeNaN()
})

test('messages', () => {
  expect(() => crossEntropy(zeros([2, 3]), tensor(Int32Array.of(0)))).toThrowErrorMatchingInlineSnapshot(
    `[ShapeError: crossEntropy: logits [2, 3] want labels [2], got [1].]`,
  )
  expect(() => crossEntropy(zeros([2, 3]), zeros([2]))).toThrowErrorMatchingInlineSnapshot(
    `[ShapeError: crossEntropy: logits [2, 3] and probabilities [2] differ. For class labels pass int32.]`,
  )
  expect(() => crossEntropy(zeros([2, 3]), tensor(Int32Array.of(0, 1)), { weight: zeros([4]) })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: crossEntropy: needs one weight a class, of the logits' dtype.
      logits [2, 3] float32 (N C), class weight [4] float32
      Give a weight of shape [3].]
  `)
  expect(() => crossEntropy(zeros([2, 3]), tensor(Int32Array.of(0, 1)), { reduction: 'avg' as 'mean' })).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: crossEntropy: reduction is 'mean', 'sum' or 'none', got 'avg'.]`,
  )
  expect(() => crossEntropy(zeros([2, 3]), tensor(Int32Array.of(0, 1)), { labelSmoothing: 2 })).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: crossEntropy: labelSmoothing lies from 0 to 1, got 2.]`,
  )
})
