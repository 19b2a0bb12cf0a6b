import { ValueError } from '../errors.js'
import { scope } from '../scope.js'
import { declareLoss, type Loss, LossModule, type LossOptions, matched, reduce } from './loss.js'

const traits = { task: 'regression', fromLogits: false } as const

/** Mean of (output - target)². PyTorch: `F.mse_loss`; Keras: `mean_squared_error`. */
export const mse: Loss<LossOptions> = declareLoss(traits, { reduction: 'mean' }, function mse(output, target, { reduction }) {
  return scope(() => reduce('mse', output.sub(matched('mse', output, target)).square(), reduction))
})

/** Mean of |output - target|. PyTorch: `F.l1_loss`; Keras: `mean_absolute_error`. */
export const l1: Loss<LossOptions> = declareLoss(traits, { reduction: 'mean' }, function l1(output, target, { reduction }) {
  return scope(() => reduce('l1', output.sub(matched('l1', output, target)).abs(), reduction))
})

/** Options of `huber`. */
export interface HuberOptions extends LossOptions {
  /** Where the square turns into a line (1), in the target's unit. */
  delta?: number
}

/** e² / 2 for errors up to delta, delta (|e| - delta / 2) beyond. PyTorch: `F.huber_loss`. */
export const huber: Loss<HuberOptions> = declareLoss(traits, { reduction: 'mean', delta: 1 }, function huber(output, target, { reduction, delta }) {
  if (!(delta > 0)) throw new ValueError(`huber: delta must be positive, not ${delta}`, { op: 'huber' })
  return scope(() => {
    const error = output.sub(matched('huber', output, target)).abs()
    const square = error.minimum(delta)
    return reduce('huber', square.mul(error.sub(square.mul(0.5))), reduction)
  })
})

/** Options of `smoothL1`. */
export interface SmoothL1Options extends LossOptions {
  /** Where the square turns into a line (1), in the target's unit; 0 gives `l1`. */
  beta?: number
}

/** e² / (2 beta) for errors below beta, |e| - beta / 2 beyond. Girshick, 2015. PyTorch: `F.smooth_l1_loss`. */
export const smoothL1: Loss<SmoothL1Options> = declareLoss(traits, { reduction: 'mean', beta: 1 }, function smoothL1(output, target, { reduction, beta }) {
  if (!(beta >= 0)) throw new ValueError(`smoothL1: beta must not be negative, got ${beta}`, { op: 'smoothL1' })
  if (beta === 0) return l1(output, target, { reduction })
  return scope(() => huber(output, target, { reduction, delta: beta }).div(beta))
})

/** `mse` with its options. PyTorch: `nn.MSELoss`. */
export class MSELoss extends LossModule<LossOptions> {
  constructor(options: LossOptions = {}) {
    super(mse, options)
  }
}

/** `l1` with its options. PyTorch: `nn.L1Loss`. */
export class L1Loss extends LossModule<LossOptions> {
  constructor(options: LossOptions = {}) {
    super(l1, options)
  }
}

/** `huber` with its options. PyTorch: `nn.HuberLoss`. */
export class HuberLoss extends LossModule<HuberOptions> {
  constructor(options: HuberOptions = {}) {
    super(huber, options)
  }
}

/** `smoothL1` with its options. PyTorch: `nn.SmoothL1Loss`. */
export class SmoothL1Loss extends LossModule<SmoothL1Options> {
  constructor(options: SmoothL1Options = {}) {
    super(smoothL1, options)
  }
}
