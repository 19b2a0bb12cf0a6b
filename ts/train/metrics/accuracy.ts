import { stack, type Tensor, ValueError } from '../../index.js'
import { alignedLabels, classLabels, Metric, predictedClasses, requireClasses, type Task } from './metric.js'

/** The share of correct predictions: largest output for [N, K], threshold for yes-or-no outputs. */
export class Accuracy extends Metric {
  readonly name = 'accuracy'

  update(output: Tensor, labels: Tensor, task: Task): void {
    const predicted = predictedClasses(output, task, 'accuracy')
    if (task.kind === 'binary') {
      const truth = alignedLabels(output, labels).gt(0.5).to('int32')
      return this.add('counts', stack([predicted.eq(truth).sum(), truth.ge(0).sum()]))
    }
    const truth = classLabels(output, labels, task)
    this.add('counts', stack([predicted.eq(truth).sum(), truth.ge(0).sum()]))
  }

  async compute(): Promise<number> {
    return ratio(await this.read('counts'))
  }
}

/** The share of samples whose class is among the `k` largest outputs. */
export class TopK extends Metric {
  readonly name: string
  #k: number

  constructor(k: number = 5) {
    super()
    if (!Number.isInteger(k) || k < 1) throw new ValueError(`TopK: k is ${String(k)}; it must be a whole number of at least 1.`)
    this.#k = k
    this.name = `top${k}`
  }

  update(output: Tensor, labels: Tensor, task: Task): void {
    requireClasses(output, { ...task, kind: task.kind === 'binary' ? 'multiclass' : task.kind }, this.name)
    const truth = classLabels(output, labels, task)
    const best = output.topk(Math.min(this.#k, output.shape.at(-1) as number), -1).indices
    this.add('counts', stack([best.eq(truth.to('int32').unsqueeze(-1)).sum(), truth.ge(0).sum()]))
  }

  async compute(): Promise<number> {
    return ratio(await this.read('counts'))
  }
}

/** a / b of a pair kept in one tensor (so that a failed batch is in neither), or NaN where nothing was counted. */
export function ratio([a = 0, b = 0]: number[]): number {
  return b === 0 ? NaN : a / b
}
