// A trainer's loss: by name or by function, with the task it declares.
import { nn, ShapeError, Tensor, tensor, ValueError } from '../index.js'
import { checkOptions } from '../internal.js'
import type { Task } from './metrics/metric.js'

/** A loss as the trainer takes it: a name, one of `nn`'s functions, a loss module, or a function of one's own that gives a scalar. */
export type LossOption = string | ((output: any, labels: any) => Tensor) | { forward(output: any, labels: any): Tensor }

/** A loss that is ready to be called, and what it says about the outputs. */
export interface ResolvedLoss {
  call(output: unknown, labels: unknown): Tensor
  task: Task
  /** What the mean of a batch was divided by, where that follows from the labels; else it is taken for a mean over samples. */
  divisor?(output: Tensor, labels: unknown): Tensor | null
}

type Named = ((output: Tensor, target: Tensor, options?: object) => Tensor) & {
  task: 'multiclass' | 'binary' | 'regression'
  fromLogits: boolean
  defaults: object
}

/** Names in lower case without separators. Keras' names mean what they mean there: outputs are probabilities. */
const byName: Record<string, { loss: () => unknown; fromLogits?: boolean }> = {
  crossentropy: { loss: () => nn.crossEntropy },
  categoricalcrossentropy: { loss: () => nn.crossEntropy, fromLogits: false },
  sparsecategoricalcrossentropy: { loss: () => nn.crossEntropy, fromLogits: false },
  nll: { loss: () => nn.nll },
  bce: { loss: () => nn.bce },
  binarycrossentropy: { loss: () => nn.bce },
  bcewithlogits: { loss: () => nn.bceWithLogits },
  mse: { loss: () => nn.mse },
  meansquarederror: { loss: () => nn.mse },
  l1: { loss: () => nn.l1 },
  mae: { loss: () => nn.l1 },
  meanabsoluteerror: { loss: () => nn.l1 },
  huber: { loss: () => nn.huber },
  smoothl1: { loss: () => nn.smoothL1 },
  hinge: { loss: () => nn.hinge },
  kldiv: { loss: () => nn.klDiv },
}

/** The weights of so many classes, by class number. */
export type ClassWeights = (classes: number) => readonly number[]

/** What the trainer's options say about the loss. */
export interface LossSettings {
  loss: LossOption
  task?: Task['kind'] | undefined
  fromLogits?: boolean | undefined
  lossOptions?: object | undefined
}

/** Finds the loss and its task. `classWeights` weigh each sample by its class. */
export function resolveLoss({ loss, task, fromLogits, lossOptions }: LossSettings, classWeights?: ClassWeights): ResolvedLoss {
  const named = typeof loss === 'string' ? find(loss) : null
  if (named === null) checkLoss(loss)
  const fn = named?.fn ?? (loss as Exclude<LossOption, string>)
  const traits = fn as Partial<Named>
  const logits = fromLogits ?? named?.fromLogits ?? traits.fromLogits ?? true
  // Log-probabilities are logits of themselves: their softmax gives the probabilities.
  const logarithms = (fn as unknown) === nn.nll || (fn as unknown) === nn.klDiv
  refuseIdle(fn, { task, fromLogits, lossOptions })
  const labelled: Labelled | undefined = isOverClasses(fn) ? fn.options : lossOptions
  const ignoreIndex = ignoredBy(fn, labelled)
  const resolved: Task = { kind: task ?? traits.task ?? 'other', fromLogits: logits || logarithms, ...(ignoreIndex === undefined ? {} : { ignoreIndex }) }
  const divisor: Pick<ResolvedLoss, 'divisor'> =
    ignoreIndex === undefined ? {} : { divisor: (output, labels) => divisorOf(labels, ignoreIndex, classWeights?.(output.shape.at(-1) ?? 1) ?? labelled?.weight) }
  if (typeof fn !== 'function')
    return {
      task: resolved,
      ...divisor,
      call: (output, labels) => {
        refuseWeights(classWeights)
        return oneNumber(fn.forward(logitsOf(output), labels))
      },
    }
  if (traits.task === undefined)
    return {
      task: resolved,
      call: (output, labels) => {
        refuseWeights(classWeights)
        return oneNumber((fn as (output: unknown, labels: unknown) => Tensor)(output, labels))
      },
    }

  const { defaults = {} } = traits
  checkOptions(fn.name, lossOptions, defaults)
  const options: Record<string, unknown> = { ...lossOptions }
  // Losses without that option take one kind of output alone.
  if ('fromLogits' in defaults && (fromLogits !== undefined || named?.fromLogits !== undefined)) options.fromLogits = logits
  const call = fn as unknown as Named
  if (classWeights === undefined) return { task: resolved, ...divisor, call: (output, labels) => call(logitsOf(output), labels as Tensor, options) }
  if ('weight' in defaults && traits.task === 'multiclass') {
    return {
      task: resolved,
      ...divisor,
      call: (output, labels) => {
        const logits = logitsOf(output)
        return call(logits, labels as Tensor, { ...options, weight: classWeights(logits.shape.at(-1) ?? 1) })
      },
    }
  }
  if (traits.task !== 'binary') throw new ValueError(`fit: classWeights: the loss ${fn.name} weighs no classes.\n  Leave them out, or choose crossEntropy or a loss for yes or no.`)
  const [no, yes] = classWeights(2) as [number, number]
  return {
    task: resolved,
    call: (output, labels) => {
      const losses = call(logitsOf(output), labels as Tensor, { ...options, reduction: 'none' })
      const truth = (labels as Tensor).reshape([...losses.shape]).to(losses.dtype)
      return losses.mul(truth.mul(yes - no).add(no)).mean()
    },
  }
}

