// What `new Trainer` and `fit` take, with the Keras words that differ only in spelling.
import { type data, type nn, optim, ValueError } from '../index.js'
import { kindOf, nearest, unknownOption } from '../internal.js'
import type { Callback } from './callbacks/index.js'
import type { ClassWeights, LossOption } from './loss.js'
import type { Metric, Task } from './metrics/index.js'
import type { ProgressStream, Verbose } from './progress.js'
import type { TrainingData } from './source.js'
import type { TextData, Vectorizer } from './texts.js'

/** An optimizer by name, ready made, or made from the model's parameters. */
export type OptimizerOption =
  | 'gd'
  | 'sgd'
  | 'rmsprop'
  | 'adagrad'
  | 'adam'
  | 'adamw'
  | (string & {})
  | optim.Optimizer
  | ((parameters: nn.Parameter[], model: nn.Module) => optim.Optimizer)

/** Options of `new Trainer`. */
export interface TrainerOptions {
  /** Default 'adam'. */
  optimizer?: OptimizerOption
  /** The learning rate of an optimizer given by name. Default: the optimizer's. */
  lr?: number
  /** The loss; needed to train and to evaluate. */
  loss?: LossOption
  /** Options passed on to a loss given by name (`labelSmoothing`, `delta` ...). */
  lossOptions?: object
  /** Whether outputs are logits or probabilities, for losses that take both; beside `task` for a loss of one's own. Default: as the loss declares. */
  fromLogits?: boolean
  /** What the outputs are, for a loss of one's own. */
  task?: Task['kind']
  /** Figures beside the loss, by name or made. */
  metrics?: readonly (string | Metric | (() => Metric))[]
  /**
   * 'bfloat16' runs the model and the loss under `autocast`, in `evaluate` and `predict` too; parameters and outputs stay float32. Default: as the
   * model is.
   */
  autocast?: 'bfloat16'
  /**
   * Makes ids of texts, so that `fit`, `evaluate` and `predict` take them: `{ inputs: texts, labels }`, or an iterable of such batches, or with
   * `batchSize` of single texts. `save` and checkpoints keep it. A `TextVectorizer` that was adapted or loaded.
   */
  vectorizer?: Vectorizer
}

/** Options of `fit`. */
export interface FitOptions {
  /** Passes over the data. Default 1. */
  epochs?: number
  /**
   * Samples a step. Default 32 (all of them for `GD`). Of an (async) iterable it says that it gives single samples, of which so many are put
   * together; without it the iterable gives whole batches.
   */
  batchSize?: number
  /** A share of the data to hold out (stratified), or data of its own. */
  validation?: number | TrainingData | TextData
  /** Batch size of validation. Default 256; of an (async) iterable as `batchSize`. */
  validationBatchSize?: number
  /** Draws the samples in another order each epoch. Default true; iterables come in their own order, and refuse true. */
  shuffle?: boolean
  /** Seeds shuffling, the split, augmentation and dropout. Default 0. */
  seed?: number
  /**
   * Changes of training images: settings (`{ flip: true, pad: 4 }`), or a function of the inputs whose random numbers come from the run's
   * own stream.
   */
  augment?: data.AugmentSettings | ((inputs: any) => any)
  /** Largest joint norm of all gradients. */
  clipNorm?: number
  /** Largest absolute value of a gradient's element. */
  clipValue?: number
  /** Batches whose gradients are averaged for one optimizer step. Default 1. */
  accumulate?: number
  /** A learning rate schedule: `optim.linearWarmup(0.1)`. */
  schedule?: optim.ScheduleFactory | optim.Schedule
  /** Who listens to the run: objects with hooks such as `onEpochEnd`. */
  callbacks?: readonly Callback[]
  /**
   * Ends training between two steps, or in the midst of validation; `fit` rejects with `CancelledError`, the model keeps what it has learnt.
   * With `checkpointDir` a checkpoint is saved first, and a resumed run ends as one that ran through.
   */
  signal?: AbortSignal
  /** Where checkpoints are written. */
  checkpointDir?: string
  /** After how many batches, or after each 'epoch'. Default 'epoch'. */
  checkpointEvery?: number | 'epoch'
  /** How many of them stay. Default 2. */
  checkpointKeep?: number
  /** A checkpoint to go on from, or true for the newest in `checkpointDir` (a fresh start where there is none). */
  resume?: string | boolean
  /** Plain data to keep in checkpoints: the model's config, the data's normalisation, class names. */
  metadata?: Record<string, unknown>
  /** A weight a class: a list of all, or a record by number, or by name where the data names its classes. Those a record leaves out weigh 1. */
  classWeights?: readonly number[] | Readonly<Record<string, number>>
  /**
   * Records the step once and replays it. Default true. Run eagerly (false), a failed step leaves parameters and optimizer as they were,
   * but not running statistics.
   */
  compile?: boolean
  /** Progress: a bar on a terminal, lines elsewhere, nothing for false, or where FERROGRAD_LOG is below info. Default true. */
  verbose?: Verbose
  /** Where progress goes, whatever FERROGRAD_LOG says. Default `process.stderr`. */
  stream?: ProgressStream
}

