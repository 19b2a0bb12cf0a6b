// Labels and outputs step by step, of sequences of unequal length: padding (-100) counts in no figure, and each row keeps its own steps.
import { describe, expect, test } from 'vitest'
import { data, manualSeed, nn, type Tensor, tensor, train, Trainer } from '../../ts/index.js'
import { noise } from './support.js'

const { metrics } = train
const quiet = { verbose: false as const }
const lengths = [5, 2, 7, 1, 4, 3, 6, 2, 5]
const features = lengths.map((length, row) => Array.from({ length }, (_, t) => Array.from({ length: 3 }, (_, j) => noise(97 * row + 7 * t + j))))
const steps = features.map((row) => row.map((step) => step.indexOf(Math.max(...step))))
const sequences = data.dataset({ inputs: { features: data.ragged(features) }, labels: data.ragged(steps, { dtype: 'int32', value: -100 }) })
/** The same steps, each a sample of its own. */
const apart = { inputs: features.flat(), labels: steps.flat() }

/** A class a step, whatever stands beside it. */
class Framewise extends nn.Module {
  head = new nn.Linear(3, 3)
  forward(inputs: Tensor | { features: Tensor }): Tensor {
    return this.head.forward('features' in inputs ? inputs.features : inputs)
  }
}
const framewise = (): Framewise => {
  manualSeed(5)
  return new Framewise()
}

describe('labels that are left out', () => {
  const names = ['accuracy', 'top2', 'precision', 'recall', 'f1', 'confusionMatrix', 'rocAuc']
  const settings = { optimizer: 'sgd', lr: 0.1, loss: 'crossEntropy', metrics: names }

  test('are in no figure of evaluate, whatever the batch', async () => {
    const wanted = await new Trainer(framewise(), settings).evaluate(apart)
    for (const batchSize of [1, 2, 4, 9]) {
      const { loss, ...figures } = await new Trainer(framewise(), settings).evaluate(sequences, { batchSize })
      expect(loss).toBeCloseTo(wanted.loss, 6)
      for (const name of names.slice(0, -1)) expect(figures[name]).toEqual(wanted[name])
      expect(figures.rocAuc).toBeCloseTo(wanted.rocAuc as number, 6)
    }
  })

  test('are in no figure of fit', async () => {
    const still = { ...settings, lr: 1e-12 }
    const wanted = await new Trainer(framewise(), still).evaluate(apart)
    const { last } = await new Trainer(framewise(), still).fit(sequences, { batchSize: 2, validation: sequences, validationBatchSize: 4, ...quiet })
    expect(last?.loss).toBeCloseTo(wanted.loss, 6)
    expect(last?.valLoss).toBeCloseTo(wanted.loss, 6)
    expect([last?.f1, last?.valF1]).toEqual([wanted.f1, wanted.f1])
    expect(last?.confusionMatrix).toEqual(wanted.confusionMatrix)
  })

  test.each([
    ['its name', { lossOptions: { ignoreIndex: 0 } }],
    ['a module', { loss: new nn.CrossEntropyLoss({ ignoreIndex: 0 }) }],
  ])("are those of the loss's ignoreIndex, given by %s", async (_, options) => {
    const task: train.Task = { kind: 'multiclass', fromLogits: true, ignoreIndex: 0 }
    const trainer = new Trainer(framewise(), { ...settings, ...options })
    const kept = apart.labels.flatMap((label, i) => (label === 0 ? [] : [i]))
    const rest = { inputs: kept.map((i) => apart.inputs[i]!), labels: kept.map((i) => apart.labels[i]!) }
    const wanted = await trainer.evaluate(rest)
    expect(await trainer.evaluate(apart, { batchSize: 4 })).toEqual({ ...wanted, loss: expect.closeTo(wanted.loss, 6), rocAuc: expect.closeTo(wanted.rocAuc as number, 6) })
    const matrix = metrics.confusionMatrix()
    matrix.update(tensor([[1, 0], [1, 0], [0, 1]]), tensor([0, 1, 1], { dtype: 'int32' }), task)
    expect(await matrix.compute()).toEqual([[0, 0], [1, 1]])
  })

  test('a batch without a label that counts is left out of the mean', async () => {
    const labels = apart.labels.map((label, i) => (i < 8 ? -100 : label))
    const trainer = new Trainer(framewise(), settings)
    const wanted = await trainer.evaluate({ inputs: apart.inputs.slice(8), labels: apart.labels.slice(8) })
    expect((await trainer.evaluate({ inputs: apart.inputs, labels }, { batchSize: 4 })).loss).toBeCloseTo(wanted.loss, 6)
    expect((await trainer.evaluate({ inputs: apart.inputs.slice(0, 8), labels: labels.slice(0, 8) }, { batchSize: 4 })).loss).toBeNaN()
  })
})

