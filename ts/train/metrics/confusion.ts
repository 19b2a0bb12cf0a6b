import { type Tensor, ValueError } from '../../index.js'
import { alignedLabels, classLabels, Metric, type MetricValue, predictedClasses, type Task } from './metric.js'

/** Counts of (true class, predicted class): row i, column j says how many of class i were taken for j. Yes-or-no outputs give 2 x 2. */
export class ConfusionMatrix extends Metric {
  readonly name: string = 'confusionMatrix'
  #classes = 0
  /** Whether the counts are those of a yes-or-no task. */
  protected binary = false

  update(output: Tensor, labels: Tensor, task: Task): void {
    this.binary = task.kind === 'binary'
    const predicted = predictedClasses(output, task, this.name).reshape([-1]).to('int32')
    const truth = (this.binary ? alignedLabels(output, labels).gt(0.5) : classLabels(output, labels, task)).reshape([-1]).to('int32')
    this.#classes = this.binary ? 2 : (output.shape.at(-1) as number)
    if (this.#classes > 4096) throw new ValueError(`${this.name}: ${this.#classes} classes make too large a table; at most 4096.`)
    // Sums of ones, exact in float32 for any batch below 16 million; a label that is left out is a row of zeros.
    const rows = truth.maximum(0).oneHot(this.#classes).mul(truth.ge(0).unsqueeze(-1))
    const columns = predicted.oneHot(this.#classes)
    this.add('counts', rows.transpose(0, 1).matmul(columns).to('int64'))
  }

  /** The table, true classes by row. */
  protected async table(): Promise<number[][]> {
    const flat = await this.read('counts')
    const classes = Math.round(Math.sqrt(flat.length))
    return Array.from({ length: classes }, (_, row) => flat.slice(row * classes, (row + 1) * classes))
  }

  compute(): Promise<MetricValue> {
    return this.table()
  }
}

/**
 * How figures of single classes are joined, as in scikit-learn: over all samples ('micro'), as the mean over classes ('macro'), the same
 * weighed by how often each class occurs ('weighted'), that of the positive class ('binary'), or not at all ('none').
 */
export type Average = 'micro' | 'macro' | 'weighted' | 'binary' | 'none'
const AVERAGES: readonly Average[] = ['micro', 'macro', 'weighted', 'binary', 'none']

interface Counts {
  hit: number
  predicted: number
  actual: number
}

/** Precision, recall or F1 from the confusion matrix. */
abstract class ClassFigure extends ConfusionMatrix {
  #average: Average | undefined

  constructor(average?: Average) {
    super()
    if (average !== undefined && !AVERAGES.includes(average)) {
      throw new ValueError(`${new.target.name}: average is ${typeof average === 'string' ? `'${String(average)}'` : String(average)}; it must be one of ${AVERAGES.join(', ')}.`)
    }
    this.#average = average
  }

  /** The figure of one class (or of the pooled counts), 0 where it is not defined. */
  protected abstract figure(counts: Counts): number

  override async compute(): Promise<MetricValue> {
    const table = await this.table()
    const counts = table.map((row, i) => ({ hit: row[i] ?? 0, actual: sum(row), predicted: sum(table.map((other) => other[i] ?? 0)) }))
    const average = this.#average ?? (this.binary ? 'binary' : 'macro')
    if (average === 'none') return counts.map((one) => this.figure(one))
    if (average === 'binary') {
      if (counts.length !== 2) throw new ValueError(`${this.name}: average 'binary' wants two classes, there are ${counts.length}.`)
      return this.figure(counts[1] as Counts)
    }
    if (average === 'micro')
      return this.figure({
        hit: sum(counts.map(({ hit }) => hit)),
        predicted: sum(counts.map((one) => one.predicted)),
        actual: sum(counts.map((one) => one.actual)),
      })
    if (average === 'weighted') {
      const total = sum(counts.map(({ actual }) => actual))
      return total === 0 ? NaN : sum(counts.map((one) => this.figure(one) * one.actual)) / total
    }
    // As scikit-learn: classes that neither occur nor are predicted do not count.
    const present = counts.filter(({ actual, predicted }) => actual + predicted > 0)
    return present.length === 0 ? NaN : sum(present.map((one) => this.figure(one))) / present.length
  }
}

/** Of those taken for a class, the share that is of it. Default average: 'binary' for yes-or-no tasks, else 'macro'. */
export class Precision extends ClassFigure {
  override readonly name = 'precision'
  protected figure({ hit, predicted }: Counts): number {
    return predicted === 0 ? 0 : hit / predicted
  }
}

/** Of those of a class, the share that was found. */
export class Recall extends ClassFigure {
  override readonly name = 'recall'
  protected figure({ hit, actual }: Counts): number {
    return actual === 0 ? 0 : hit / actual
  }
}

/** The harmonic mean of precision and recall. */
export class F1 extends ClassFigure {
  override readonly name = 'f1'
  protected figure({ hit, predicted, actual }: Counts): number {
    return predicted + actual === 0 ? 0 : (2 * hit) / (predicted + actual)
  }
}

const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0)