/** The options of a loss that say what its labels count for. */
type Labelled = Pick<nn.CrossEntropyOptions, 'ignoreIndex' | 'reduction' | 'weight'>

/** The label that a loss's mean leaves out; undefined for a loss that counts every label, and for what is no mean. */
function ignoredBy(fn: Exclude<LossOption, string>, options: Labelled | undefined): number | undefined {
  const defaults: Labelled = (isOverClasses(fn) ? nn.crossEntropy : (fn as Partial<Named>)).defaults ?? {}
  return (options?.reduction ?? 'mean') === 'mean' ? (options?.ignoreIndex ?? defaults.ignoreIndex) : undefined
}

/** Loss modules whose labels are classes, some of which may not count. */
function isOverClasses(fn: Exclude<LossOption, string>): fn is nn.CrossEntropyLoss | nn.NLLLoss {
  return fn instanceof nn.CrossEntropyLoss || fn instanceof nn.NLLLoss
}

/** The divisor of a mean over class numbers, PyTorch's: how many count, or the sum of their classes' weights. Null for labels that are probabilities. */
function divisorOf(labels: unknown, ignoreIndex: number, weight: Labelled['weight']): Tensor | null {
  if (!(labels instanceof Tensor) || labels.dtype.includes('float')) return null
  const counted = labels.ne(ignoreIndex)
  if (weight === undefined) return counted.sum()
  const weights = weight instanceof Tensor ? weight : tensor([...weight])
  return weights.indexSelect(0, counted.where(labels, 0).reshape([-1])).mul(counted.reshape([-1])).sum()
}

/** Throws for options that would change nothing. */
function refuseIdle(fn: Exclude<LossOption, string>, { task, fromLogits, lossOptions }: Omit<LossSettings, 'loss'>): void {
  const traits = fn as Partial<Named>
  const ofNn = typeof fn === 'function' && traits.task !== undefined
  const has = (value: unknown): boolean => value !== undefined && value !== null
  if (has(lossOptions) && !ofNn) {
    const own = typeof fn === 'function' ? 'the loss is a function of your own' : 'a loss module has its own options'
    throw new ValueError(`Trainer: lossOptions would change nothing: ${own}.\n  Give them where the loss is made, or give a loss by name.`)
  }
  if (!has(fromLogits)) return
  if (!has(traits.task)) {
    if (has(task)) return
    throw new ValueError("Trainer: fromLogits would change nothing: a loss of your own does not say what the outputs are.\n  Pass task: 'multiclass' or 'binary' too, for metrics and predictions.")
  }
  if (ofNn && 'fromLogits' in (traits.defaults as object)) return
  if (traits.task !== 'regression' && fromLogits === traits.fromLogits) return
  const name = typeof fn === 'function' ? fn.name : fn.constructor.name
  const what = traits.task === 'regression' ? 'its outputs are quantities' : `it takes ${traits.fromLogits === true ? 'logits' : 'probabilities'}${typeof fn === 'function' ? ' alone' : ', as it was made'}`
  throw new ValueError(`Trainer: fromLogits: ${String(fromLogits)} does not go with ${name}: ${what}.\n  Leave it out, or choose another loss.`)
}

/** Throws for what cannot be called with outputs and labels. */
function checkLoss(loss: unknown): void {
  if (typeof loss === 'function') {
    if (!/^class\b/.test(Function.prototype.toString.call(loss))) return
    throw new ValueError(`loss: ${loss.name} is a class, not a loss made of it.\n  Make one: new ${Object.hasOwn(nn, loss.name) ? 'nn.' : ''}${loss.name}().`)
  }
  if (typeof (loss as { forward?: unknown } | null)?.forward === 'function') return
  throw new ValueError(`loss: a name, a function or a loss module is wanted, got ${loss === null ? 'null' : typeof loss}.\n  'crossEntropy', nn.crossEntropy or new nn.CrossEntropyLoss(), for example.`)
}

function find(name: string): { fn: Named; fromLogits?: boolean } {
  const key = name.replace(/[_-]/g, '').toLowerCase()
  const entry = Object.hasOwn(byName, key) ? byName[key] : undefined
  if (entry === undefined)
    throw new ValueError(
      `loss: none is named '${name}'.\n` +
        `  There are crossEntropy, nll, bce, bceWithLogits, mse, l1, huber, smoothL1, hinge, klDiv; or pass a function.`,
    )
  const fn = entry.loss() as Named
  return entry.fromLogits === undefined ? { fn } : { fn, fromLogits: entry.fromLogits }
}

/** The tensor a loss or a metric looks at: the output itself, or the `logits` of a model that gives a record. */
export function logitsOf(output: unknown): Tensor {
  const { logits } = output as { logits?: Tensor }
  return logits ?? (output as Tensor)
}

/** What a loss of the user's own gave, if training can start from it. */
function oneNumber(loss: unknown): Tensor {
  if (loss instanceof Tensor && loss.size === 1) return loss
  if (loss instanceof Tensor)
    throw new ShapeError(`loss: your function gave shape [${loss.shape.join(', ')}], training needs one number.\n  Reduce it with .mean() or .sum().`, { op: 'loss', shapes: [loss.shape] })
  const promise = typeof (loss as PromiseLike<unknown> | null)?.then === 'function'
  if (promise) Promise.resolve(loss as PromiseLike<unknown>).catch(() => {})
  throw new ValueError(`loss: your function must return a tensor of one number, got ${promise ? 'a promise: a loss cannot await' : loss === null ? 'null' : typeof loss}.`, { op: 'loss' })
}

function refuseWeights(classWeights: ClassWeights | undefined): void {
  if (classWeights !== undefined) throw new ValueError('classWeights: a loss of your own must weigh its samples itself.')
}
