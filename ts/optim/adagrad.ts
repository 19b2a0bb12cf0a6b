import { run, settle } from '../internal.js'
import type { CommonOptions, ParameterGroup, Parameters, Update } from './group.js'
import { Optimizer } from './optimizer.js'

/** Options of `Adagrad`. */
export interface AdagradOptions extends CommonOptions {
  /** The rate falls as lr / (1 + (t - 1) * lrDecay). Default 0. */
  lrDecay?: number
  /** Added to the root for stability. Default 1e-10. */
  eps?: number
  /** First value of the sum of squares. Default 0. */
  initialAccumulatorValue?: number
}

/**
 * Adagrad (Duchi et al. 2011): s = s + g^2; p = p - lr * g / (sqrt(s) + eps).
 * `lr` defaults to 0.01. PyTorch: `torch.optim.Adagrad`.
 */
export class Adagrad extends Optimizer<AdagradOptions> {
  constructor(params: Parameters<AdagradOptions>, options: AdagradOptions = {}) {
    super(
      params,
      settle(new.target.name, options, { lr: 1e-2, weightDecay: 0, l1: 0, maximize: false, lrDecay: 0, eps: 1e-10, initialAccumulatorValue: 0 }),
    )
  }

  protected override validate(group: ParameterGroup<AdagradOptions>): void {
    super.validate(group)
    for (const name of ['lrDecay', 'eps', 'initialAccumulatorValue'] as const) this.check(name, group[name], 0, Infinity)
  }

  protected slots({ initialAccumulatorValue }: ParameterGroup<AdagradOptions>): Record<string, number> {
    return { sum: initialAccumulatorValue }
  }

  protected hyper({ lr, weightDecay, l1, lrDecay, eps }: ParameterGroup<AdagradOptions>): number[] {
    return [lr, weightDecay, l1, lrDecay, eps]
  }

  protected switches({ maximize }: ParameterGroup<AdagradOptions>): boolean[] {
    return [maximize]
  }

  protected update({ maximize }: ParameterGroup<AdagradOptions>, { grads, rows, scale, hyper, params, state: [sum = []], step }: Update): void {
    run.adagrad(grads, rows, scale, hyper, params, sum, step, maximize)
  }
}
