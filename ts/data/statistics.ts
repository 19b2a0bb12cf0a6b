// Mean and deviation per channel, from the training part alone.
import { ValueError } from '../index.js'
import type { Dataset } from './dataset.js'
import { turns } from './turn.js'

/** What is taken out of the inputs, one number a channel (the last dimension): (x - mean) / std. */
export interface Normalisation {
  /** What is subtracted, a number a channel. */
  mean: readonly number[]
  /** What is divided by, a number a channel. */
  std: readonly number[]
}

/** Numbers looked at between two glances at the clock. */
const chunk = 1 << 17

/**
 * Mean and (population) deviation of each channel over all samples and places, of the inputs as scaled; of a record's one
 * `ragged` column of floats over all real steps. A channel that never changes gets
 * the deviation 1. Computed in float64 on the JS thread, in short turns.
 */
export async function statistics(data: Dataset): Promise<Normalisation> {
  const { inputShape, scale } = data
  const { values, channels } = Array.isArray(inputShape) ? { values: await data.inputValues(), channels: (inputShape as readonly number[]).at(-1) ?? 1 } : data.stepValues()
  const sums = new Float64Array(channels)
  const squares = new Float64Array(channels)
  const turn = turns()
  const step = Math.max(1, Math.floor(chunk / channels)) * channels
  // Two passes: squares of differences from the mean lose nothing where the mean is large.
  for (let from = 0; from < values.length; from += step) {
    const to = Math.min(values.length, from + step)
    for (let i = from; i < to;) for (let c = 0; c < channels; c++, i++) sums[c] = (sums[c] as number) + Number(values[i])
    await turn()
  }
  const count = values.length / channels
  const means = sums.map((sum) => sum / count)
  for (let from = 0; from < values.length; from += step) {
    const to = Math.min(values.length, from + step)
    for (let i = from; i < to;) {
      for (let c = 0; c < channels; c++, i++) squares[c] = (squares[c] as number) + (Number(values[i]) - (means[c] as number)) ** 2
    }
    await turn()
  }
  const std = Array.from(squares, (sum) => Math.sqrt(sum / count) * scale)
  const mean = Array.from(means, (value) => value * scale)
  if (!mean.every(Number.isFinite)) throw new ValueError('statistics: the inputs hold NaN or infinities. Leave such samples out.')
  return { mean, std: std.map((value) => value || 1) }
}

/**
 * Normalises every part with the statistics of `train`: validation and test data must not tell anything.
 *
 * ```js
 * const { train, test } = await data.normalise(await data.cifar10({ folder }))
 * ```
 */
export async function normalise<T extends { train: Dataset } & Record<string, Dataset>>(parts: T): Promise<T> {
  const found = await statistics(parts.train)
  return Object.fromEntries(Object.entries(parts).map(([name, part]) => [name, part.withNormalisation(found)])) as T
}
