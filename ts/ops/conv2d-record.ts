import { record } from '../autograd.js'
import { ShapeError } from '../errors.js'
import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'
import { type Activation, activationCode, activationGradient } from './activation-code.js'
import type { Geometry } from './conv-options.js'
import { show, tracked } from './support.js'

// What the convolutions are made of: the op, and its gradients with their own.

/** The kernel's height and width. */
export function kernelOf(op: string, weight: Tensor): [number, number] {
  if (weight.ndim !== 4)
    throw new ShapeError(`${op}: weight must have four dimensions, got ${show(weight.shape)}.`, { op, shapes: [weight.shape] })
  return [weight.shape[1]!, weight.shape[2]!]
}

/** y = activation(x * weight + bias), with its gradients. */
export function convolve(x: Tensor, weight: Tensor, bias: Tensor | null, g: Geometry, activation: Activation): Tensor {
  const y = run.conv2d(x, weight, bias, g.stride, g.padding, g.dilation, g.groups, activationCode('conv2d', activation))
  if (!tracked(x) && !tracked(weight) && !(bias && tracked(bias))) return y
  const [, height, width] = x.shape as [number, number, number]
  const kernel = kernelOf('conv2d', weight)
  return record(y, {
    op: 'conv2d',
    inputs: bias ? [x, weight, bias] : [x, weight],
    saved: activation === 'none' ? [x, weight] : [x, weight, y],
    backward: (dy, x, weight, y) => {
      // Once for both gradients: what comes back through a concat is a part of something wider.
      const d = activationGradient(activation, y!, dy).contiguous()
      return [() => inputGradient(d, weight!, height, width, g), () => weightGradient(x!, d, kernel, g), () => d.sum([0, 1, 2])]
    },
  })
}

// Both gradients are linear in both of their operands, and what they send back are again convolutions: derivatives of every order follow.

/** dx of a convolution. With `partial`, dy may lack rows at the bottom and columns to the right, which count as zeros. */
export function inputGradient(dy: Tensor, weight: Tensor, height: number, width: number, g: Geometry, partial = false): Tensor {
  const dx = run.conv2dInputGrad(dy, weight, height, width, g.stride, g.padding, g.dilation, g.groups, partial)
  if (!tracked(dy) && !tracked(weight)) return dx
  const kernel = kernelOf('conv2d', weight)
  return record(dx, {
    op: 'conv2dInputGradient',
    inputs: [dy, weight],
    saved: [dy, weight],
    backward: (ddx, dy, weight) => [
      () => cornerLike(dy!, convolve(ddx, weight!, null, g, 'none')),
      () => weightGradient(ddx, dy!, kernel, g, partial),
    ],
  })
}

/** dweight of a convolution; `partial` as in `inputGradient`. */
export function weightGradient(x: Tensor, dy: Tensor, kernel: [number, number], g: Geometry, partial = false): Tensor {
  const dw = run.conv2dWeightGrad(x, dy, kernel, g.stride, g.padding, g.dilation, g.groups, partial)
  if (!tracked(x) && !tracked(dy)) return dw
  const [, height, width] = x.shape as [number, number, number]
  return record(dw, {
    op: 'conv2dWeightGradient',
    inputs: [x, dy],
    saved: [x, dy],
    backward: (ddw, x, dy) => [
      () => inputGradient(dy!, ddw, height, width, g, partial),
      () => cornerLike(dy!, convolve(x!, ddw, null, g, 'none')),
    ],
  })
}

/** The rows and columns of y that dy has: the others of a partial dy were zeros, whose gradient nobody wants. */
function cornerLike(dy: Tensor, y: Tensor): Tensor {
  const [, height, width] = dy.shape as [number, number, number]
  return y.shape[1] === height && y.shape[2] === width ? y : y.narrow(1, 0, height).narrow(2, 0, width)
}
