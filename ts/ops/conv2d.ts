import { calledAs, ShapeError, ValueError } from '../errors.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import type { Activation } from './activation-code.js'
import { asImages, type ConvOptions, flatOptions, geometry } from './conv-options.js'
import { convolve, inputGradient, kernelOf } from './conv2d-record.js'
import { pair, type Shape, show } from './support.js'

export type { Activation } from './activation-code.js'
export type { ConvOptions, Padding } from './conv-options.js'

/**
 * Convolution (cross-correlation, as everywhere) of images: x [N, H, W, C], weight [O, KH, KW, C / groups], bias [O], y [N, OH, OW, O] with
 * OH = (H + top + bottom - dilation (KH - 1) - 1) / stride + 1. `activation: 'relu'` is applied in the same pass. PyTorch: `F.conv2d` (NCHW
 * there).
 * @throws ShapeError, ValueError
 */
export function conv2d(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvOptions & { activation?: Activation } = {},
): Tensor {
  return convolve(x, weight, bias, geometry('conv2d', kernelOf('conv2d', weight), options), options.activation ?? 'none')
}

/**
 * Convolution of sequences: x [N, T, C], weight [O, K, C / groups], bias [O], y [N, T', O]; padding is a number or [before, after].
 * PyTorch: `F.conv1d` (NCT there).
 */
export function conv1d(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null = null,
  options: ConvOptions & { activation?: Activation } = {},
): Tensor {
  if (weight.ndim !== 3)
    throw new ShapeError(`conv1d: weight must be [O, K, C / groups], got ${show(weight.shape)}.`, { op: 'conv1d', shapes: [weight.shape] })
  return scope(() =>
    conv2d(asImages('conv1d', x), weight.unsqueeze(1), bias, {
      ...flatOptions('conv1d', options),
      activation: options.activation ?? 'none',
    }).squeeze(1),
  )
}

/** Options of the transposed convolutions. */
export interface ConvTransposeOptions extends ConvOptions {
  /** Rows and columns added at the end, fewer than the stride or the dilation, to choose among the sizes that one stride maps to the same. */
  outputPadding?: number | Shape
}

/**
 * The transposed convolution, which runs conv2d's gradient forward: x [N, H, W, C], weight [C, KH, KW, O / groups], bias [O], y [N, OH, OW,
 * O] with OH = (H - 1) stride - top - bottom + dilation (KH - 1) + outputPadding + 1. PyTorch: `F.conv_transpose2d`.
 * @throws ShapeError, ValueError
 */
export function convTranspose2d(x: Tensor, weight: Tensor, bias: Tensor | null = null, options: ConvTransposeOptions = {}): Tensor {
  const op = 'convTranspose2d'
  const kernel = kernelOf(op, weight)
  if (x.ndim !== 4) throw new ShapeError(`${op}: input must be [N, H, W, C], got ${show(x.shape)}.`, { op, shapes: [x.shape] })
  const g = geometry(op, kernel, options)
  const extra = pair(op, 'outputPadding', options.outputPadding ?? 0)
  const most = [0, 1].map((i) => Math.max(g.stride[i]!, g.dilation[i]!) - 1)
  if (extra.some((size, i) => !Number.isInteger(size) || size < 0 || size > most[i]!)) {
    const limits = `stride ${show(g.stride)} and dilation ${show(g.dilation)}`
    throw new ValueError(`${op}: outputPadding ${show(extra)} must be whole numbers from 0, less than the larger of ${limits}.\n  Use at most ${show(most)}.`, { op })
  }
  const [height, width] = [0, 1].map(
    (i) =>
      (x.shape[1 + i]! - 1) * g.stride[i]! - g.padding[2 * i]! - g.padding[2 * i + 1]! + g.dilation[i]! * (kernel[i]! - 1) + extra[i]! + 1,
  ) as [number, number]
  return scope(() => {
    // From the stride on, the convolution of so large an output has more rows than x, as if those of x that are not there were zeros.
    const partial = extra.some((size, i) => size >= g.stride[i]!)
    const y = calledAs(op, 'conv2dInputGrad', () => inputGradient(x, weight, height, width, g, partial))
    return bias ? y.add(bias) : y
  })
}

/** {@link convTranspose2d} of sequences: x [N, T, C], weight [C, K, O / groups], bias [O]. PyTorch: `F.conv_transpose1d`. */
export function convTranspose1d(x: Tensor, weight: Tensor, bias: Tensor | null = null, options: ConvTransposeOptions = {}): Tensor {
  const op = 'convTranspose1d'
  if (weight.ndim !== 3)
    throw new ShapeError(`${op}: weight must be [C, K, O / groups], got ${show(weight.shape)}.`, { op, shapes: [weight.shape] })
  const { outputPadding = 0 } = options
  const extra = typeof outputPadding === 'number' ? outputPadding : outputPadding[0]!
  return scope(() =>
    convTranspose2d(asImages(op, x), weight.unsqueeze(1), bias, { ...flatOptions(op, options), outputPadding: [0, extra] }).squeeze(1),
  )
}
