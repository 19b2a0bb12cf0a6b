import { describe, expect, test } from 'vitest'
import { nn, type Tensor, tensor, train, Trainer, ValueError } from '../../ts/index.js'
import { settled } from '../settle.js'
import { noise, numbers } from './support.js'

const { metrics } = train
const multiclass: train.Task = { kind: 'multiclass', fromLogits: true }
const binary: train.Task = { kind: 'binary', fromLogits: true }
const ints = (values: number[] | number[][]): Tensor => tensor(values, { dtype: 'int32' })

const logits = Array.from({ length: 40 }, (_, i) => Array.from({ length: 4 }, (_, j) => noise(4 * i + j) + (i % 4 === j ? 0.5 : 0)))
const labels = logits.map((_, i) => i % 4)
const scores = labels.map((_, i) => Math.round(noise(i + 500) * 8) / 8 + (i % 2 ? 0.3 : 0))
const truth = labels.map((_, i) => i % 2)
const argmax = (row: number[]): number => row.indexOf(Math.max(...row))

/** Feeds the batches in pieces of seven rows. */
async function measure(
  metric: train.Metric,
  output: number[][],
  target: number[] | number[][],
  task: train.Task,
  labelDType: 'int32' | 'float32' = 'int32',
): Promise<train.MetricValue> {
  metric.reset()
  for (let at = 0; at < output.length; at += 7)
    metric.update(tensor(output.slice(at, at + 7)), tensor(target.slice(at, at + 7), { dtype: labelDType }), task)
  return metric.compute()
}

/** Counts by class, the plain way. */
function table(predicted: number[], actual: number[], classes: number): number[][] {
  const counts = Array.from({ length: classes }, () => Array<number>(classes).fill(0))
  actual.forEach((label, i) => {
    ;(counts[label] as number[])[predicted[i] as number]!++
  })
  return counts
}

