import { flatten, unflatten } from '../ops/shape.js'
import { settle } from '../options.js'
import type { Tensor } from '../tensor.js'
import { integers, wrong } from './arguments.js'
import { Module } from './module.js'

/** Makes one dimension of `startDim` (1) to `endDim` (the last): [N, H, W, C] -> [N, H * W * C]. PyTorch: `nn.Flatten`. */
export class Flatten extends Module {
  /** The first dimension that is merged. */
  readonly startDim: number
  /** The last dimension that is merged. */
  readonly endDim: number

  constructor(options: { startDim?: number; endDim?: number } = {}) {
    super()
    const { startDim, endDim } = settle('Flatten', options, { startDim: 1, endDim: -1 })
    integers('Flatten', { startDim, endDim })
    this.startDim = startDim
    this.endDim = endDim
  }

  forward(x: Tensor): Tensor {
    return flatten(x, this.startDim, this.endDim)
  }
}

/** Splits dimension `dim` into `sizes`, one of which may be -1. PyTorch: `nn.Unflatten`. */
export class Unflatten extends Module {
  constructor(
    /** The dimension that is split. */
    readonly dim: number,
    /** The sizes it is split into, of which one may be -1. */
    readonly sizes: readonly number[],
  ) {
    super()
    integers('Unflatten', { dim })
    const whole = Array.isArray(sizes) && sizes.every((size) => Number.isInteger(size) && size >= -1)
    if (!whole || sizes.filter((size) => size === -1).length > 1) throw wrong('Unflatten', 'sizes', 'a list of sizes, of which one may be -1', sizes)
  }

  forward(x: Tensor): Tensor {
    return unflatten(x, this.dim, this.sizes)
  }

  override extraRepr(): string {
    return `${this.dim}, [${this.sizes.join(', ')}]`
  }
}

/** Gives back its input. PyTorch: `nn.Identity`. */
export class Identity extends Module {
  forward<T>(x: T): T {
    return x
  }
}
