import { ValueError } from '../index.js'
import { settle, type Settled } from '../internal.js'
import { type AugmentSettings, checkAugment } from './augment.js'
import type { Batch } from './batch.js'

/** Options of a `DataLoader`. */
export interface LoaderOptions {
  /**
   * Samples in a batch. Default 32; Infinity: all in one. Of an (async) iterable it says what it gives: single samples, to be put together
   * by so many, where a number is given; whole batches, to be taken as they are, for null or nothing.
   */
  batchSize?: number | null
  /** Another order each epoch, drawn from the seed. Default false. An iterable has no order of its own to change: it refuses true. */
  shuffle?: boolean
  /** With `shuffle`: batches of samples of like lengths, so that little is padded; of a data set with a `ragged` column of inputs. Default false. */
  bucketByLength?: boolean
  /** Seeds the order and the augmentation. Default 0. */
  seed?: number
  /** Leaves out the last batch where it is smaller than the others. Default false. */
  dropLast?: boolean
  /** Random changes to images, or a function that changes a batch (synchronous; what it does not return is freed). */
  augment?: AugmentSettings | ((batch: Batch) => Batch)
  /** Batches made ahead. Default 2. */
  prefetch?: number
  /** The labels' dtype for plain numbers from `get(i)` and iterables. Default: int32 where all of a batch are whole numbers. */
  labelDType?: 'int32' | 'float32'
}

const defaults = { batchSize: undefined, shuffle: false, bucketByLength: false, seed: 0, dropLast: false, augment: undefined, prefetch: 2, labelDType: undefined } as const
/** Options of a `DataLoader`, complete. */
export type ChosenOptions = Settled<LoaderOptions, typeof defaults>

/** @throws ValueError for an unknown option */
export function complete(options: LoaderOptions): ChosenOptions {
  return settle('DataLoader', options, defaults)
}

/** @throws ValueError naming the option and what it may be */
export function checkOptions({ shuffle, bucketByLength, seed, dropLast, augment, prefetch, labelDType }: ChosenOptions, batchSize: number | null, stream: boolean): void {
  for (const [name, value] of Object.entries({ shuffle, bucketByLength, dropLast }))
    if (typeof value !== 'boolean') throw new ValueError(`DataLoader: ${name} is true or false, not ${String(value)}.`)
  if (labelDType !== undefined && labelDType !== 'int32' && labelDType !== 'float32')
    throw new ValueError(`DataLoader: labelDType is 'int32' or 'float32', not ${String(labelDType)}.`)
  if (batchSize === null ? !stream : !Number.isInteger(batchSize) || batchSize < 1)
    throw new ValueError(`DataLoader: batchSize is a whole number of at least 1${stream ? ', or null' : ''}, not ${String(batchSize)}.`)
  if (!Number.isInteger(prefetch) || prefetch < 0)
    throw new ValueError(`DataLoader: prefetch is a whole number of at least 0, not ${prefetch}.`)
  if (!Number.isSafeInteger(seed)) throw new ValueError(`DataLoader: a seed is a whole number up to 2^53, not ${seed}.`)
  if (stream && shuffle)
    throw new ValueError(
      'DataLoader: shuffle: true wants samples by number; an iterable gives them in its own order.\n' +
        '  Shuffle where they come from, or give { length, get(i) }, a data set, or an array of samples with batchSize.',
    )
  if (bucketByLength && !shuffle) throw new ValueError('DataLoader: bucketByLength draws the order of its batches: it goes with shuffle: true.')
  if (batchSize === null && dropLast)
    throw new ValueError('DataLoader: dropLast goes with single samples; this iterable gives whole batches. Give batchSize, or leave dropLast out.')
  if (augment !== undefined && typeof augment !== 'function') checkAugment(augment)
}
