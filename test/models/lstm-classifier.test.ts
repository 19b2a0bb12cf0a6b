import { expect, it } from 'vitest'
import { models, scope, stack, type Tensor, tensor, ValueError, zeros } from '../../ts/index.js'

it('has as many parameters as its layers', () => {
  const count = (model: models.LstmClassifier): number => model.parameters().reduce((sum, { size }) => sum + size, 0)
  expect(count(models.lstmClassifier())).toBe(20_000 * 128 + 4 * 128 * (128 + 128 + 2) + 128 + 1)
  const wide = models.lstmClassifier({ vocabulary: 50, embedding: 8, hidden: 16, numLayers: 2, bidirectional: true, outputs: 5 })
  expect(count(wide)).toBe(50 * 8 + 2 * 4 * 16 * (8 + 16 + 2) + 2 * 4 * 16 * (32 + 16 + 2) + 32 * 5 + 5)
})

it.each(['last', 'mean', 'max'] as const)('reads a text up to its length, and no further: %s', (pool) => {
  scope(() => {
    const model = models.lstmClassifier({ vocabulary: 20, embedding: 4, hidden: 6, pool, outputs: 3 }).eval()
    const of = (ids: number[][], lengths: number[]) => model.forward({ ids: tensor(ids, { dtype: 'int32' }), lengths: tensor(Int32Array.from(lengths)) })
    const [padded, other, short] = [of([[5, 7, 0, 0]], [2]), of([[5, 7, 9, 9]], [2]), of([[5, 7]], [2])]
    expect(padded.shape).toEqual([1, 3])
    for (const logits of [other, short]) expect(logits.dataSync()).toEqual(padded.dataSync())
    expect(model.forward({ ids: tensor([[5, 7]], { dtype: 'int32' }) }).dataSync()).toEqual(padded.dataSync())
  })
})

it('pools the states of a text\'s words, from which nothing of an empty text is left', () => {
  scope(() => {
    const [ids, lengths] = [tensor([[5, 7, 9], [6, 0, 0], [0, 0, 0]], { dtype: 'int32' }), tensor(Int32Array.from([3, 1, 0]))]
    for (const [pool, of] of [['last', (s: Tensor) => s.select(0, -1)], ['mean', (s: Tensor) => s.mean([0])], ['max', (s: Tensor) => s.amax([0])]] as const) {
      const model = models.lstmClassifier({ vocabulary: 10, embedding: 4, hidden: 6, pool, outputs: 2 }).eval()
      const { output } = model.lstm.forward(model.embedding.forward(ids), { lengths })
      const wanted = [of(output.select(0, 0)), of(output.select(0, 1).slice(0, 0, 1)), output.select(0, 2).select(0, 0).mul(0)]
      const theirs = model.head.forward(stack(wanted, 0)).dataSync() as Float32Array
      // A mean of some steps among others may round otherwise.
      ;(model.forward({ ids, lengths }).dataSync() as Float32Array).forEach((value, i) => expect(value).toBeCloseTo(theirs[i]!, 6))
    }
  })
})

it.each(['last', 'mean', 'max'] as const)('texts without words give the logits of zeros: %s', (pool) => {
  scope(() => {
    const model = models.lstmClassifier({ vocabulary: 10, embedding: 4, hidden: 6, pool, outputs: 2 }).eval()
    const nothing = model.head.forward(zeros([2, 6])).dataSync()
    const ids = zeros([2, 0], { dtype: 'int32' })
    expect(model.forward(ids).dataSync()).toEqual(nothing)
    expect(model.forward({ ids, lengths: zeros([2], { dtype: 'int32' }) }).dataSync()).toEqual(nothing)
  })
})

it.each<[unknown, string]>([
  [{ ids: zeros([1, 2], { dtype: 'int32' }), length: 3 }, "lstmClassifier: there is no input 'length'. Did you mean 'lengths'?\n  There are ids, lengths."],
  [{ lengths: zeros([1], { dtype: 'int32' }) }, 'lstmClassifier: ids must be a tensor, got undefined.'],
  [{ ids: zeros([1, 2], { dtype: 'int32' }), lengths: [2] }, 'lstmClassifier: lengths must be a tensor, got [2].'],
  [[[1, 2]], 'lstmClassifier: takes { ids, lengths }, each a tensor, or ids alone; got array.'],
  [undefined, 'or ids alone; got undefined.'],
])('refuses what is no input: %#', (inputs, message) => {
  const model = models.lstmClassifier({ vocabulary: 10, embedding: 4, hidden: 6 })
  expect(() => model.forward(inputs as models.TextInputs)).toThrow(ValueError)
  expect(() => model.forward(inputs as models.TextInputs)).toThrow(message)
})

it('takes no lengths as null or undefined', () => {
  const model = models.lstmClassifier({ vocabulary: 10, embedding: 4, hidden: 6 }).eval()
  const ids = tensor([[5, 7]], { dtype: 'int32' })
  for (const lengths of [null, undefined]) expect(model.forward({ ids, lengths } as models.TextInputs).dataSync()).toEqual(model.forward(ids).dataSync())
})

it('refuses sizes that make no sense', () => {
  expect(() => models.lstmClassifier({ hidden: 0 })).toThrow(ValueError)
  expect(() => models.lstmClassifier({ inputDropout: 2 })).toThrow(ValueError)
  expect(() => models.lstmClassifier({ pool: 'first' as 'last' })).toThrow("lstmClassifier: pool is 'last', 'mean' or 'max', got 'first'.")
})
