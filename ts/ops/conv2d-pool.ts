import { isGradEnabled, record } from '../autograd.js'
import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'
import { type Activation, activationCode } from './activation-code.js'
import { type ConvOptions, geometry } from './conv-options.js'
import { inputGradient, kernelOf, weightGradient } from './conv2d-record.js'
import { pair, type Shape, tracked } from './support.js'

/**
 * `conv2d`, its activation, and the largest element of each window of `pool` (a number, or [height, width]) in one pass: x [N, H, W, C],
 * weight [O, KH, KW, C / groups], y [N, ⌊OH / pool⌋, ⌊OW / pool⌋, O]. Windows lie side by side; rows and columns that fill none are not
 * computed. The values are those of `maxPool2d(conv2d(...).relu(), pool)`; for the gradient one byte an output is kept instead of the
 * convolution's result.
 * @throws ShapeError, ValueError
 */
export function conv2dPool(
  x: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  pool: number | Shape,
  options: ConvOptions & { activation?: Activation } = {},
): Tensor {
  const op = 'conv2dPool'
  const kernel = kernelOf(op, weight)
  const g = geometry(op, kernel, options)
  const window = pair(op, 'pool', pool)
  const code = activationCode(op, options.activation ?? 'none')
  const [y, places] = run.conv2dPool(x, weight, bias, g.stride, g.padding, g.dilation, g.groups, code, window)
  const [, height, width] = x.shape as [number, number, number]
  if (tracked(x) || tracked(weight) || (bias && tracked(bias))) {
    record(y, {
      op,
      inputs: bias ? [x, weight, bias] : [x, weight],
      saved: [x, weight, places],
      backward: (dy, x, weight, places) => {
        let spread: Tensor | null = null
        const d = (): Tensor => (spread ??= spreadGradient(dy, places!, window))
        return [() => inputGradient(whole(d()), weight!, height, width, g, true), () => weightGradient(x!, whole(d()), kernel, g, true), () => d().sum([0, 1, 2])]
      },
    })
  }
  // The graph holds its own reference.
  places.dispose()
  return y

  /** With the rows and columns that filled no window, where the gradient is to have a gradient itself. */
  function whole(d: Tensor): Tensor {
    if (!isGradEnabled()) return d
    const size = (i: 0 | 1, length: number): number =>
      Math.floor((length + g.padding[2 * i]! + g.padding[2 * i + 1]! - g.dilation[i]! * (kernel[i]! - 1) - 1) / g.stride[i]!) + 1
    return d.pad([0, 0, 0, size(1, width) - d.shape[2]!, 0, size(0, height) - d.shape[1]!])
  }
}

// Spreading is linear, and picking is its transpose: derivatives of every order follow.

function spreadGradient(dy: Tensor, places: Tensor, window: [number, number]): Tensor {
  const dx = run.poolSpread(dy, places, window)
  if (!tracked(dy)) return dx
  return record(dx, { op: 'poolSpread', inputs: [dy], saved: [places], backward: (ddx, places) => [() => pickGradient(ddx, places!, window)] })
}

function pickGradient(dx: Tensor, places: Tensor, window: [number, number]): Tensor {
  const dy = run.poolPick(dx, places, window)
  if (!tracked(dx)) return dy
  return record(dy, { op: 'poolPick', inputs: [dx], saved: [places], backward: (ddy, places) => [() => spreadGradient(ddy, places!, window)] })
}