/** Keras' words for the options above. `validation_data` and the like are spelled with underscores or capitals as one likes. */
export const kerasWords: Readonly<Record<string, string>> = {
  learningRate: 'lr',
  validationSplit: 'validation',
  validationData: 'validation',
  validationBatch: 'validationBatchSize',
  classWeight: 'classWeights',
  clipnorm: 'clipNorm',
  clipvalue: 'clipValue',
  globalClipnorm: 'clipNorm',
  gradientAccumulationSteps: 'accumulate',
  nEpochs: 'epochs',
  batch: 'batchSize',
}

/**
 * Renames Keras' words (`batch_size`, `validation_split`, `learning_rate` ...) to ours; an unknown option throws, as a misspelt one would
 * be ignored otherwise.
 */
export function normaliseOptions<T extends object>(options: T, known: readonly string[], what: string): T {
  checkOneObject(what, options, known)
  const result: Record<string, unknown> = {}
  for (const [given, value] of Object.entries(options)) {
    if (value === undefined) continue
    const camel = given.replace(/_+(\w)/g, (_, letter: string) => letter.toUpperCase())
    const name = known.includes(camel) ? camel : kerasWords[camel]
    if (name === undefined || !known.includes(name)) throw unknownOption(what, given, known)
    if (name in result) throw new ValueError(`${what}: '${name}' is given twice, once as '${given}'.`)
    result[name] = name === 'verbose' && typeof value === 'number' ? value !== 0 : value
    checks[name]?.(what, value)
  }
  return result as T
}

function checkOneObject(what: string, options: unknown, known: readonly string[]): void {
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return
  throw new ValueError(`${what}: takes its options as one object, as in { ${known[0]}: ... }, got ${kindOf(options)}.`, { op: what })
}

/** Looks at values that would have no effect, or one much later, where they are not what they should be. */
const checks: Readonly<Record<string, (what: string, value: unknown) => void>> = {
  schedule: checkSchedule, callbacks: checkCallbacks, autocast: checkAutocast, task: checkTask, fromLogits: checkFromLogits,
}

const EXAMPLE = 'optim.stepLR({ stepSize: 10 })'

/** Throws unless `value` is a schedule, or a function that makes one of an optimizer. */
function checkSchedule(what: string, value: unknown): void {
  if (value instanceof optim.Schedule || value === null) return
  const wrong = (fault: string, way: string): ValueError => new ValueError(`${what}: schedule ${fault}.\n  ${way}`)
  if (typeof value !== 'function') {
    const near = typeof value === 'string' ? nearest(value, makers().map(([name]) => name)) : undefined
    throw wrong(`is ${typeof value === 'string' ? `'${value}'` : String(value)}`, `Give one that is made: ${near === undefined ? EXAMPLE : `optim.${near}(...)`}.`)
  }
  if (value.prototype instanceof optim.Schedule) throw wrong(`is the class ${value.name}`, `Give a schedule: new optim.${value.name}(optimizer, ...), or ${EXAMPLE}.`)
  const maker = makers().find(([, make]) => make === value)
  if (maker !== undefined) throw wrong(`is the function optim.${maker[0]} itself`, `Call it: optim.${maker[0]}(...).`)
}

const tasks: Record<Task['kind'], true> = { multiclass: true, binary: true, regression: true, other: true }

/** Throws for what is no task. */
function checkTask(what: string, value: unknown): void {
  if (value === null || (typeof value === 'string' && Object.hasOwn(tasks, value))) return
  const names = Object.keys(tasks)
  const near = typeof value === 'string' ? nearest(value, names) : undefined
  throw new ValueError(`${what}: task is ${kindOf(value)}; it must be one of ${names.join(', ')}.${near === undefined ? '' : ` Did you mean '${near}'?`}`)
}

function checkFromLogits(what: string, value: unknown): void {
  if (typeof value !== 'boolean' && value !== null) throw new ValueError(`${what}: fromLogits is ${kindOf(value)}; it must be true or false.`)
}

/** Throws for another dtype than autocast's one. */
function checkAutocast(what: string, value: unknown): void {
  if (value === 'bfloat16' || value === null) return
  const shown = typeof value === 'string' ? `'${value}'` : String(value)
  throw new ValueError(`${what}: autocast is ${shown}; it must be 'bfloat16', or left out.\n  To compute in another dtype throughout, convert the model: model.to('float64').`)
}

