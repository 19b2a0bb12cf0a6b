// One training step: forward, loss, backward and, when the group of accumulated batches is full, the optimizer.
import { autocast, compile, type Generator, nn, noGrad, type optim, scope, ShapeError, stack, type Tensor } from '../index.js'
import { run, withGenerator } from '../internal.js'
import { logitsOf, type ResolvedLoss } from './loss.js'
import { outputOf } from './model.js'
import type { TrainerOptions } from './options.js'
import type { Inputs } from './source.js'

/** What a step is made of. */
export interface StepSettings {
  model: nn.Module
  optimizer: optim.Optimizer
  loss: ResolvedLoss
  clip: { clipNorm?: number | undefined; clipValue?: number | undefined; refuseNonFinite?: boolean | undefined }
  generator: Generator
  compiled: boolean
  precision: Precision
}

/** What a trainer's products run in; undefined for the model's own dtype. */
export type Precision = TrainerOptions['autocast'] | null

/** How one call differs from another. */
export interface StepPlan {
  /** Batches in the group: each loss is divided by it. */
  divisor: number
  /** Whether the optimizer steps after this batch. */
  apply: boolean
  /** Whether gradient norms are measured. */
  norms: boolean
}

/** The results of a step, as promised by the stream. The caller's scope owns them. */
export interface StepResult {
  /** The mean loss, a scalar. */
  loss: Tensor
  /** The raw outputs. */
  output: Tensor
  /** Gradient norms [parameters] in the order of `TrainStep.names`, before clipping. */
  norms: Tensor | null
}

type Body = (inputs: Inputs, labels: unknown, divisor: number, apply: boolean, norms: boolean) => Tensor[]

/** The step of a model, recorded once for each kind of batch and replayed. */
export class TrainStep {
  /** Names of the trainable parameters, in the order of the norms. */
  readonly names: string[]
  #settings: StepSettings
  #modules: nn.Module[]
  #body: Body
  #forget: () => void = () => {}

  constructor(settings: StepSettings) {
    this.#settings = settings
    const { model } = settings
    this.#modules = model.modules()
    const trained = model.namedParameters().filter(([, parameter]) => parameter.requiresGrad)
    this.names = trained.map(([name]) => name)
    const parameters = trained.map(([, parameter]) => parameter)
    const body: Body = (...args) => this.#run(parameters, ...args)
    if (!settings.compiled) {
      this.#body = body
      return
    }
    const compiled = compile(body)
    this.#body = compiled
    this.#forget = () => compiled.dispose()
  }

  /** Begins a step; nothing is waited for. */
  run(inputs: Inputs, labels: unknown, { divisor, apply, norms }: StepPlan): StepResult {
    const [loss, output, measured] = inMode(this.#modules, true, () =>
      withGenerator(this.#settings.generator, () => this.#body(inputs, labels, divisor, apply, norms)),
    )
    return { loss: loss as Tensor, output: output as Tensor, norms: measured ?? null }
  }

  /** Runs something random on the run's own stream, without gradients. */
  draw<T>(body: () => T): T {
    return withGenerator(this.#settings.generator, () => noGrad(body))
  }

  /** Steps the optimizer on the gradients gathered so far, where an epoch ends within a group of unknown size. */
  flush(): void {
    const { optimizer, clip } = this.#settings
    optimizer.step(clip)
    optimizer.zeroGrad()
  }

  #run(parameters: nn.Parameter[], inputs: Inputs, labels: unknown, divisor: number, apply: boolean, norms: boolean): Tensor[] {
    const { optimizer, clip, precision } = this.#settings
    const { loss, output } = this.forward(inputs, labels)
    ;(divisor === 1 ? loss : loss.div(divisor)).backward()
    const results = [loss.detach(), readable(output, precision).detach()]
    // A parameter that took no part has no gradient; its norm counts as 0.
    if (norms)
      results.push(
        noGrad(() =>
          stack(
            parameters.map(({ grad }) => (grad === null ? run.mulScalar(loss.detach(), 0, 0) : run.gradNorm([grad], 2).to(loss.dtype))),
          ),
        ),
      )
    if (apply) {
      optimizer.step(clip)
      optimizer.zeroGrad()
    }
    return results
  }

  /**
   * Frees the recorded programs; the next step is recorded anew. Done at each epoch, which costs one plain step: what a loss or a `forward` of the
   * user's own reads from around it (a weight that a callback anneals) is then at most an epoch old.
   */
  forget(): void {
    this.#forget()
  }

  /** Outputs and loss of a batch, in the model's present mode. */
  forward(inputs: Inputs, labels: unknown): { loss: Tensor; output: unknown } {
    const { model, loss: objective, precision } = this.#settings
    const { loss, output } = inPrecision(precision, () => {
      const output = outputOf(model, inputs)
      return { loss: objective.call(output, labels), output }
    })
    if (loss.size !== 1)
      throw new ShapeError(`fit: the loss is [${loss.shape.join(', ')}], not one number.\n  End it with .mean() or .sum().`)
    return { loss: loss.shape.length === 0 ? loss : loss.reshape([]), output }
  }
}

/**
 * Runs `body` in training (or evaluation) mode as the model's own `train` sets it, and gives each module its mode back. `modules` are those of
 * `model.modules()`, the model first.
 */
export function inMode<T>(modules: readonly nn.Module[], training: boolean, body: () => T): T {
  const before = modules.map((module) => module.training)
  try {
    // A module with a `train` of its own has its say: it may keep its normalisations in evaluation mode. Where none has one, setting the flags
    // is the same, without a walk through the model each step.
    if (modules.every((module) => module.train === nn.Module.prototype.train)) for (const module of modules) module.training = training
    else modules[0]?.train(training)
    return body()
  } finally {
    modules.forEach((module, i) => {
      module.training = before[i] as boolean
    })
  }
}

/** Runs `body`, a model's forward pass and what belongs to it, in the trainer's precision. */
export function inPrecision<T>(precision: Precision, body: () => T): T {
  return precision === undefined || precision === null ? body() : autocast(body, { dtype: precision })
}

/** The outputs as metrics and callers get them: float32 where the last product was cast. */
export function readable(output: unknown, precision: Precision): Tensor {
  const logits = logitsOf(output)
  return logits.dtype === precision ? logits.to('float32') : logits
}

/** Runs `body` without gradients, in evaluation mode; what it makes dies at its end, but for what it returns. */
export function inference<T>(modules: readonly nn.Module[], body: () => T): T {
  return inMode(modules, false, () => noGrad(() => scope(body)))
}
