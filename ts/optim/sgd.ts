import { type Tensor, ValueError } from '../index.js'
import { run, settle } from '../internal.js'
import type { CommonOptions, ParameterGroup, Parameters, Update } from './group.js'
import { Optimizer } from './optimizer.js'

/** Options of `SGD`. */
export interface SGDOptions extends CommonOptions {
  /** Share of the last direction that is kept. Default 0. */
  momentum?: number
  /** Share of the new gradient that is left out of the direction. Default 0. */
  dampening?: number
  /** Looks ahead along the direction; wants momentum above 0 and no dampening. Default false. */
  nesterov?: boolean
}

/**
 * Stochastic gradient descent: v = momentum * v + (1 - dampening) * g; p = p - lr * v (Nesterov: p - lr * (g + momentum * v)).
 * `lr` defaults to 0.001. PyTorch: `torch.optim.SGD`.
 *
 * ```js
 * const optimizer = new optim.SGD(model.parameters(), { lr: 0.1, momentum: 0.9, nesterov: true })
 * ```
 */
export class SGD extends Optimizer<SGDOptions> {
  constructor(params: Parameters<SGDOptions>, options: SGDOptions = {}) {
    super(
      params,
      settle(new.target.name, options, { lr: 1e-3, weightDecay: 0, l1: 0, maximize: false, momentum: 0, dampening: 0, nesterov: false }),
    )
  }

  protected override validate(group: ParameterGroup<SGDOptions>): void {
    super.validate(group)
    this.check('momentum', group.momentum, 0, Infinity)
    this.check('dampening', group.dampening, 0, Infinity)
    if (group.nesterov && (group.momentum === 0 || group.dampening !== 0))
      throw new ValueError('SGD: nesterov wants momentum above 0 and dampening 0.')
  }

  protected slots({ momentum }: ParameterGroup<SGDOptions>): Record<string, number> {
    return momentum === 0 ? {} : { momentum: 0 }
  }

  protected hyper({ lr, weightDecay, l1, momentum, dampening }: ParameterGroup<SGDOptions>): number[] {
    return [lr, weightDecay, l1, momentum, dampening]
  }

  protected switches({ nesterov, maximize, momentum }: ParameterGroup<SGDOptions>): boolean[] {
    return [nesterov, maximize, momentum === 0]
  }

  protected update(
    { nesterov, maximize }: ParameterGroup<SGDOptions>,
    { grads, rows, scale, hyper, params, state: [momentum = []], step }: Update,
  ): void {
    run.sgd(grads, rows, scale, hyper, params, momentum, step, nesterov, maximize)
  }
}

/** Options of `GD`. */
export type GDOptions = CommonOptions

/**
 * Gradient descent on the whole data set: p = p - lr * g, one step an epoch. In a `Trainer` the batch is all samples unless a `batchSize`
 * is given.
 * `lr` defaults to 0.01.
 */
export class GD extends SGD {
  /** Tells the trainer to take all samples as one batch. */
  readonly fullBatch = true

  constructor(params: Iterable<Tensor> | Parameters<SGDOptions>, options: GDOptions = {}) {
    super(params, settle(new.target.name, options, { lr: 1e-2, weightDecay: 0, l1: 0, maximize: false }))
  }
}
