import { concat, noGrad, scope, type Tensor, ValueError } from '../../index.js'
import { unscoped } from '../../internal.js'
import { alignedLabels, classLabels, Metric, requireClasses, type Task } from './metric.js'

/**
 * The area under the ROC curve, exact: the chance that a positive sample scores above a negative one, ties counting half. Several classes:
 * the mean of each against the rest. All scores are kept until `reset`.
 */
export class RocAuc extends Metric {
  readonly name = 'rocAuc'
  #scores: Tensor[] = []
  #labels: Tensor[] = []

  update(output: Tensor, labels: Tensor, task: Task): void {
    let scores = output
    let truth: Tensor
    if (task.kind === 'binary') {
      truth = alignedLabels(output, labels).gt(0.5).to('int32').reshape([-1])
      scores = output.reshape([-1, 1])
    } else {
      requireClasses(output, task, this.name)
      truth = classLabels(output, labels, task).to('int32').reshape([-1])
      // A row's logits compare within the row only; between rows its probabilities do.
      scores = (task.fromLogits ? output.softmax(-1) : output).reshape([-1, output.shape.at(-1) as number])
    }
    this.#scores.push(unscoped(() => scores.to('float32').detach()))
    this.#labels.push(unscoped(() => truth.detach()))
  }

  async compute(): Promise<number> {
    if (this.#scores.length === 0) return NaN
    const [scores, labels] = noGrad(() => scope(() => [concat(this.#scores, 0).data(), concat(this.#labels, 0).data()] as const))
    const values = (await scores) as Float32Array
    const truth = (await labels) as Int32Array
    const columns = values.length / truth.length
    const counted = Uint32Array.from(truth.keys()).filter((row) => (truth[row] as number) >= 0)
    const of = (column: number, label: number): number =>
      area(
        Float32Array.from(counted, (row) => values[row * columns + column] as number),
        Int32Array.from(counted, (row) => (truth[row] === label ? 1 : 0)),
      )
    if (columns === 1) return of(0, 1)
    const areas = Array.from({ length: columns }, (_, column) => of(column, column)).filter((value) => !Number.isNaN(value))
    return areas.length === 0 ? NaN : areas.reduce((a, b) => a + b, 0) / areas.length
  }

  override reset(): void {
    super.reset()
    for (const tensor of [...this.#scores, ...this.#labels]) tensor.dispose()
    this.#scores = []
    this.#labels = []
  }

  override stateDict(): Record<string, Tensor> {
    if (this.#scores.length === 0) return {}
    const [scores, labels] = [joined(this.#scores), joined(this.#labels)]
    this.#scores = [scores]
    this.#labels = [labels]
    return { scores, labels }
  }

  override loadStateDict({ scores, labels }: Record<string, Tensor>): void {
    this.reset()
    if (scores === undefined || labels === undefined) return
    this.#scores.push(scores)
    this.#labels.push(labels)
  }
}

/** One tensor of all parts, which are freed. */
function joined(parts: Tensor[]): Tensor {
  if (parts.length === 1) return parts[0] as Tensor
  const whole = unscoped(() => noGrad(() => concat(parts, 0)))
  for (const part of parts) part.dispose()
  return whole
}

/** The area by ranks (Mann and Whitney); NaN where one of the two sides is empty. */
function area(scores: Float32Array, positive: Int32Array): number {
  if (scores.length !== positive.length) throw new ValueError('rocAuc: as many labels as scores are needed.')
  const order = Uint32Array.from(scores.keys()).sort((a, b) => (scores[a] as number) - (scores[b] as number))
  let ranks = 0
  let positives = 0
  for (let start = 0; start < order.length;) {
    let end = start
    let here = 0
    const value = scores[order[start] as number]
    for (; end < order.length && scores[order[end] as number] === value; end++) here += positive[order[end] as number] as number
    if (end === start) return NaN // a NaN score equals nothing
    ranks += (here * (start + 1 + end)) / 2
    positives += here
    start = end
  }
  const negatives = order.length - positives
  return positives === 0 || negatives === 0 ? NaN : (ranks - (positives * (positives + 1)) / 2) / (positives * negatives)
}
