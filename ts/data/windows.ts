import { type Tensor, tensor, ValueError } from '../index.js'
import { settle } from '../internal.js'
import { toColumn } from './column.js'
import { Dataset, dataset } from './dataset.js'

/** Options of `windows`. */
export interface WindowsOptions {
  /** Steps that a forecast sees. */
  length: number
  /** Steps that it gives (1). */
  horizon?: number
  /** Steps from one window to the next (1). */
  stride?: number
  /** The share of the steps, the last ones, that only test windows forecast; 0 for none, and a test part without samples (0.2). */
  test?: number
  /** The share of the steps in front of those that only validation windows forecast; 0 for none (0). */
  validation?: number
  /** 'standard': mean 0 and deviation 1 over the steps to train on; 'none' leaves the values as they are ('standard'). */
  scale?: 'standard' | 'none'
}

/** How a series was scaled, a number each channel. */
export interface Scaling {
  /** What was subtracted. */
  mean: number[]
  /** What the rest was divided by. */
  std: number[]
}

/** Windows of a series, inputs [N, length, channels] and labels [N, horizon, channels], float32. */
export interface Windows {
  /** Whose labels end before the held-out steps. */
  train: Dataset
  /** Whose labels lie in the steps to validate with; none where that share is 0. */
  validation?: Dataset
  /** Whose labels lie in the last steps; without samples where that share is 0. */
  test: Dataset
  /** Of the steps to train on alone, so that nothing of the future comes into the past. */
  scaling: Scaling
  /** Values [..., channels] on the scale of the series again. */
  unscale(values: Tensor): Tensor
}

/**
 * Cuts a series of numbers into windows for forecasting: `length` steps and the `horizon` steps behind them. Windows to test with may look back into
 * steps that were trained on, but what they forecast was not; the scale is that of the training steps.
 * @throws ValueError for values that are no numbers, naming the step, and for a series too short for one window of each part
 * @example const { train, test, unscale } = data.windows(passengers, { length: 24, horizon: 12 })
 */
export function windows(series: ArrayLike<number> | readonly (readonly number[])[], options: WindowsOptions): Windows {
  const { length, horizon, stride, test, validation, scale } = settle('windows', options, {
    length: 0, horizon: 1, stride: 1, test: 0.2, validation: 0, scale: 'standard',
  })
  for (const [name, value] of Object.entries({ length, horizon, stride }))
    if (!Number.isInteger(value) || value < 1) throw new ValueError(`windows: ${name} must be a positive integer, got ${String(value)}.`)
  for (const [name, value] of Object.entries({ test, validation }))
    if (!(value >= 0 && value < 1)) throw new ValueError(`windows: ${name} is a share of the steps from 0 to below 1, got ${String(value)}.`)
  if (scale !== 'standard' && scale !== 'none') throw new ValueError(`windows: scale is 'standard' or 'none', got ${JSON.stringify(scale)}.`)
  const rows = Array.from(series as ArrayLike<number | readonly number[]>, (step, i) => {
    const row = typeof step === 'number' ? [step] : [...step]
    if (row.length === 0 || !row.every(Number.isFinite)) throw new ValueError(`windows: step ${i} is ${String(step)}, expected finite numbers.\n  Fill or drop missing values first.`)
    return row
  })
  const channels = rows[0]?.length ?? 1
  const ragged = rows.findIndex((row) => row.length !== channels)
  if (ragged >= 0) throw new ValueError(`windows: step ${ragged} has ${rows[ragged]!.length} values, the first has ${channels}.`)
  const total = rows.length
  const testFrom = total - Math.round(test * total)
  const heldFrom = testFrom - Math.round(validation * total)
  const scaling = scale === 'none' ? { mean: Array<number>(channels).fill(0), std: Array<number>(channels).fill(1) } : measured(rows.slice(0, heldFrom), channels)
  const scaled = new Float32Array(total * channels)
  rows.forEach((row, i) => row.forEach((value, c) => { scaled[i * channels + c] = (value - scaling.mean[c]!) / scaling.std[c]! }))
  /** Windows whose labels lie from `from` to below `to`. */
  const part = (name: string, from: number, to: number, share?: number): Dataset => {
    const starts: number[] = []
    for (let start = Math.max(0, from - length); start + length + horizon <= to; start += stride) starts.push(start)
    if (starts.length === 0 && share !== 0)
      throw new ValueError(`windows: no window of ${length} + ${horizon} steps fits into the ${name} part, ${to > from ? `steps ${from} to ${to - 1} of ${total}` : `which has none of the ${total} steps`}.\n  Take a shorter length or horizon, or another share.`)
    const cut = (offset: number, steps: number): Tensor => {
      const values = new Float32Array(starts.length * steps * channels)
      starts.forEach((start, i) => values.set(scaled.subarray((start + offset) * channels, (start + offset + steps) * channels), i * steps * channels))
      return tensor(values, { shape: [starts.length, steps, channels], transfer: true })
    }
    const [inputs, labels] = [cut(0, length), cut(length, horizon)]
    if (starts.length > 0) return dataset({ inputs, labels })
    return new Dataset({
      inputs: toColumn(inputs, 'inputs'), labels: toColumn(labels, 'labels'), classes: undefined, scale: undefined, normalisation: undefined, indices: null, oneHot: null,
    })
  }
  return {
    train: part('training', 0, heldFrom),
    ...(validation === 0 ? {} : { validation: part('validation', heldFrom, testFrom) }),
    test: part('test', testFrom, total, test),
    scaling,
    unscale: (values) => values.mul(tensor(scaling.std, { dtype: values.dtype })).add(tensor(scaling.mean, { dtype: values.dtype })),
  }
}

function measured(rows: readonly (readonly number[])[], channels: number): Scaling {
  const over = (value: (row: readonly number[]) => number): number => rows.reduce((sum, row) => sum + value(row), 0) / Math.max(1, rows.length)
  const mean = Array.from({ length: channels }, (_, c) => over((row) => row[c]!))
  const std = mean.map((center, c) => Math.sqrt(over((row) => (row[c]! - center) ** 2)) || 1)
  return { mean, std }
}
