import { record } from '../autograd.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { declareLoss, type Loss, LossModule, type LossOptions, matched, reduce, type Weights, weightsLike } from './loss.js'

/** Options of `bce`. */
export interface BceOptions extends LossOptions {
  /** Multiplies each loss; broadcast against the output. */
  weight?: Weights
  /** True where the outputs are logits: `bceWithLogits` then. */
  fromLogits?: boolean
}

/** Options of `bceWithLogits`. */
export interface BceWithLogitsOptions extends LossOptions {
  /** Multiplies each loss; broadcast against the output. */
  weight?: Weights
  /** Multiplies the positive examples' part, one an output: above 1 for recall, below for precision. */
  posWeight?: Weights
}

const probabilities = { task: 'binary', fromLogits: false } as const

/**
 * Binary cross-entropy of probabilities: -(t log p + (1 - t) log(1 - p)); labels 0 or 1, or between, shaped as the output or [N] for [N,
 * 1].
 * Logarithms are at least -100, and the gradient divides by at least 1e-12, as in PyTorch; the gradient of the labels, log(1 - p) - log p,
 * has no such bound there and is infinite at 0 and 1. An output that is no probability, below 0 or above 1, gives NaN (PyTorch throws, after
 * reading every output; here nothing waits for values). From logits `bceWithLogits` is exact and faster.
 * PyTorch: `F.binary_cross_entropy`; Keras: `binary_crossentropy`.
 */
export const bce: Loss<BceOptions> = declareLoss(probabilities, { reduction: 'mean', weight: undefined, fromLogits: false }, function bce(output, target, options) {
  const { reduction, weight, fromLogits } = options
  if (fromLogits) return bceWithLogits(output, target, weight === undefined ? { reduction } : { reduction, weight })
  return scope(() => {
    const losses = bceElements(output, matched('bce', output, target))
    return reduce('bce', weight === undefined ? losses : losses.mul(weightsLike(weight, output)), reduction)
  })
})

// PyTorch's bound is a float32 constant in float64 too.
const SMALLEST = Math.fround(1e-12)

function bceElements(p: Tensor, t: Tensor): Tensor {
  const [pValue, tValue] = [p.detach(), t.detach()]
  const logP = pValue.log().maximum(-100)
  const logNotP = pValue.neg().log1p().maximum(-100)
  const losses = tValue.mul(logP).add(tValue.rsub(1).mul(logNotP)).neg()
  return record(losses, {
    op: 'bce', inputs: [p, t], saved: [p, t],
    backward: (dy, p, t) => [
      () => dy.mul(p!.sub(t!)).div(p!.mul(p!.rsub(1)).maximum(SMALLEST)),
      () => dy.mul(p!.neg().log1p().sub(p!.log())),
    ],
  })
}

/**
 * Binary cross-entropy of logits x: -(posWeight t log σ(x) + (1 - t) log(1 - σ(x))), without overflow for any x.
 * PyTorch: `F.binary_cross_entropy_with_logits`.
 */
export const bceWithLogits: Loss<BceWithLogitsOptions> = declareLoss(
  { task: 'binary', fromLogits: true },
  { reduction: 'mean', weight: undefined, posWeight: undefined },
  function bceWithLogits(output, target, { reduction, weight, posWeight }) {
    return scope(() => {
      const t = matched('bceWithLogits', output, target)
      // log(1 - σ(x)) = log σ(x) - x
      const logSigmoid = output.logSigmoid()
      const positives = posWeight === undefined ? logSigmoid : t.mul(weightsLike(posWeight, output).sub(1)).add(1).mul(logSigmoid)
      const losses = t.rsub(1).mul(output).sub(positives)
      return reduce('bceWithLogits', weight === undefined ? losses : losses.mul(weightsLike(weight, output)), reduction)
    })
  },
)

/** `bce` with its options. PyTorch: `nn.BCELoss`. */
export class BCELoss extends LossModule<BceOptions> {
  constructor(options: BceOptions = {}) {
    super(bce, options)
  }
}

/** `bceWithLogits` with its options. PyTorch: `nn.BCEWithLogitsLoss`. */
export class BCEWithLogitsLoss extends LossModule<BceWithLogitsOptions> {
  constructor(options: BceWithLogitsOptions = {}) {
    super(bceWithLogits, options)
  }
}
