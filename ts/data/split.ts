// Parts of a data set, drawn by seed.
import { ValueError } from '../index.js'
import { settle } from '../internal.js'
import { type Dataset, type DatasetSource, dataset } from './dataset.js'
import { range, seeded, shuffle } from './random.js'

/** Options of `split`. */
export interface SplitOptions {
  /** How much is held out: a share between 0 and 1, or a number of samples. Default 0.1. */
  validation?: number
  /** Default 0. */
  seed?: number
  /** Keeps the classes' shares equal in both parts. Default true; without effect unless labels are class numbers. */
  stratify?: boolean
}

/**
 * Holds out a part of the data. The same seed gives the same parts; both keep the order of the data.
 * @throws ValueError where a part would be empty
 */
export async function split(
  source: Dataset | DatasetSource,
  options: SplitOptions = {},
): Promise<{ train: Dataset; validation: Dataset }> {
  const { validation, seed, stratify } = settle('split', options, { validation: 0.1, seed: 0, stratify: true })
  const all = dataset(source)
  const count = heldOut(validation, all.length)
  const groups = stratify && all.isClassification ? byClass((await all.labelValues()) as Int32Array) : [range(all.length)]
  const taken = shares(
    groups.map(({ length }) => length),
    count,
  )
  const held = groups.flatMap((group, i) => [...shuffle(group, seeded(seed, i)).subarray(0, taken[i])])
  const chosen = new Set(held)
  const rest = range(all.length).filter((index) => !chosen.has(index))
  return { train: all.subset(rest), validation: all.subset(Int32Array.from(held).sort()) }
}

function heldOut(validation: number, length: number): number {
  const count = validation < 1 ? Math.round(validation * length) : validation
  if (!(validation > 0) || (validation >= 1 && !Number.isInteger(validation))) {
    throw new ValueError(`split: validation is a share between 0 and 1 or a number of samples, not ${validation}.`)
  }
  if (count < 1 || count >= length) {
    throw new ValueError(
      `split: of ${length} samples, ${validation} for validation leaves ${count < 1 ? 'validation' : 'training'} without any.\n` +
        `  Give more data or another share.`,
    )
  }
  return count
}

/** The indices of each class, in order of class number. */
function byClass(labels: ArrayLike<number | bigint>): Int32Array[] {
  const groups = new Map<number, number[]>()
  for (let i = 0; i < labels.length; i++) {
    const label = Number(labels[i])
    const group = groups.get(label)
    if (group === undefined) groups.set(label, [i])
    else group.push(i)
  }
  return [...groups].sort(([a], [b]) => a - b).map(([, group]) => Int32Array.from(group))
}

/** How many each group gives, by largest remainder: together exactly `count`. */
function shares(sizes: readonly number[], count: number): number[] {
  const total = sizes.reduce((sum, size) => sum + size, 0)
  const exact = sizes.map((size) => (size * count) / total)
  const given = exact.map(Math.floor)
  const order = exact.map((value, i) => [value % 1, i] as const).sort((a, b) => b[0] - a[0] || a[1] - b[1])
  let left = count - given.reduce((sum, value) => sum + value, 0)
  for (const [, i] of order) if (left-- > 0) given[i] = (given[i] as number) + 1
  return given
}