/** The schedule of a `fit`, ready to steer; without one the optimizer gets back the rates that the user gave it. */
export function beginSchedule(option: FitOptions['schedule'] | null, optimizer: optim.Optimizer, plan: optim.SchedulePlan): optim.Schedule | null {
  if (option instanceof optim.Schedule) {
    refuseOther(option, optimizer)
    option.begin()
    return option
  }
  optimizer.restoreRates()
  if (option === undefined || option === null) return null
  const schedule: unknown = option(optimizer, plan)
  if (!(schedule instanceof optim.Schedule))
    throw new ValueError(`fit: the function given as schedule made ${typeof schedule} instead of a schedule.\n  Give one that is made, such as ${EXAMPLE}.`)
  refuseOther(schedule, optimizer)
  return schedule
}

/** A schedule of another optimizer would change nothing here. */
function refuseOther(schedule: optim.Schedule, optimizer: optim.Optimizer): void {
  if (schedule.optimizer !== optimizer)
    throw new ValueError(`fit: the schedule steers another optimizer than the one that trains.\n  Make it of trainer.optimizer, or give ${EXAMPLE}.`)
}

/** What of `optim` makes schedule factories. */
function makers(): [string, unknown][] {
  const others: unknown[] = [optim.clipGradNorm, optim.clipGradValue, optim.decayGroups]
  return Object.entries(optim).filter(([name, value]) => typeof value === 'function' && /^[a-z]/.test(name) && !others.includes(value))
}

/** What a callback may have. */
const hooks: Record<keyof Callback, true> = {
  gradientNormsEvery: true, guardNonFinite: true, figures: true, onFitStart: true, onEpochStart: true, onBatchEnd: true, onEpochEnd: true, onFitEnd: true,
  stateDict: true, stateTensors: true, loadStateDict: true,
}

/** Throws for what would hear of nothing: no list, a function, an object with a misspelt hook or with none. */
function checkCallbacks(what: string, value: unknown): void {
  if (!Array.isArray(value)) throw new ValueError(`${what}: callbacks is a list of callbacks, got ${value === null ? 'null' : typeof value}.\n  Put it in brackets: callbacks: [...].`)
  const names = Object.keys(hooks).filter((name) => name.startsWith('on'))
  value.forEach((callback: unknown, i) => {
    if (typeof callback !== 'object' || callback === null) {
      throw new ValueError(`${what}: callbacks[${i}] is ${callback === null ? 'null' : `a ${typeof callback}`}; a callback is an object with hooks.\n`
        + `  { onEpochEnd(context, log) { ... } }, for example. There are ${names.join(', ')}.`)
    }
    const own = namesOf(callback)
    // Its own fields and helpers are its business; a name in the style of hooks that is none would never be called.
    const misspelt = own.find((name) => /^on[A-Z_]/.test(name) && !Object.hasOwn(hooks, name))
    if (misspelt !== undefined) throw unknownHook(what, i, misspelt, names)
    if (own.some((name) => Object.hasOwn(hooks, name))) return
    throw unknownHook(what, i, own.find((name) => nearest(name, names) !== undefined), names)
  })
}

function unknownHook(what: string, i: number, name: string | undefined, names: readonly string[]): ValueError {
  const near = name === undefined ? undefined : nearest(name, names) ?? names.find((hook) => hook.slice(0, 6) === name.slice(0, 6))
  return new ValueError(`${what}: callbacks[${i}] has ${name === undefined ? 'no hook' : `'${name}', which is none of the hooks`}.`
    + `${near === undefined ? '' : ` Did you mean '${near}'?`}\n  There are ${names.join(', ')}.`)
}

/** The names of an object and of the classes it comes from. */
function namesOf(object: object): string[] {
  const names: string[] = []
  for (let at: object | null = object; at !== null && at !== Object.prototype; at = Object.getPrototypeOf(at) as object | null) names.push(...Object.getOwnPropertyNames(at))
  return names
}

/** The names of `TrainerOptions` and `FitOptions`, for `normaliseOptions`. */
export const trainerOptionNames: readonly (keyof TrainerOptions)[] = [
  'optimizer',
  'lr',
  'loss',
  'lossOptions',
  'fromLogits',
  'task',
  'metrics',
  'autocast',
  'vectorizer',
]
/** @see trainerOptionNames */
export const fitOptionNames: readonly (keyof FitOptions)[] = [
  'epochs',
  'batchSize',
  'validation',
  'validationBatchSize',
  'shuffle',
  'seed',
  'augment',
  'clipNorm',
  'clipValue',
  'accumulate',
  'schedule',
  'callbacks',
  'signal',
  'checkpointDir',
  'checkpointEvery',
  'checkpointKeep',
  'resume',
  'metadata',
  'classWeights',
  'compile',
  'verbose',
  'stream',
]

