import { flatten, unflatten } from '../ops/shape.js'
import type { Tensor } from '../tensor.js'
import { Module } from './module.js'

/** Makes one dimension of `startDim` (1) to `endDim` (the last): [N, H, W, C] -> [N, H * W * C]. PyTorch: `nn.Flatten`. */
export class Flatten extends Module {
  readonly startDim: number
  readonly endDim: number

  constructor({ startDim = 1, endDim = -1 }: { startDim?: number; endDim?: number } = {}) {
    super()
    this.startDim = startDim
    this.endDim = endDim
  }

  forward(x: Tensor): Tensor {
    return flatten(x, this.startDim, this.endDim)
  }
}

/** Splits dimension `dim` into `sizes`, one of which may be -1. PyTorch: `nn.Unflatten`. */
export class Unflatten extends Module {
  constructor(readonly dim: number, readonly sizes: readonly number[]) {
    super()
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
