import {
  adaptiveAvgPool2d, adaptiveMaxPool2d, avgPool1d, avgPool2d, type AvgPoolOptions, maxPool1d, maxPool2d, type MaxPoolOptions,
} from '../ops/pool2d.js'
import type { Tensor } from '../tensor.js'
import { type Pair, pair } from './conv.js'
import { Module } from './module.js'

export type { AvgPoolOptions, MaxPoolOptions }

/**
 * The largest element of each window: [N, H, W, C] -> [N, OH, OW, C]. NaN wins; of equal elements the first gets the gradient. PyTorch:
 * `nn.MaxPool2d`.
 */
export class MaxPool2d extends Module {
  constructor(readonly kernelSize: Pair, readonly options: MaxPoolOptions = {}) {
    super()
  }

  forward(x: Tensor): Tensor {
    return maxPool2d(x, this.kernelSize, this.options)
  }

  override flops(_inputs: readonly Tensor[], output: Tensor): number {
    return output.size * area(this.kernelSize)
  }

  override extraRepr(): string {
    return repr(this.kernelSize, this.options)
  }
}

/** The mean of each window: [N, H, W, C] -> [N, OH, OW, C]. PyTorch: `nn.AvgPool2d`. */
export class AvgPool2d extends Module {
  constructor(readonly kernelSize: Pair, readonly options: AvgPoolOptions = {}) {
    super()
  }

  forward(x: Tensor): Tensor {
    return avgPool2d(x, this.kernelSize, this.options)
  }

  override flops(_inputs: readonly Tensor[], output: Tensor): number {
    return output.size * area(this.kernelSize)
  }

  override extraRepr(): string {
    return repr(this.kernelSize, this.options)
  }
}

/** The largest element of each window of a sequence: [N, T, C] -> [N, OT, C]. PyTorch: `nn.MaxPool1d`. */
export class MaxPool1d extends Module {
  constructor(readonly kernelSize: number, readonly options: MaxPoolOptions<number> = {}) {
    super()
  }

  forward(x: Tensor): Tensor {
    return maxPool1d(x, this.kernelSize, this.options)
  }

  override flops(_inputs: readonly Tensor[], output: Tensor): number {
    return output.size * this.kernelSize
  }

  override extraRepr(): string {
    return repr(this.kernelSize, this.options)
  }
}

/** The mean of each window of a sequence: [N, T, C] -> [N, OT, C]. PyTorch: `nn.AvgPool1d`. */
export class AvgPool1d extends Module {
  constructor(readonly kernelSize: number, readonly options: AvgPoolOptions<number> = {}) {
    super()
  }

  forward(x: Tensor): Tensor {
    return avgPool1d(x, this.kernelSize, this.options)
  }

  override flops(_inputs: readonly Tensor[], output: Tensor): number {
    return output.size * this.kernelSize
  }

  override extraRepr(): string {
    return repr(this.kernelSize, this.options)
  }
}

/** A number, [height, width], or null in place of a size that stays. */
export type AdaptiveSize = number | readonly [number | null, number | null]

/** Means over a grid of the given size, whatever the image's: [N, H, W, C] -> [N, height, width, C]. PyTorch: `nn.AdaptiveAvgPool2d`. */
export class AdaptiveAvgPool2d extends Module {
  constructor(readonly outputSize: AdaptiveSize) {
    super()
  }

  forward(x: Tensor): Tensor {
    return adaptiveAvgPool2d(x, gridSize(this.outputSize, x))
  }

  override flops(inputs: readonly Tensor[]): number {
    return inputs[0]?.size ?? 0
  }

  override extraRepr(): string {
    return String(this.outputSize)
  }
}

/** Maxima over a grid of the given size: [N, H, W, C] -> [N, height, width, C]. PyTorch: `nn.AdaptiveMaxPool2d`. */
export class AdaptiveMaxPool2d extends Module {
  constructor(readonly outputSize: AdaptiveSize) {
    super()
  }

  forward(x: Tensor): Tensor {
    return adaptiveMaxPool2d(x, gridSize(this.outputSize, x))
  }

  override flops(inputs: readonly Tensor[]): number {
    return inputs[0]?.size ?? 0
  }

  override extraRepr(): string {
    return String(this.outputSize)
  }
}

function gridSize(size: AdaptiveSize, x: Tensor): [number, number] {
  const [height, width] = typeof size === 'number' ? [size, size] : size
  return [height ?? (x.shape[1] as number), width ?? (x.shape[2] as number)]
}

function area(kernel: Pair): number {
  const [height, width] = pair(kernel)
  return height * width
}

function repr(kernel: Pair, options: object): string {
  return [String(kernel).replace(',', 'x'), ...Object.entries(options).map(([name, value]) => `${name}=${String(value)}`)].join(', ')
}
