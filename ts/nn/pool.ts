import {
  adaptiveAvgPool1d, adaptiveAvgPool2d, adaptiveMaxPool1d, adaptiveMaxPool2d, avgPool1d, avgPool2d, type AvgPoolOptions, maxPool1d, maxPool2d,
  type MaxPoolOptions,
} from '../ops/pool2d.js'
import { ValueError } from '../errors.js'
import { settle } from '../options.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { border, type Pair, pair, positive, switches } from './arguments.js'
import { Module } from './module.js'

export type { AvgPoolOptions, MaxPoolOptions }

/**
 * The largest element of each window: [N, H, W, C] -> [N, OH, OW, C]. NaN wins; of equal elements the first gets the gradient. PyTorch:
 * `nn.MaxPool2d`.
 */
export class MaxPool2d extends Module {
  constructor(
    /** The window: a number, or [height, width]. */
    readonly kernelSize: Pair,
    /** The options it was made with. */
    readonly options: MaxPoolOptions = {},
  ) {
    super()
    checkWindow2d('MaxPool2d', kernelSize, settle('MaxPool2d', options, { stride: kernelSize, padding: 0, dilation: 1, ceilMode: false }))
  }

  forward(x: Tensor): Tensor {
    return maxPool2d(x, this.kernelSize, this.options)
  }

  /** The window, where windows lie side by side without a border, as `conv2dPool` takes them; else null. */
  get sideBySide(): [number, number] | null {
    const two = (value: Pair): [number, number] => (typeof value === 'number' ? [value, value] : [value[0], value[1]])
    const { stride = this.kernelSize, padding = 0, dilation = 1, ceilMode = false } = this.options
    const [height, width] = two(this.kernelSize)
    const [down, right] = two(stride as Pair)
    const plain = [padding, dilation].every((value, i) => [value].flat().every((v) => v === i)) && !ceilMode
    return plain && down === height && right === width && height * width <= 255 ? [height, width] : null
  }

  override flops(_inputs: readonly Tensor[], output: Tensor): number {
    return output.size * area(this.kernelSize)
  }

  override extraRepr(): string {
    return repr(this.kernelSize, this.options)
  }
}

/** Options of `AvgPool2d`. */
export interface AvgPool2dOptions extends AvgPoolOptions {
  /** Divides each window's sum by this instead of by its size; 1 gives sums. PyTorch: `divisor_override`. */
  divisorOverride?: number
}

/** The mean of each window: [N, H, W, C] -> [N, OH, OW, C]. PyTorch: `nn.AvgPool2d`. */
export class AvgPool2d extends Module {
  constructor(
    /** The window: a number, or [height, width]. */
    readonly kernelSize: Pair,
    /** The options it was made with. */
    readonly options: AvgPool2dOptions = {},
  ) {
    super()
    const { divisorOverride, ...window } = settle('AvgPool2d', options, {
      stride: kernelSize, padding: 0, ceilMode: false, countIncludePad: true, divisorOverride: undefined,
    })
    checkWindow2d('AvgPool2d', kernelSize, window)
    if (divisorOverride === undefined) return
    positive('AvgPool2d', { divisorOverride })
    // The means are turned back into sums by the size of a whole window.
    if (window.ceilMode)
      throw new ValueError('AvgPool2d: divisorOverride does not go with ceilMode, whose last windows are smaller.\n  Pad the image instead, so that the windows fit.')
  }

