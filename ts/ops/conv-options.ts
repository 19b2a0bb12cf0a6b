import { ShapeError, ValueError } from '../errors.js'
import type { Tensor } from '../tensor.js'
import { pair, type Shape, show } from './support.js'

/** Border of zeros: one number, [height, width], [top, bottom, left, right], 'same' (stride 1: the size stays) or 'valid' (none). */
export type Padding = number | Shape | 'same' | 'valid'

/** Options of the convolutions. */
export interface ConvOptions {
  /** Elements from one window to the next: a number, or [height, width]. Default 1. */
  stride?: number | Shape
  /** A border of zeros around the input. Default 0. */
  padding?: Padding
  /** Elements from one of the kernel's taps to the next: a number, or [height, width]. Default 1. */
  dilation?: number | Shape
  /** Input and output channels fall into this many groups that do not see each other. */
  groups?: number
}

/** The geometry as the op table takes it. */
export interface Geometry {
  stride: [number, number]
  padding: [number, number, number, number]
  dilation: [number, number]
  groups: number
}

/** The geometry of a convolution with a kernel of [height, width]. */
export function geometry(op: string, kernel: Shape, { stride = 1, padding = 0, dilation = 1, groups = 1 }: ConvOptions): Geometry {
  const steps = pair(op, 'stride', stride)
  const spread = pair(op, 'dilation', dilation)
  return { stride: steps, padding: borders(op, padding, kernel, steps, spread), dilation: spread, groups }
}

function borders(op: string, padding: Padding, kernel: Shape, stride: Shape, dilation: Shape): [number, number, number, number] {
  if (padding === 'valid') return [0, 0, 0, 0]
  if (padding === 'same') {
    if (stride.some((s) => s !== 1))
      throw new ValueError(`${op}: padding 'same' needs stride 1, got ${show(stride)}. Give the padding in numbers.`, { op })
    const [h, w] = kernel.map((k, i) => dilation[i]! * (k - 1)) as [number, number]
    // An odd border has its larger part at the end, as in PyTorch.
    return [Math.floor(h / 2), Math.ceil(h / 2), Math.floor(w / 2), Math.ceil(w / 2)]
  }
  if (typeof padding === 'number') return [padding, padding, padding, padding]
  if (typeof padding !== 'string' && padding.length === 2) return [padding[0]!, padding[0]!, padding[1]!, padding[1]!]
  if (typeof padding !== 'string' && padding.length === 4) return [padding[0]!, padding[1]!, padding[2]!, padding[3]!]
  throw new ValueError(
    `${op}: padding is a number, [height, width], [top, bottom, left, right], 'same' or 'valid'; got ${JSON.stringify(padding)}.`,
    { op },
  )
}

/** Options of one dimension as those of two, the height being 1. */
export function flatOptions(op: string, { stride = 1, padding = 0, dilation = 1, groups = 1 }: ConvOptions): ConvOptions {
  const single = (name: string, value: number | Shape): number => {
    if (typeof value === 'number') return value
    if (value.length === 1) return value[0]!
    throw new ValueError(`${op}: ${name} takes one number, got ${show(value)}.`, { op })
  }
  const ends =
    typeof padding === 'string'
      ? padding
      : typeof padding !== 'number' && padding.length === 2
        ? [0, 0, padding[0]!, padding[1]!]
        : [0, single('padding', padding)]
  return { stride: [1, single('stride', stride)], padding: ends, dilation: [1, single('dilation', dilation)], groups }
}

/** A batch of sequences [N, T, C] as one of images [N, 1, T, C]. */
export function asImages(op: string, x: Tensor): Tensor {
  if (x.ndim !== 3) throw new ShapeError(`${op}: input must be [N, T, C], got ${show(x.shape)}.`, { op, shapes: [x.shape] })
  return x.unsqueeze(1)
}