describe('metrics', () => {
  const predicted = logits.map(argmax)
  const right = predicted.filter((label, i) => label === labels[i]).length / labels.length

  test('accuracy by the largest output; class numbers, one-hot rows, left-out labels', async () => {
    expect(await measure(metrics.accuracy(), logits, labels, multiclass)).toBeCloseTo(right, 12)
    expect(
      await measure(
        metrics.accuracy(),
        logits,
        labels.map((label) => [0, 1, 2, 3].map((k) => Number(k === label))),
        multiclass,
        'float32',
      ),
    ).toBeCloseTo(right, 12)
    const some = labels.map((label, i) => (i < 10 ? -100 : label))
    const rest = predicted.slice(10).filter((label, i) => label === labels[i + 10]).length / 30
    expect(await measure(metrics.accuracy(), logits, some, multiclass)).toBeCloseTo(rest, 12)
  })

  test('accuracy by threshold', async () => {
    const column = scores.map((score) => [score])
    const byHand = (limit: number): number => scores.filter((score, i) => Number(score > limit) === truth[i]).length / 40
    expect(await measure(metrics.accuracy(), column, truth, binary)).toBeCloseTo(byHand(0), 12)
    expect(
      await measure(
        metrics.accuracy(),
        column,
        truth.map((t) => [t]),
        { kind: 'binary', fromLogits: false },
        'float32',
      ),
    ).toBeCloseTo(byHand(0.5), 12)
  })

  test('a task and outputs that do not fit throw', () => {
    const update = (shape: number[][], task: train.Task) => () => metrics.accuracy().update(tensor(shape), ints([0]), task)
    expect(update([[1]], multiclass)).toThrow(/have one column/)
    expect(update([[1, 2]], { kind: 'regression', fromLogits: false })).toThrow(/knows no classes/)
    expect(update([[1, 2]], binary)).toThrow(/labels have another shape/)
    expect(() => metrics.accuracy().update(tensor([[1, 2]]), ints([[0, 1, 2]]), multiclass)).toThrow(/neither class numbers nor one-hot/)
  })

  test('top-k', async () => {
    for (const k of [1, 2, 3, 4, 9]) {
      const hits = logits.filter((row, i) =>
        [...row]
          .sort((a, b) => b - a)
          .slice(0, k)
          .includes(row[labels[i] as number] as number),
      ).length
      expect(await measure(metrics.topK(k), logits, labels, multiclass)).toBeCloseTo(hits / 40, 12)
    }
  })

  test('confusion matrix, precision, recall, F1: micro, macro, each, binary', async () => {
    const counts = table(predicted, labels, 4)
    expect(await measure(metrics.confusionMatrix(), logits, labels, multiclass)).toEqual(counts)
    const column = (k: number): number => counts.reduce((sum, row) => sum + (row[k] as number), 0)
    const row = (k: number): number => (counts[k] as number[]).reduce((a, b) => a + b, 0)
    const hit = (k: number): number => (counts[k] as number[])[k] as number
    const each = {
      precision: [0, 1, 2, 3].map((k) => hit(k) / column(k)),
      recall: [0, 1, 2, 3].map((k) => hit(k) / row(k)),
      f1: [0, 1, 2, 3].map((k) => (2 * hit(k)) / (row(k) + column(k))),
    }
    for (const name of ['precision', 'recall', 'f1'] as const) {
      expect(await measure(metrics[name]({ average: 'none' }), logits, labels, multiclass)).toEqual(each[name])
      expect(await measure(metrics[name]({ average: 'micro' }), logits, labels, multiclass)).toBeCloseTo(right, 12)
      expect(await measure(metrics[name](), logits, labels, multiclass)).toBeCloseTo(each[name].reduce((a, b) => a + b) / 4, 12)
    }
    const counts2 = table(
      scores.map((score) => Number(score > 0)),
      truth,
      2,
    ) as [[number, number], [number, number]]
    expect(
      await measure(
        metrics.precision(),
        scores.map((s) => [s]),
        truth,
        binary,
      ),
    ).toBeCloseTo(counts2[1][1] / (counts2[0][1] + counts2[1][1]), 12)
    expect(
      await measure(
        metrics.recall(),
        scores.map((s) => [s]),
        truth,
        binary,
      ),
    ).toBeCloseTo(counts2[1][1] / (counts2[1][0] + counts2[1][1]), 12)
  })

  test('classes that neither occur nor are predicted do not count in the macro average; no prediction gives 0', async () => {
    const output = [
      [5, 0, 0, 0],
      [5, 0, 0, 0],
      [5, 0, 0, 0],
    ]
    expect(await measure(metrics.precision(), output, [0, 0, 1], multiclass)).toBeCloseTo((2 / 3 + 0) / 2, 12)
  })

  test('ROC-AUC counts pairs, ties half', async () => {
    const pairs = (score: number[], positive: number[]): number => {
      let wins = 0
      let all = 0
      score.forEach((a, i) =>
        score.forEach((b, j) => {
          if (positive[i] === 1 && positive[j] === 0) {
            all++
            wins += a > b ? 1 : a === b ? 0.5 : 0
          }
        }),
      )
      return wins / all
    }
    expect(
      await measure(
        metrics.rocAuc(),
        scores.map((s) => [s]),
        truth,
        binary,
      ),
    ).toBeCloseTo(pairs(scores, truth), 12)
    const probabilities = (await tensor(logits).softmax(-1).tolist()) as number[][]
    const mean =
      [0, 1, 2, 3]
        .map((k) =>
          pairs(
            probabilities.map((row) => row[k] as number),
            labels.map((label) => Number(label === k)),
          ),
        )
        .reduce((a, b) => a + b) / 4
    expect(await measure(metrics.rocAuc(), logits, labels, multiclass)).toBeCloseTo(mean, 12)
    expect(await measure(metrics.rocAuc(), [[1], [2]], [1, 1], binary)).toBeNaN()
  })

  test('mae and mse', async () => {
    const regression: train.Task = { kind: 'regression', fromLogits: false }
    const target = scores.map((_, i) => noise(i + 900))
    const errors = scores.map((score, i) => Math.fround(score) - Math.fround(target[i] as number))
    expect(
      await measure(
        metrics.mae(),
        scores.map((s) => [s]),
        target,
        regression,
        'float32',
      ),
    ).toBeCloseTo(errors.reduce((a, e) => a + Math.abs(e), 0) / 40, 6)
    expect(
      await measure(
        metrics.mse(),
        scores.map((s) => [s]),
        target,
        regression,
        'float32',
      ),
    ).toBeCloseTo(errors.reduce((a, e) => a + e * e, 0) / 40, 6)
  })

  test('before any batch a figure is NaN; reset and states leave nothing behind', async () => {
    const all = [metrics.accuracy(), metrics.topK(2), metrics.f1(), metrics.rocAuc(), metrics.mae()]
    expect(await metrics.accuracy().compute()).toBeNaN()
    const before = await settled()
    for (const metric of all) {
      const first = await measure(
        metric,
        logits,
        metric.name === 'mae' ? logits : labels,
        metric.name === 'mae' ? { kind: 'regression', fromLogits: false } : multiclass,
        metric.name === 'mae' ? 'float32' : 'int32',
      )
      expect(first).not.toBeNaN()
      metric.reset()
    }
    expect(await settled()).toEqual(before)
  })

  test('a failed batch is in no sum', async () => {
    const metric = metrics.accuracy()
    metric.update(tensor(logits.slice(0, 4)), ints(labels.slice(0, 4)), multiclass)
    const bad = tensor(logits).indexSelect(0, ints([99, 99, 99, 99]))
    metric.update(bad, ints([0, 0, 0, 0]), multiclass)
    metric.update(tensor(logits.slice(4, 8)), ints(labels.slice(4, 8)), multiclass)
    expect(await metric.compute()).toBeCloseTo(predicted.slice(0, 8).filter((label, i) => label === labels[i]).length / 8, 12)
  })
})

