import { CancelledError, type nn, type Tensor, ValueError } from '../index.js'
import type { Stream } from '../internal.js'
import type { ResolvedLoss } from './loss.js'
import { outputOf } from './model.js'
import { Mean, type Metric, type MetricValue } from './metrics/index.js'
import { type Batches, batchSizeOf } from './source.js'
import { inference, inPrecision, type Precision, readable } from './step.js'

/** Batches that may be under way before the oldest is waited for. */
const ahead = 2

/** Loss and metrics over all batches, in evaluation mode, without gradients; on a stream of its own where one is given. */
export async function evaluateBatches(
  model: nn.Module,
  batches: Batches,
  loss: ResolvedLoss,
  metrics: readonly Metric[],
  { signal, stream, precision }: { signal?: AbortSignal | undefined; stream?: Stream; precision?: Precision } = {},
): Promise<Record<string, MetricValue>> {
  const mean = new Mean()
  const modules = model.modules()
  const running: Promise<number>[] = []
  for (const metric of metrics) metric.reset()
  try {
    for await (const batch of batches) {
      if (signal?.aborted) throw new CancelledError('evaluate: cancelled.', { cause: signal.reason })
      const begin = (): Promise<number> =>
        inference(modules, () => {
          const { output, value } = inPrecision(precision, () => {
            const output = outputOf(model, batch.inputs)
            return { output, value: loss.call(output, batch.labels) }
          })
          const figures = readable(output, precision)
          mean.gather(value, loss.divisor?.(figures, batch.labels) ?? batchSizeOf(batch))
          for (const metric of metrics) metric.update(figures, batch.labels as Tensor, loss.task)
          return value.item()
        })
      const value = stream === undefined ? begin() : stream.run(begin)
      value.catch(() => {})
      running.push(value)
      if (running.length > ahead) await running.shift()
    }
    await Promise.all(running.splice(0))
    const figures: Record<string, MetricValue> = { loss: await mean.compute() }
    if (Number.isNaN(figures.loss) && Object.keys(mean.stateDict()).length === 0)
      throw new ValueError('evaluate: the data gave no batch.\n  Give at least one sample.')
    for (const metric of metrics) figures[metric.name] = await metric.compute()
    return figures
  } finally {
    await Promise.allSettled(running)
    for (const metric of [mean, ...metrics]) metric.reset()
  }
}
