// What every loss shares: its declared task, reductions, and the checks of its target.
import { autocasting, underPolicy } from '../autocast.js'
import { enterModule, leaveModule } from '../context.js'
import { ShapeError, ValueError } from '../errors.js'
import { explain, kindOf, noTensor } from '../explain.js'
import { checkOptions, type Defaults, settle, type Settled } from '../options.js'
import { tensor } from '../create.js'
import { Tensor } from '../tensor.js'
import { Module } from './module.js'
import { persistent } from '../persistent.js'

/**
 * What the outputs mean: scores a class, one score for yes or no, or quantities. The Trainer chooses accuracy, probabilities and classes by
 * it.
 */
export type Task = 'multiclass' | 'binary' | 'regression'
/** 'none' keeps one loss an element (a row, for classes); 'mean' and 'sum' give a scalar. */
export type Reduction = 'none' | 'mean' | 'sum'

/** What a loss declares about the outputs that it takes. */
export interface LossTraits {
  /** What the outputs are for: metrics and predictions follow it. */
  readonly task: Task
  /** False where outputs are probabilities already (or log-probabilities, or quantities). */
  readonly fromLogits: boolean
}

/** A loss as a function: outputs, targets, options. */
export interface Loss<Options> extends LossTraits {
  (output: Tensor, target: Tensor, options?: Options): Tensor
  /** Every option with its default. */
  readonly defaults: Defaults<Options>
}

/** Options of every loss. */
export interface LossOptions {
  /** What becomes of the single losses: their mean (the default), their sum, or 'none' for all of them. */
  reduction?: Reduction
}

/** Numbers, one a class or one an output; an array becomes a tensor of the outputs' dtype. */
export type Weights = Tensor | readonly number[]

/**
 * Makes a loss of a function that gets its options complete. Puts its name among the running modules: a bad label is then said to be
 * "in crossEntropy".
 */
export function declareLoss<Options extends object, const D extends Defaults<Options>>(
  traits: LossTraits, defaults: D,
  fn: (output: Tensor, target: Tensor, options: Settled<Options, D>) => Tensor,
): Loss<Options> {
  const place = { constructor: { name: fn.name } }
  const loss = (output: Tensor, target: Tensor, options?: Options): Tensor => {
    if (!(output instanceof Tensor)) throw noTensor(fn.name, 'output', output)
    if (!(target instanceof Tensor)) throw noTarget(fn.name, traits, target)
    // Every loss runs in float32: targets would else be cast to the outputs' bfloat16.
    if (autocasting) return underPolicy('float32', loss, [output, target, options])
    const before = enterModule(place)
    try {
      return fn(output, target, settle<Options, D>(fn.name, options, defaults))
    } catch (error) {
      throw explain(fn.name, error, [output, target, options])
    } finally {
      leaveModule(before)
    }
  }
  Object.defineProperty(loss, 'name', { value: fn.name })
  return Object.assign(loss, traits, { defaults })
}

function noTarget(name: string, { task }: LossTraits, target: unknown): ValueError {
  const made = task === 'multiclass' ? "tensor(labels, { dtype: 'int32' }) for classes" : 'tensor(target)'
  return new ValueError(`${name}: target must be a tensor, got ${kindOf(target)}.\n  Make one with ${made}.`, { op: name })
}

/** A loss with its options, to be made once and called often. */
export abstract class LossModule<Options> extends Module {
  // Private: class weights are no state of a model that holds the loss.
  readonly #options: Options
  readonly #loss: Loss<Options>

  protected constructor(loss: Loss<Options>, options: Options) {
    super()
    checkOptions(new.target.name, options, loss.defaults)
    this.#loss = loss
    this.#options = options
  }

  /** The options that it was made with. */
  get options(): Readonly<Options> {
    return this.#options
  }

  /** What the outputs are for. */
  get task(): Task {
    return this.#loss.task
  }

  /** Whether outputs are logits, as the loss declares. */
  get fromLogits(): boolean {
    return (this.#options as { fromLogits?: boolean }).fromLogits ?? this.#loss.fromLogits
  }

  forward(output: Tensor, target: Tensor): Tensor {
    return this.#loss(output, target, this.#options)
  }
}

/** Mean, sum or neither of a tensor of losses. `others` are reductions that the loss makes itself. */
export function reduce(name: string, losses: Tensor, reduction: Reduction, others: readonly string[] = []): Tensor {
  switch (reduction) {
    case 'none': return losses
    case 'mean': return losses.mean()
    case 'sum': return losses.sum()
    default: {
      const known = ['none', 'mean', ...others, 'sum'].map((word) => `'${word}'`)
      throw new ValueError(`${name}: reduction is ${known.slice(0, -1).join(', ')} or ${known.at(-1)}, not ${JSON.stringify(reduction)}`, { op: name })
    }
  }
}

/**
 * The target in the output's shape and dtype. [N] fits [N, 1] (one output an example); nothing else is broadcast,
 * since [N] against [N, 1] would silently give N x N losses.
 */
export function matched(name: string, output: Tensor, target: Tensor): Tensor {
  const fits = sameShape(target.shape, output.shape)
  const trailingOne = output.shape.length > 0 && output.shape.at(-1) === 1 && sameShape(target.shape, output.shape.slice(0, -1))
  if (!fits && !trailingOne) {
    throw new ShapeError(
      `${name}: the output is [${output.shape.join(', ')}], the target [${target.shape.join(', ')}]: they must be equal. ` +
        'Use target.reshape([...]) or another last layer',
      { op: name, shapes: [output.shape, target.shape] },
    )
  }
  const typed = target.dtype === output.dtype ? target : target.cast(output.dtype)
  return fits ? typed : typed.reshape(output.shape)
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, dim) => size === b[dim])
}

const tensors = new WeakMap<readonly number[], Map<string, Tensor>>()

/** Weights as a tensor beside `like`; an array is turned into one once, also where the first call is recorded by `compile`. */
export function weightsLike(weights: Weights, like: Tensor): Tensor {
  if (weights instanceof Tensor) return weights.dtype === like.dtype ? weights : weights.cast(like.dtype)
  let made = tensors.get(weights)
  if (made === undefined) tensors.set(weights, (made = new Map()))
  const key = `${like.dtype} ${like.device}`
  let found = made.get(key)
  if (found === undefined) {
    found = persistent(() => tensor([...weights], { dtype: like.dtype, device: like.device }))
    made.set(key, found)
  }
  return found
}
