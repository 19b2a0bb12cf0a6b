import { isGradEnabled, record } from '../autograd.js'
import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'
import { tracked } from './support.js'

/** Normalised exponentials along `dim`: y = exp(x - max x) / Σ exp(x - max x). PyTorch: `F.softmax`. */
export function softmax(x: Tensor, dim = -1): Tensor {
  const y = run.softmax(x, dim)
  if (!tracked(x)) return y
  return record(y, {
    op: 'softmax',
    inputs: [x],
    saved: [y],
    // y (dy - Σ y dy)
    backward: (dy, y) => [() => (isGradEnabled() ? y!.mul(dy.sub(total(y!.mul(dy), dim))) : run.softmaxGrad(y!, dy, dim))],
  })
}

/** log softmax(x) along `dim`: x - max x - log Σ exp(x - max x). PyTorch: `F.log_softmax`. */
export function logSoftmax(x: Tensor, dim = -1): Tensor {
  const y = run.logSoftmax(x, dim)
  if (!tracked(x)) return y
  return record(y, {
    op: 'logSoftmax',
    inputs: [x],
    saved: [y],
    // dy - eʸ Σ dy
    backward: (dy, y) => [() => (isGradEnabled() ? dy.sub(y!.exp().mul(total(dy, dim))) : run.logSoftmaxGrad(y!, dy, dim))],
  })
}

function total(x: Tensor, dim: number): Tensor {
  return x.ndim === 0 ? x : x.sum([dim], { keepdim: true })
}

/** softmax(-x): the smallest gets the most. PyTorch: `F.softmin`. */
export function softmin(x: Tensor, dim = -1): Tensor {
  return softmax(x.neg(), dim)
}