test('precision, recall and F1 of classes of unlike size: the averages of scikit-learn\'s documentation', async () => {
  // classification_report([0, 1, 2, 2, 2], [0, 0, 2, 2, 1])
  const output = [0, 0, 2, 2, 1].map((k) => [0, 1, 2].map((j) => Number(j === k)))
  const figures = async (average: train.metrics.Average) =>
    Promise.all([metrics.precision({ average }), metrics.recall({ average }), metrics.f1({ average })].map((metric) => measure(metric, output, [0, 1, 2, 2, 2], multiclass)))
  const close = (found: train.MetricValue[], expected: number[]) => expected.forEach((value, i) => expect(found[i]).toBeCloseTo(value, 12))
  close(await figures('macro'), [0.5, 5 / 9, (2 / 3 + 0 + 0.8) / 3])
  close(await figures('weighted'), [0.7, 0.6, (2 / 3 + 0 + 3 * 0.8) / 5])
  close(await figures('micro'), [0.6, 0.6, 0.6])
})

test('metrics refuse options and averages that there are not', () => {
  for (const name of ['precision', 'recall', 'f1'] as const) {
    expect(() => metrics[name]({ averag: 'macro' } as object)).toThrow(new RegExp(`^${name}: there is no option 'averag'. Did you mean 'average'\\?`))
    expect(() => metrics[name]('macro' as never)).toThrow(ValueError)
    expect(() => metrics[name]({ average: 'bogus' as 'macro' })).toThrow(/average is 'bogus'; it must be one of micro, macro, weighted, binary, none/)
  }
  for (const k of [0, -1, 1.5, NaN, '5' as never]) expect(() => metrics.topK(k)).toThrow(/^TopK: k is/)
  expect(() => new Trainer(new nn.Linear(1, 1), { metrics: ['top0'] })).toThrow(/no metric is named 'top0'/)
})

test('one class only is said to be it: by a metric that sees one column, and by fit where the data names it', async () => {
  const one = { inputs: [[1, 2], [3, 4]], labels: [0, 0] }
  const trainer = new Trainer(new nn.Linear(2, 1), { loss: 'crossEntropy', metrics: ['accuracy'] })
  await expect(trainer.evaluate(one)).rejects.toThrow(/^accuracy: the outputs \[2, 1\] have one column[^]*Do the labels hold one class only\? Then give samples of another/)
  await expect(trainer.fit({ ...one, labels: ['spam', 'spam'] }, { verbose: false })).rejects.toThrow("fit: the data has one class only, 'spam': there is nothing to choose among")
})