describe('the loss of several batches is that of all samples at once', () => {
  const weight = [1, 0.25, 4]
  test.each([
    ['weights of classes', { loss: 'crossEntropy', lossOptions: { weight } }],
    ['their tensor', { loss: 'crossEntropy', lossOptions: { weight: tensor(weight) } }],
    ['those of a loss module', { loss: new nn.CrossEntropyLoss({ weight }) }],
    ['probabilities', { loss: 'sparseCategoricalCrossentropy', fromLogits: true, lossOptions: { weight } }],
  ])('with %s', async (_, options) => {
    const whole = await new Trainer(framewise(), options).evaluate(sequences, { batchSize: 9 })
    const cut = await new Trainer(framewise(), options).evaluate(sequences, { batchSize: 2 })
    expect(cut.loss).toBeCloseTo(whole.loss, 6)
    expect(whole.loss).not.toBeCloseTo((await new Trainer(framewise(), { loss: 'crossEntropy' }).evaluate(sequences)).loss, 3)
  })

  test('with classWeights of fit', async () => {
    const losses = await Promise.all([2, 9].map(async (batchSize) => {
      const { last } = await new Trainer(framewise(), { loss: 'crossEntropy', lr: 1e-12 }).fit(sequences, { batchSize, classWeights: weight, ...quiet })
      return last!.loss
    }))
    expect(losses[0]).toBeCloseTo(losses[1]!, 6)
  })

  test('with a loss module, and with one-hot rows', async () => {
    for (const loss of [new nn.CrossEntropyLoss(), nn.crossEntropy]) {
      const trainer = new Trainer(framewise(), { loss })
      expect((await trainer.evaluate(sequences, { batchSize: 2 })).loss).toBeCloseTo((await trainer.evaluate(sequences)).loss, 6)
    }
    const hot = { inputs: apart.inputs, labels: apart.labels.map((label) => [0, 1, 2].map((k) => Number(k === label))) }
    const trainer = new Trainer(framewise(), { loss: 'crossEntropy' })
    expect((await trainer.evaluate(hot, { batchSize: 4 })).loss).toBeCloseTo((await trainer.evaluate(apart)).loss, 6)
  })
})

describe('predictions of sequences of unequal length', () => {
  const trainer = new Trainer(framewise(), { loss: 'crossEntropy' })
  const wanted = async (): Promise<number[][]> => Promise.all(features.map(async (row) => (await trainer.predictClasses(row)) as number[]))

  test('outputs and probabilities are joined, those of shorter batches filled up with 0', async () => {
    const logits = (await (await trainer.predict(apart.inputs)).tolist()) as number[][]
    const shares = (await (await trainer.predictProbabilities(apart.inputs)).tolist()) as number[][]
    const rows = (flat: number[][]): number[][][] => {
      const left = [...flat]
      return lengths.map((length) => [...left.splice(0, length), ...Array.from({ length: 7 - length }, () => [0, 0, 0])])
    }
    for (const batchSize of [1, 2, 4, 9]) {
      const [outputs, probabilities] = [await trainer.predict(sequences, { batchSize }), await trainer.predictProbabilities(sequences, { batchSize })]
      expect(outputs.shape).toEqual([9, 7, 3])
      for (const [found, expected] of [[await outputs.tolist(), rows(logits)], [await probabilities.tolist(), rows(shares)]] as const)
        expect(found).toEqual(expected.map((row, n) => {
          const longest = Math.max(...lengths.slice(n - (n % batchSize), n - (n % batchSize) + batchSize))
          // The same step may differ in its last bits where it stands in another batch; what the model makes of padding is its own.
          return row.map((step, t) => (t < lengths[n]! ? step.map((value) => expect.closeTo(value, 6)) : t < longest ? expect.anything() : [0, 0, 0]))
        }))
    }
  })

  test('classes are a list a sequence, of its own steps', async () => {
    for (const batchSize of [1, 2, 4, 9]) {
      const rows: number[][] = await trainer.predictClasses(sequences, { batchSize })
      expect(rows.map((row) => row.length)).toEqual(lengths)
      expect(rows).toEqual(await wanted())
    }
  })

  test('batches of a stream without lengths are filled up, and keep their steps', async () => {
    const stream = [features.slice(0, 1), features.slice(2, 3)].map((inputs) => ({ inputs, labels: [0] }))
    expect((await trainer.predict(stream)).shape).toEqual([2, 7, 3])
    expect((await trainer.predictClasses<number[]>(stream)).map((row) => row.length)).toEqual([5, 7])
  })

  test('yes or no: one a step, several a sample', async () => {
    class Yes extends nn.Module {
      forward({ features }: { features: Tensor }): Tensor {
        return features.narrow(-1, 0, 1)
      }
    }
    const positive = features.map((row) => row.map((step) => Number(step[0]! > 0)))
    const yes = new Trainer(new Yes(), { loss: 'bceWithLogits' })
    for (const batchSize of [2, 9]) expect(await yes.predictClasses(sequences, { batchSize })).toEqual(positive)
    // [N, 3] of rows that have three steps at most: three answers each, not steps.
    class Several extends nn.Module {
      forward({ features }: { features: Tensor }): Tensor {
        return features.select(1, 0)
      }
    }
    const first = features.map((row) => row[0]!)
    const three = data.dataset({ inputs: { features: data.ragged(features.map((row) => row.slice(0, 3))) }, labels: steps.map(([label]) => label!) })
    expect(await new Trainer(new Several(), { loss: 'bceWithLogits' }).predictClasses(three)).toEqual(first.map((row) => row.map((value) => Number(value > 0))))
    expect(await (await new Trainer(new Several()).predict(three)).tolist()).toEqual(first.map((row) => row.map(Math.fround)))
  })
})
