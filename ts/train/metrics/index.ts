import { ValueError } from '../../index.js'
import { settle } from '../../internal.js'
import { Accuracy, TopK } from './accuracy.js'
import { type Average, ConfusionMatrix, F1, Precision, Recall } from './confusion.js'
import { Mean } from './mean.js'
import { Metric } from './metric.js'
import { MeanAbsoluteError, MeanSquaredError } from './regression.js'
import { RocAuc } from './roc-auc.js'

export { Metric, type MetricValue, type Task } from './metric.js'
export { Mean }
export { Accuracy, type Average, ConfusionMatrix, F1, MeanAbsoluteError, MeanSquaredError, Precision, Recall, RocAuc, TopK }

/** Options of `precision`, `recall` and `f1`. */
export interface AverageOptions {
  /** How the figures of single classes are joined. Default: 'binary' for yes-or-no tasks, else 'macro'. */
  average?: Average
}

const averageOf = (metric: string, options: AverageOptions | undefined): Average | undefined => settle(metric, options, { average: undefined }).average

/** The share of correct predictions. */
export const accuracy = (): Metric => new Accuracy()
/** The share of samples whose class is among the `k` largest outputs. */
export const topK = (k: number = 5): Metric => new TopK(k)
/** Precision; @see Precision */
export const precision = (options?: AverageOptions): Metric => new Precision(averageOf('precision', options))
/** Recall; @see Recall */
export const recall = (options?: AverageOptions): Metric => new Recall(averageOf('recall', options))
/** F1; @see F1 */
export const f1 = (options?: AverageOptions): Metric => new F1(averageOf('f1', options))
/** Counts by true and predicted class. */
export const confusionMatrix = (): Metric => new ConfusionMatrix()
/** The area under the ROC curve. */
export const rocAuc = (): Metric => new RocAuc()
/** The mean absolute error. */
export const mae = (): Metric => new MeanAbsoluteError()
/** The mean squared error. */
export const mse = (): Metric => new MeanSquaredError()

// Keras' spellings beside ours.
const byName: Record<string, () => Metric> = {
  accuracy,
  acc: accuracy,
  precision,
  recall,
  f1,
  f1Score: f1,
  confusionMatrix,
  rocAuc,
  auc: rocAuc,
  mae,
  meanAbsoluteError: mae,
  mse,
  meanSquaredError: mse,
  sparseCategoricalAccuracy: accuracy,
  categoricalAccuracy: accuracy,
  binaryAccuracy: accuracy,
  topKCategoricalAccuracy: () => topK(5),
}

function maker(metric: string): (() => Metric) | undefined {
  const name = metric.replace(/[_-](\w)/g, (_, letter: string) => letter.toUpperCase())
  const top = /^top([1-9]\d*)$/.exec(name)
  if (top !== null) return () => topK(Number(top[1]))
  return Object.hasOwn(byName, name) ? byName[name] : undefined
}

/** What a metric's figure is called in logs, by any of the metric's names; undefined for what names none. */
export const metricName = (metric: string): string | undefined => maker(metric)?.().name

/** A list of metrics by name or made. @throws ValueError for what is no list, on behalf of `owner` */
export function toMetrics(owner: string, list: unknown): Metric[] {
  if (list === undefined || list === null) return []
  if (Array.isArray(list)) return list.map(toMetric)
  const one = typeof list === 'string' ? `'${list}'` : 'it'
  throw new ValueError(`${owner}: metrics is a list, got ${typeof list === 'string' ? one : typeof list}.\n  Put ${one} in brackets: metrics: [${typeof list === 'string' ? one : '...'}].`)
}

/** A metric by its name ('accuracy', 'top5', 'f1' ...), or the given one. */
export function toMetric(metric: string | Metric | (() => Metric)): Metric {
  if (metric instanceof Metric) return metric
  if (typeof metric === 'function') {
    if ((metric as Function).prototype instanceof Metric)
      throw new ValueError(`metrics: ${metric.name} is a class, not a metric made of it.\n  Make one: new metrics.${metric.name}().`)
    return toMetric(metric())
  }
  if (typeof metric !== 'string') throw new ValueError(`metrics: one is ${metric === null ? 'null' : `of the type ${typeof metric}`}; a name or a Metric is wanted.`)
  const make = maker(metric)
  if (make === undefined)
    throw new ValueError(
      `metrics: no metric is named '${metric}'.\n` +
        '  There are accuracy, top5 (any number), precision, recall, f1, confusionMatrix, rocAuc, mae, mse; or pass a Metric.',
    )
  return make()
}
