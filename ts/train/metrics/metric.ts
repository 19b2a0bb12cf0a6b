import { type Tensor, ValueError, zerosLike } from '../../index.js'
import { checkOptions, run, unscoped } from '../../internal.js'

/** What a model is trained for; the loss says it, and metrics and predictions follow. */
export interface Task {
  /** One of K classes, yes or no for each output, or a number. 'other' where a loss of one's own does not say. */
  kind: 'multiclass' | 'binary' | 'regression' | 'other'
  /** Whether the model gives logits (true) or probabilities (log-probabilities count as logits). */
  fromLogits: boolean
  /** The label that the loss leaves out beside those below 0, which no metric counts either. */
  ignoreIndex?: number
}

/** A metric's result: a number, or a table of them. */
export type MetricValue = number | number[] | number[][]

/**
 * A figure gathered batch by batch on the device; nothing is read back before `compute`. To write one, keep sums in tensors:
 * `this.add('correct', correct)` in `update`, `await this.read('correct')` in `compute`.
 */
export abstract class Metric {
  /** Its name in logs and histories. */
  abstract readonly name: string
  #sums: Record<string, Tensor> = {}

  /** Of itself it has no options: what a metric without a constructor of its own is given would change nothing. */
  constructor(options?: Record<string, never>) {
    checkOptions(new.target.name, options, {})
  }

  /** Takes in a batch's raw outputs and labels. */
  abstract update(output: Tensor, labels: Tensor, task: Task): void
  /** The figure over all batches since `reset`. */
  abstract compute(): Promise<MetricValue>

  /** Forgets all batches. */
  reset(): void {
    for (const sum of Object.values(this.#sums)) sum.dispose()
    this.#sums = {}
  }

  /** Adds `value` to the sum of that name, on the device. A batch that failed leaves the sum as it was. */
  protected add(name: string, value: Tensor): void {
    const sum = this.#sums[name]
    if (sum !== undefined) return run.assign(sum, run.add(sum, value))
    const first = unscoped(() => zerosLike(value))
    this.#sums[name] = first
    run.assign(first, value)
  }

  /** A sum's values; `[0]` before the first batch. */
  protected async read(name: string): Promise<number[]> {
    const sum = this.#sums[name]
    return sum === undefined ? [0] : Array.from((await sum.data()) as ArrayLike<number | bigint>, Number)
  }

  /** The sums so far, for a checkpoint in the middle of an epoch. */
  stateDict(): Record<string, Tensor> {
    return { ...this.#sums }
  }

  /** Continues from such sums, which become its own. */
  loadStateDict(state: Record<string, Tensor>): void {
    this.reset()
    for (const [name, value] of Object.entries(state)) this.#sums[name] = value
  }
}

/**
 * Labels as class numbers of the outputs' leading shape: class numbers stay, one-hot rows or probabilities give their largest. Those below 0 are
 * to be left out, as the padding (-100) of sequences is; the loss's `ignoreIndex` becomes one of them.
 */
export function classLabels(output: Tensor, labels: Tensor, { ignoreIndex = -1 }: Task): Tensor {
  const leading = output.shape.slice(0, -1)
  const numbers = (): Tensor => (ignoreIndex < 0 ? labels : labels.eq(ignoreIndex).where(-1, labels))
  if (same(labels.shape, leading)) return numbers()
  if (same(labels.shape, output.shape)) return labels.argmax(-1)
  if (same(labels.shape, [...leading, 1])) return numbers().reshape([...leading])
  throw mismatch('labels are neither class numbers nor one-hot rows', output, labels)
}

/** Labels in the outputs' shape, for outputs that stand for themselves ([N, 1] with labels [N]). */
export function alignedLabels(output: Tensor, labels: Tensor): Tensor {
  if (same(labels.shape, output.shape)) return labels
  if (labels.size === output.size) return labels.reshape([...output.shape])
  throw mismatch('labels have another shape', output, labels)
}

/** The predicted class numbers of a classifier: the largest of [N, K], or 0 and 1 by threshold. */
export function predictedClasses(output: Tensor, task: Task, metric: string): Tensor {
  if (task.kind === 'binary') return output.gt(task.fromLogits ? 0 : 0.5).to('int32')
  requireClasses(output, task, metric)
  return output.argmax(-1)
}

/** Throws unless the task is a classification that fits the outputs' shape. */
export function requireClasses(output: Tensor, task: Task, metric: string): void {
  if (task.kind === 'regression')
    throw new ValueError(
      `${metric}: the loss is one of regression, which knows no classes.\n  Use 'mae' or 'mse', or a classification loss.`,
    )
  if (task.kind === 'other') {
    throw new ValueError(
      `${metric}: a loss of your own does not say what the outputs are.\n  Pass task: 'multiclass' or 'binary' to the Trainer.`,
    )
  }
  if (task.kind === 'multiclass' && (output.shape.at(-1) ?? 1) < 2) {
    throw new ValueError(
      `${metric}: the outputs [${output.shape.join(', ')}] have one column, but the loss chooses among classes.\n` +
        "  Do the labels hold one class only? Then give samples of another. Else give the model an output a class, or use the loss 'bceWithLogits' for [N, 1].",
    )
  }
}

const same = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((size, i) => size === b[i])

function mismatch(fault: string, output: Tensor, labels: Tensor): ValueError {
  return new ValueError(`metric: ${fault}.\n  outputs [${output.shape.join(', ')}], labels [${labels.shape.join(', ')}]`)
}
