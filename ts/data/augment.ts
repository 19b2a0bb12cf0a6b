// Random changes to training batches. Each batch has its own key (seed, epoch, place), so that a resumed run draws the same.
import { noGrad, oneHot, scope, ShapeError, tensor, type Tensor, ValueError, augment as augmentOp } from '../index.js'
import { run, settle } from '../internal.js'
import type { Batch } from './batch.js'
import { beta, range, seeded, shuffle } from './random.js'

/** What is changed in training images [N, H, W, C]; each image draws its own numbers (mixup: one draw a batch). */
export interface AugmentSettings {
  /** Mirror left to right, even odds. */
  flip?: boolean
  /** Crop at a random place after a border of this many pixels of zeros. */
  pad?: number
  /** A square of zeros with this side, at a random place. */
  cutout?: number
  /** Colour jitter: the factor is drawn from [1 - j, 1 + j]. */
  brightness?: number
  /** Colour jitter: the factor is drawn from [1 - j, 1 + j]. */
  contrast?: number
  /** Colour jitter: the factor is drawn from [1 - j, 1 + j]. */
  saturation?: number
  /**
   * Mixes pairs of samples and their labels with a weight drawn from Beta(mixup, mixup) (Zhang et al. 2018); 0.2 is usual. Labels become
   * one-hot.
   */
  mixup?: number
}

const defaults: Required<AugmentSettings> = { flip: false, pad: 0, cutout: 0, brightness: 0, contrast: 0, saturation: 0, mixup: 0 }

/** @throws ValueError for unknown names and values out of range */
export function checkAugment(settings: AugmentSettings): void {
  for (const [name, value] of Object.entries(settle('augment', settings, defaults))) {
    if (name === 'flip' ? typeof value !== 'boolean' : typeof value !== 'number' || !(value >= 0) || !Number.isFinite(value)) {
      throw new ValueError(`augment: ${name} is ${name === 'flip' ? 'true or false' : 'a number of at least 0'}, not ${String(value)}.`)
    }
    if ((name === 'pad' || name === 'cutout') && !Number.isInteger(value))
      throw new ValueError(`augment: ${name} is a whole number of pixels, not ${String(value)}.`)
  }
}

/**
 * A function that changes images at random, for `fit`'s option `augment`; random numbers come from the running generator.
 *
 * ```js
 * await trainer.fit(train, { augment: data.augment({ flip: true, pad: 4 }) })
 * ```
 * `mixup` changes labels too, which only a `DataLoader` can do: give it there.
 */
export function augment(settings: AugmentSettings): (images: Tensor) => Tensor {
  checkAugment(settings)
  const { mixup = 0, ...rest } = settings
  if (mixup > 0)
    throw new ValueError(
      'augment: mixup changes labels too. Give it to a DataLoader: new data.DataLoader(train, { augment: { mixup: 0.2 } }).',
    )
  return (images) => augmentOp(images, rest)
}

/** How a raw batch is changed: `place` is the batch's number within the epoch. */
export function augmentBatch(
  { inputs, labels }: Batch,
  settings: AugmentSettings,
  [seed, epoch, place]: readonly [number, number, number],
): Batch {
  const { flip, pad, cutout, brightness, contrast, saturation } = settle('augment', settings, defaults)
  if (!flip && pad + cutout + brightness + contrast + saturation === 0) return { inputs, labels }
  const images = inputs as Tensor
  if (images?.shape?.length !== 4)
    throw new ShapeError('augment: images are [N, H, W, C].', images?.shape === undefined ? {} : { shapes: [images.shape] })
  // Epoch and place share the counter; a run has fewer than 2^31 of each.
  const key = tensor(BigInt64Array.of(BigInt(Math.trunc(seeded(seed)() * 2 ** 53)), (BigInt(epoch) << 32n) | BigInt(place)))
  return { inputs: run.augment(images, key, flip, pad, cutout, brightness, contrast, saturation), labels }
}

/** Mixes each sample of a prepared batch with another of the same batch: x = l x + (1 - l) x', and so the labels. */
export function mixup(
  { inputs, labels }: Batch,
  alpha: number,
  classes: number | undefined,
  [seed, epoch, place]: readonly [number, number, number],
): Batch {
  const images = inputs as Tensor
  const targets = labels as Tensor
  if (images?.shape === undefined) throw new ValueError('mixup: inputs given as a record cannot be mixed.')
  const random = seeded(seed, epoch, place, 1)
  const share = beta(alpha, random)
  const partner = shuffle(range(images.shape[0] as number), random)
  return noGrad(() =>
    scope(() => {
      if (targets.ndim === 1 && !targets.dtype.startsWith('float') && classes === undefined)
        throw new ValueError('mixup: how many classes there are is not known.\n  Give the data set its classes, or one-hot labels.')
      const order = tensor(partner)
      const x = images.dtype.startsWith('float') ? images : images.to('float32')
      const y = targets.dtype.startsWith('float') ? targets : oneHot(targets, classes as number)
      const mix = (t: Tensor): Tensor => t.mul(share).add(t.indexSelect(0, order).mul(1 - share))
      return { inputs: mix(x), labels: mix(y) }
    }),
  )
}
