import { run, settle } from '../internal.js'
import type { CommonOptions, ParameterGroup, Parameters, Update } from './group.js'
import { Optimizer } from './optimizer.js'

/** Options of `Adam` and `AdamW`. */
export interface AdamOptions extends CommonOptions {
  /** Decay rates of the means of the gradient and of its square. Default [0.9, 0.999]. */
  betas?: readonly [number, number]
  /** Added to the root for stability. Default 1e-8. */
  eps?: number
  /** Divides by the largest mean square so far. Default false. */
  amsgrad?: boolean
}

const DEFAULTS: Required<AdamOptions> = {
  lr: 1e-3, weightDecay: 0, l1: 0, maximize: false, betas: [0.9, 0.999], eps: 1e-8, amsgrad: false,
}

/**
 * Adam (Kingma and Ba 2015): m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2; p = p - lr * m' / (sqrt(v') + eps) with m' = m / (1 - b1^t),
 * v' = v / (1 - b2^t).
 * `lr` defaults to 0.001. PyTorch: `torch.optim.Adam`.
 */
export class Adam extends Optimizer<AdamOptions> {
  constructor(params: Parameters<AdamOptions>, options: AdamOptions = {}) {
    super(params, settle(new.target.name, options, DEFAULTS))
  }

  protected override validate(group: ParameterGroup<AdamOptions>): void {
    super.validate(group)
    this.check('betas[0]', group.betas[0], 0, 1)
    this.check('betas[1]', group.betas[1], 0, 1)
    this.check('eps', group.eps, 0, Infinity)
  }

  protected slots({ amsgrad }: ParameterGroup<AdamOptions>): Record<string, number> {
    return amsgrad ? { expAvg: 0, expAvgSq: 0, maxExpAvgSq: 0 } : { expAvg: 0, expAvgSq: 0 }
  }

  protected hyper({ lr, weightDecay, l1, betas, eps }: ParameterGroup<AdamOptions>): number[] {
    return [lr, weightDecay, l1, betas[0], betas[1], eps]
  }

  protected switches({ amsgrad, maximize }: ParameterGroup<AdamOptions>): boolean[] {
    return [amsgrad, maximize]
  }

  /** Whether the weight decay shrinks the weights directly instead of entering the gradient. */
  protected get decoupled(): boolean {
    return false
  }

  protected update(
    { amsgrad, maximize }: ParameterGroup<AdamOptions>,
    { grads, rows, scale, hyper, params, state: [mean = [], square = [], largest = []], step }: Update,
  ): void {
    run.adam(grads, rows, scale, hyper, params, mean, square, largest, step, this.decoupled, amsgrad, maximize)
  }
}

/**
 * Adam with decoupled weight decay (Loshchilov and Hutter 2019): p = p - lr * weightDecay * p before Adam's update.
 * `lr` defaults to 0.001, `weightDecay` to 0.01. PyTorch: `torch.optim.AdamW`. @see decayGroups to spare biases and norms.
 */
export class AdamW extends Adam {
  constructor(params: Parameters<AdamOptions>, options: AdamOptions = {}) {
    super(params, settle(new.target.name, options, { ...DEFAULTS, weightDecay: 1e-2 }))
  }

  protected override get decoupled(): boolean {
    return true
  }
}