  forward(x: Tensor): Tensor {
    const { divisorOverride, ...window } = this.options
    if (divisorOverride === undefined) return avgPool2d(x, this.kernelSize, window)
    return scope(() => avgPool2d(x, this.kernelSize, { ...window, countIncludePad: true }).mul(area(this.kernelSize) / divisorOverride))
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
  constructor(
    /** Length of the window. */
    readonly kernelSize: number,
    /** The options it was made with. */
    readonly options: MaxPoolOptions<number> = {},
  ) {
    super()
    checkWindow1d('MaxPool1d', kernelSize, settle('MaxPool1d', options, { stride: kernelSize, padding: 0, dilation: 1, ceilMode: false }))
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
  constructor(
    /** Length of the window. */
    readonly kernelSize: number,
    /** The options it was made with. */
    readonly options: AvgPoolOptions<number> = {},
  ) {
    super()
    checkWindow1d('AvgPool1d', kernelSize, settle('AvgPool1d', options, { stride: kernelSize, padding: 0, ceilMode: false, countIncludePad: true }))
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
  constructor(
    /** The output's size: a number, or [height, width], in which null keeps the input's. */
    readonly outputSize: AdaptiveSize,
  ) {
    super()
    checkGrid('AdaptiveAvgPool2d', outputSize)
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
  constructor(
    /** The output's size: a number, or [height, width], in which null keeps the input's. */
    readonly outputSize: AdaptiveSize,
  ) {
    super()
    checkGrid('AdaptiveMaxPool2d', outputSize)
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

/** Means over a row of the given length, whatever the sequence's: [N, T, C] -> [N, outputSize, C]. PyTorch: `nn.AdaptiveAvgPool1d`. */
export class AdaptiveAvgPool1d extends Module {
  constructor(
    /** The output's length. */
    readonly outputSize: number,
  ) {
    super()
    positive('AdaptiveAvgPool1d', { outputSize })
  }

  forward(x: Tensor): Tensor {
    return adaptiveAvgPool1d(x, this.outputSize)
  }

  override flops(inputs: readonly Tensor[]): number {
    return inputs[0]?.size ?? 0
  }

  override extraRepr(): string {
    return String(this.outputSize)
  }
}

/** Maxima over a row of the given length, whatever the sequence's: [N, T, C] -> [N, outputSize, C]. PyTorch: `nn.AdaptiveMaxPool1d`. */
export class AdaptiveMaxPool1d extends Module {
  constructor(
    /** The output's length. */
    readonly outputSize: number,
  ) {
    super()
    positive('AdaptiveMaxPool1d', { outputSize })
  }

  forward(x: Tensor): Tensor {
    return adaptiveMaxPool1d(x, this.outputSize)
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

function checkGrid(layer: string, size: AdaptiveSize): void {
  // A size that stays is as good as any that is one.
  pair(layer, 'outputSize', typeof size === 'number' ? size : ((Array.isArray(size) ? size.map((n: number | null) => n ?? 1) : size) as Pair), 1)
}

interface Window2d {
  stride: unknown
  padding: unknown
  dilation?: unknown
  ceilMode: boolean
  countIncludePad?: boolean
}

function checkWindow2d(layer: string, kernelSize: Pair, { stride, padding, dilation = 1, ceilMode, countIncludePad = true }: Window2d): void {
  const kernel = pair(layer, 'kernelSize', kernelSize, 1)
  pair(layer, 'stride', stride as Pair, 1)
  const spread = pair(layer, 'dilation', dilation as Pair, 1)
  border(layer, padding, { 2: '[height, width]', 4: '[top, bottom, left, right]' })
  switches(layer, { ceilMode, countIncludePad })
  const sides = typeof padding === 'number' ? [padding, padding] : (padding as number[])
  const reach = (dim: number): number => spread[dim]! * (kernel[dim]! - 1) + 1
  // A window in the border alone would have nothing to choose from.
  if (sides.some((side, i) => 2 * side > reach(Math.floor((i * 2) / sides.length)))) {
    throw new ValueError(`${layer}: padding ${String(padding)} is more than half of the kernel ${kernel.join('x')}`)
  }
}

function checkWindow1d(layer: string, kernelSize: number, { stride, padding, dilation = 1, ceilMode, countIncludePad = true }: Window2d): void {
  positive(layer, { kernelSize, stride, dilation })
  border(layer, padding, {})
  checkWindow2d(layer, [kernelSize, kernelSize], { stride, padding, dilation, ceilMode, countIncludePad })
}

function area(kernel: Pair): number {
  const [height, width] = typeof kernel === 'number' ? [kernel, kernel] : kernel
  return height * width
}

function repr(kernel: Pair, options: object): string {
  return [String(kernel).replace(',', 'x'), ...Object.entries(options).map(([name, value]) => `${name}=${String(value)}`)].join(', ')
}