const optimizers = { gd: optim.GD, sgd: optim.SGD, rmsprop: optim.RMSprop, adagrad: optim.Adagrad, adam: optim.Adam, adamw: optim.AdamW }

/** Throws for what makes no optimizer, while the parameters need not be there yet. */
export function checkOptimizer(option: unknown, lr: number | undefined): void {
  const wrong = (fault: string, way: string): ValueError => new ValueError(`Trainer: optimizer ${fault}.\n  ${way}`)
  const names = Object.keys(optimizers)
  if (option instanceof optim.Optimizer) {
    if (lr !== undefined) throw new ValueError('Trainer: lr goes with an optimizer given by name; this one has its own rate.')
    return
  }
  if (typeof option === 'function') {
    if (!(option.prototype instanceof optim.Optimizer)) return
    const byName = names.includes(option.name.toLowerCase()) ? `Give its name, '${option.name.toLowerCase()}', or make` : 'Make'
    throw wrong(`is the class ${option.name}, not made yet`, `${byName} it of the parameters: (params) => new optim.${option.name}(params, { lr: 0.001 }).`)
  }
  const all = `There are ${names.join(', ')}; or pass an Optimizer, or a function that makes one of the parameters.`
  if (typeof option !== 'string') throw wrong(`is of the type ${option === null ? 'null' : typeof option}`, all)
  if (Object.hasOwn(optimizers, option.toLowerCase())) return
  const near = nearest(option, names)
  throw new ValueError(`optimizer: none is named '${option}'.\n  ${near === undefined ? '' : `Did you mean '${near}'? `}${all}`)
}

/** Makes the optimizer of a model, of an option that `checkOptimizer` let through. */
export function toOptimizer(option: OptimizerOption, model: nn.Module, lr: number | undefined): optim.Optimizer {
  if (option instanceof optim.Optimizer) return option
  const parameters = model.parameters()
  if (typeof option !== 'function') return new optimizers[option.toLowerCase() as keyof typeof optimizers](parameters, lr === undefined ? {} : { lr })
  const made = option(parameters, model)
  if (made instanceof optim.Optimizer) return made
  throw new ValueError(`Trainer: the function given as optimizer made ${typeof made} instead of an optimizer.\n  (params) => new optim.Adam(params), for example.`)
}

/** Class weights as a list by class number, for so many classes; names are those of `classes`. */
export function toClassWeights(weights: FitOptions['classWeights'], classes?: readonly string[]): ClassWeights | undefined {
  if (weights === undefined || weights === null) return undefined
  if (typeof weights !== 'object') throw new ValueError(`fit: classWeights is of the type ${typeof weights}; a list by class number or { 0: 1, 1: 2.5 } is wanted.`)
  const entries = Object.entries(weights).map(([label, weight]: [string, unknown]) => [classNumber(label, classes), weight] as const)
  const wrong = entries.find(([, weight]) => !(typeof weight === 'number' && weight >= 0 && Number.isFinite(weight)))
  if (wrong !== undefined) throw new ValueError(`fit: classWeights: the weight of class ${wrong[0]} is ${String(wrong[1])}; it must be a finite number of at least 0.`)
  if (entries.length === 0) throw new ValueError('fit: classWeights are empty.\n  Give a weight a class: { 0: 1, 1: 2.5 }.')
  const last = Math.max(...entries.map(([label]) => label))
  const made = new Map<number, number[]>()
  return (count) => {
    if (last >= count) throw new ValueError(`fit: classWeights has a weight for class ${last}, but there are ${count} classes (0 to ${count - 1}).`)
    if (Array.isArray(weights) && weights.length < count)
      throw new ValueError(`fit: classWeights has ${weights.length} weights, but there are ${count} classes.\n  Give a weight a class, or a record of those that differ from 1: { 0: 2.5 }.`)
    // The same list each time: a loss makes a tensor of it once.
    const known = made.get(count)
    if (known !== undefined) return known
    const list = Array.from({ length: count }, () => 1)
    for (const [label, weight] of entries) list[label] = weight as number
    made.set(count, list)
    return list
  }
}

function classNumber(label: string, classes: readonly string[] | undefined): number {
  const number = classes?.includes(label) ? classes.indexOf(label) : Number(label)
  if (label !== '' && Number.isInteger(number) && number >= 0) return number
  const near = nearest(label, classes ?? [])
  throw new ValueError(
    `fit: classWeights: '${label}' is no class number${classes === undefined ? '' : ", and none of the data's classes"}.${near === undefined ? '' : ` Did you mean '${near}'?`}\n` +
      `  ${classes === undefined ? 'The data does not name its classes: write { 0: 1, 1: 2.5 }.' : `There are ${classes.slice(0, 20).join(', ')}.`}`,
  )
}
