import { eye } from '../create.js'
import { record } from '../autograd.js'
import { run } from '../native/run.js'
import { settle } from '../options.js'
import { defaultGenerator, type Generator } from '../random.js'
import type { Tensor } from '../tensor.js'
import { shapeOf, sumBack, withoutGradient } from './pointwise-table.js'
import { tracked } from './support.js'

/** What `augment` may change; every image draws its own numbers. */
export interface AugmentOptions {
  /** Mirror left to right, even odds. */
  flip?: boolean
  /** Crop at a random place after a border of this many pixels of zeros. */
  pad?: number
  /** A square of zeros with this side, at a random place. */
  cutout?: number
  /** The factor of each value, drawn from [1 - j, 1 + j]. */
  brightness?: number
  /** The factor of the distance from the image's mean grey, drawn from [1 - j, 1 + j]. */
  contrast?: number
  /** The factor of the distance from each pixel's own grey, drawn from [1 - j, 1 + j]. */
  saturation?: number
  /** Where the numbers come from; the default one if left out. */
  generator?: Generator
}

/** Random changes to a batch of images [N, H, W, C], uint8 or float; shape and dtype stay. It has no gradient. */
export function augment(images: Tensor, options: AugmentOptions = {}): Tensor {
  const { flip, pad, cutout, brightness, contrast, saturation, generator = defaultGenerator() } = settle('augment', options, {
    flip: false, pad: 0, cutout: 0, brightness: 0, contrast: 0, saturation: 0, generator: undefined,
  })
  const y = run.augment(images, generator.key(), flip, pad, cutout, brightness, contrast, saturation)
  return withoutGradient('augment', y, [images], 'Augment the data before it enters the model.')
}

/** Images [N, H, W, C] at another size, bilinear, pixel centres aligned. PyTorch: `F.interpolate(mode='bilinear', align_corners=False)`. */
export function resize(images: Tensor, height: number, width: number): Tensor {
  const y = run.resize(images, height, width)
  if (!tracked(images)) return y
  const like = shapeOf(images)
  const [n, h, w, c] = images.shape as [number, number, number, number]
  return record(y, {
    op: 'resize',
    inputs: [images],
    saved: [],
    // The op is a linear map of rows and one of columns: y = Ry x Rxᵀ. dx = Ryᵀ dy Rx.
    backward: (dy) => [
      () => {
        const rows = interpolation(dy, h, height)
        const columns = interpolation(dy, w, width)
        const byRows = rows
          .t()
          .matmul(dy.reshape([n, height, width * c]))
          .reshape([n, h, width, c])
        return sumBack(columns.t().matmul(byRows), like)
      },
    ],
  })
}

/** The matrix [to, from] of a resize along one dimension: what it makes of the identity. */
function interpolation(like: Tensor, from: number, to: number): Tensor {
  const identity = eye(from, from, { dtype: like.dtype, device: like.device })
  return run.resize(identity.reshape([1, from, 1, from]), to, 1).reshape([to, from])
}
