import { record } from '../autograd.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { asImages } from './conv-options.js'
import { pair, type Shape, tracked } from './support.js'

/** Options of the maximum poolings. */
export interface MaxPoolOptions<Size = number | Shape> {
  /** The kernel's size if left out: windows side by side. */
  stride?: Size
  /** A border that never wins (or, for averages, of zeros): at most half of the kernel. */
  padding?: Size
  /** Elements from one of the window's places to the next. Default 1. */
  dilation?: Size
  /** Round the output size up instead of down. */
  ceilMode?: boolean
}

/** Options of the average poolings. */
export interface AvgPoolOptions<Size = number | Shape> {
  /** The kernel's size if left out: windows side by side. */
  stride?: Size
  /** A border of zeros: at most half of the kernel. Default 0. */
  padding?: Size
  /** Round the output size up instead of down. */
  ceilMode?: boolean
  /** Divide by the whole window, border included. */
  countIncludePad?: boolean
}

/**
 * Largest element of each window: x [N, H, W, C], y [N, OH, OW, C]. NaN wins, the first of equals gets the gradient. PyTorch:
 * `F.max_pool2d`.
 */
export function maxPool2d(x: Tensor, kernel: number | Shape, options: MaxPoolOptions = {}): Tensor {
  const op = 'maxPool2d'
  const window = pair(op, 'kernel', kernel)
  const [y, index] = run.maxPool2d(
    x,
    window,
    pair(op, 'stride', options.stride ?? window),
    borders(op, options.padding),
    pair(op, 'dilation', options.dilation ?? 1),
    options.ceilMode ?? false,
  )
  return largest(op, x, y, index)
}

/** Mean of each window: x [N, H, W, C], y [N, OH, OW, C]. PyTorch: `F.avg_pool2d`. */
export function avgPool2d(x: Tensor, kernel: number | Shape, options: AvgPoolOptions = {}): Tensor {
  const op = 'avgPool2d'
  const window = pair(op, 'kernel', kernel)
  return averages(
    x,
    window,
    pair(op, 'stride', options.stride ?? window),
    borders(op, options.padding),
    options.ceilMode ?? false,
    options.countIncludePad ?? true,
  )
}

/** Means over windows chosen so that the result is [N, height, width, C]. PyTorch: `F.adaptive_avg_pool2d`. */
export function adaptiveAvgPool2d(x: Tensor, size: number | Shape): Tensor {
  const [h, w] = pair('adaptiveAvgPool2d', 'size', size)
  return adaptiveAverages(x, h, w)
}

/** Largest elements over windows chosen so that the result is [N, height, width, C]. PyTorch: `F.adaptive_max_pool2d`. */
export function adaptiveMaxPool2d(x: Tensor, size: number | Shape): Tensor {
  const [h, w] = pair('adaptiveMaxPool2d', 'size', size)
  const [y, index] = run.adaptiveMaxPool2d(x, h, w)
  return largest('adaptiveMaxPool2d', x, y, index)
}

/** [height, width] as [top, bottom, left, right]. */
function borders(op: string, padding: number | Shape = 0): [number, number, number, number] {
  if (typeof padding !== 'number' && padding.length === 4) return padding as unknown as [number, number, number, number]
  const [h, w] = pair(op, 'padding', padding)
  return [h, h, w, w]
}

/** Records a maximum whose `index` says which element of its plane won. */
function largest(op: string, x: Tensor, y: Tensor, index: Tensor): Tensor {
  const [, height, width] = x.shape as [number, number, number]
  record(y, { op, inputs: [x], saved: [index], backward: (dy, index) => [() => largestGradient(dy, index!, height, width)] })
  // The graph holds its own reference.
  index.dispose()
  return y
}

function largestGradient(dy: Tensor, index: Tensor, height: number, width: number): Tensor {
  const dx = run.maxPool2dGrad(dy, index, height, width)
  if (!tracked(dy)) return dx
  return record(dx, {
    op: 'maxPool2dGradient',
    inputs: [dy],
    saved: [index],
    backward: (ddx, index) => [() => ddx.flatten(1, 2).gather(1, index!.flatten(1, 2)).reshape(index!.shape)],
  })
}

// Averages are linear: the gradient of the gradient is the average again.

function averages(x: Tensor, kernel: Shape, stride: Shape, padding: Shape, ceil: boolean, includePad: boolean): Tensor {
  const y = run.avgPool2d(x, kernel, stride, padding, ceil, includePad)
  if (!tracked(x)) return y
  const [, height, width] = x.shape as [number, number, number]
  const gradient = (dy: Tensor): Tensor => {
    const dx = run.avgPool2dGrad(dy, height, width, kernel, stride, padding, includePad)
    return tracked(dy)
      ? record(dx, {
          op: 'avgPool2dGradient',
          inputs: [dy],
          saved: [],
          backward: (ddx) => [() => averages(ddx, kernel, stride, padding, ceil, includePad)],
        })
      : dx
  }
  return record(y, { op: 'avgPool2d', inputs: [x], saved: [], backward: (dy) => [() => gradient(dy)] })
}

function adaptiveAverages(x: Tensor, h: number, w: number): Tensor {
  const y = run.adaptiveAvgPool2d(x, h, w)
  if (!tracked(x)) return y
  const [, height, width] = x.shape as [number, number, number]
  const gradient = (dy: Tensor): Tensor => {
    const dx = run.adaptiveAvgPool2dGrad(dy, height, width)
    return tracked(dy)
      ? record(dx, { op: 'adaptiveAvgPool2dGradient', inputs: [dy], saved: [], backward: (ddx) => [() => adaptiveAverages(ddx, h, w)] })
      : dx
  }
  return record(y, { op: 'adaptiveAvgPool2d', inputs: [x], saved: [], backward: (dy) => [() => gradient(dy)] })
}

// Sequences [N, T, C] are images of height 1.

/** Largest element of each window of time: x [N, T, C]. PyTorch: `F.max_pool1d`. */
export function maxPool1d(
  x: Tensor,
  kernel: number,
  { stride = kernel, padding = 0, dilation = 1, ceilMode = false }: MaxPoolOptions<number> = {},
): Tensor {
  return scope(() =>
    maxPool2d(asImages('maxPool1d', x), [1, kernel], {
      stride: [1, stride],
      padding: [0, padding],
      dilation: [1, dilation],
      ceilMode,
    }).squeeze(1),
  )
}

/** Mean of each window of time: x [N, T, C]. PyTorch: `F.avg_pool1d`. */
export function avgPool1d(
  x: Tensor,
  kernel: number,
  { stride = kernel, padding = 0, ceilMode = false, countIncludePad = true }: AvgPoolOptions<number> = {},
): Tensor {
  return scope(() =>
    avgPool2d(asImages('avgPool1d', x), [1, kernel], { stride: [1, stride], padding: [0, padding], ceilMode, countIncludePad }).squeeze(1),
  )
}

/** Means over windows chosen so that the result is [N, size, C]. PyTorch: `F.adaptive_avg_pool1d`. */
export function adaptiveAvgPool1d(x: Tensor, size: number): Tensor {
  return scope(() => adaptiveAvgPool2d(asImages('adaptiveAvgPool1d', x), [1, size]).squeeze(1))
}

/** Largest elements over windows chosen so that the result is [N, size, C]. PyTorch: `F.adaptive_max_pool1d`. */
export function adaptiveMaxPool1d(x: Tensor, size: number): Tensor {
  return scope(() => adaptiveMaxPool2d(asImages('adaptiveMaxPool1d', x), [1, size]).squeeze(1))
}
