import { run, settle } from '../internal.js'
import type { CommonOptions, ParameterGroup, Parameters, Update } from './group.js'
import { Optimizer } from './optimizer.js'

/** Options of `RMSprop`. */
export interface RMSpropOptions extends CommonOptions {
  /** Decay rate of the mean square. Default 0.99. */
  alpha?: number
  /** Added to the root for stability. Default 1e-8. */
  eps?: number
  /** Share of the last direction that is kept. Default 0. */
  momentum?: number
  /** Divides by the spread around the mean gradient instead of the mean square. Default false. */
  centered?: boolean
}

/**
 * RMSprop (Hinton): v = alpha v + (1 - alpha) g^2; p = p - lr * g / (sqrt(v) + eps).
 * `lr` defaults to 0.01. PyTorch: `torch.optim.RMSprop`.
 */
export class RMSprop extends Optimizer<RMSpropOptions> {
  constructor(params: Parameters<RMSpropOptions>, options: RMSpropOptions = {}) {
    super(
      params,
      settle(new.target.name, options, { lr: 1e-2, weightDecay: 0, l1: 0, maximize: false, alpha: 0.99, eps: 1e-8, momentum: 0, centered: false }),
    )
  }

  protected override validate(group: ParameterGroup<RMSpropOptions>): void {
    super.validate(group)
    for (const name of ['alpha', 'eps', 'momentum'] as const) this.check(name, group[name], 0, Infinity)
  }

  protected slots({ momentum, centered }: ParameterGroup<RMSpropOptions>): Record<string, number> {
    return { squareAvg: 0, ...(centered ? { gradAvg: 0 } : {}), ...(momentum === 0 ? {} : { momentum: 0 }) }
  }

  protected hyper({ lr, weightDecay, l1, alpha, eps, momentum }: ParameterGroup<RMSpropOptions>): number[] {
    return [lr, weightDecay, l1, alpha, eps, momentum]
  }

  protected switches({ centered, maximize, momentum }: ParameterGroup<RMSpropOptions>): boolean[] {
    return [centered, maximize, momentum === 0]
  }

  protected update({ centered, maximize }: ParameterGroup<RMSpropOptions>, { grads, rows, scale, hyper, params, state, step }: Update): void {
    const [square = [], ...rest] = state
    const mean = centered ? (rest.shift() ?? []) : []
    run.rmsprop(grads, rows, scale, hyper, params, square, mean, rest[0] ?? [], step, centered, maximize)
  }
}
