// Everything a run needs to go on as if it had never stopped, in one safetensors file.
import { CheckpointError, type data, type Generator, type nn, noGrad, type optim, type Tensor } from '../index.js'
import { run, unscoped } from '../internal.js'
import type { Callback } from './callbacks/index.js'
import type { EpochLog } from './history.js'
import type { Metric } from './metrics/index.js'
import { loadSafetensors, saveSafetensors } from './safetensors.js'
import type { Batches } from './source.js'
import type { Precision } from './step.js'

/** Where a run stands. */
export interface Position {
  epoch: number
  /** Optimizer steps so far. */
  step: number
  /** Batches over all epochs, in this epoch, and since the last optimizer step. */
  index: number
  batch: number
  gathered: number
  /** Seconds spent in this epoch. */
  seconds: number
  history: EpochLog[]
}

/** The parts of a run that a checkpoint holds. */
export interface FitState {
  model: nn.Module
  optimizer: optim.Optimizer
  schedule: optim.Schedule | null
  precision: Precision
  generator: Generator
  batches: Batches
  /** Where its loader stands. */
  place: data.LoaderState
  /** Batches a step. */
  accumulate: number
  metrics: readonly Metric[]
  callbacks: readonly Callback[]
  position: Position
}

const formatName = 'ferrograd-checkpoint'

interface Plain {
  version: 1
  position: Position
  optimizer: Omit<optim.OptimizerState, 'tensors'>
  schedule: optim.ScheduleState | null
  /** Left out for none. */
  autocast?: Precision
  loader: data.LoaderState
  /** Older files say nothing of these two. */
  accumulate?: number
  metrics?: string[]
  callbacks: unknown[]
  model: { class: string; [field: string]: unknown }
}

/**
 * Writes a checkpoint, durably. All values are those of the moment of the call, also while steps are under way. Keys: `model.*`,
 * `optimizer.*`, `gradients.*` (accumulated so far), `random`, `metrics.*`, `callbacks.*`; the rest is JSON in the metadata.
 */
export function writeCheckpoint(path: string, state: FitState, metadata: Record<string, unknown> = {}): Promise<void> {
  const { model, optimizer, schedule, precision, generator, place, accumulate, metrics, callbacks, position } = state
  const { tensors: slots, ...plain } = optimizer.stateDict()
  const tensors: Record<string, Tensor> = { random: generator.state }
  const put = (prefix: string, part: Record<string, Tensor>): void => {
    for (const [key, value] of Object.entries(part)) tensors[`${prefix}.${key}`] = value
  }
  put('model', model.stateDict())
  put('optimizer', slots)
  if (position.gathered > 0)
    put('gradients', Object.fromEntries(model.namedParameters().flatMap(([name, { grad }]) => (grad === null ? [] : [[name, grad]]))))
  metrics.forEach((metric, i) => put(`metrics.${i}`, metric.stateDict()))
  callbacks.forEach((callback, i) => put(`callbacks.${i}`, callback.stateTensors?.() ?? {}))
  const content: Plain = {
    version: 1,
    position,
    optimizer: plain,
    schedule: schedule?.stateDict() ?? null,
    ...(precision ? { autocast: precision } : {}),
    loader: place,
    accumulate,
    metrics: metrics.map(({ name }) => name),
    callbacks: callbacks.map((callback) => callback.stateDict?.() ?? null),
    model: { class: model.constructor.name, ...metadata },
  }
  // JSON has no NaN or infinity, which losses may be.
  return saveSafetensors(path, tensors, {
    metadata: {
      format: formatName,
      checkpoint: JSON.stringify(content, (_, value: unknown) =>
        typeof value === 'number' && !Number.isFinite(value) ? { number: String(value) } : value,
      ),
    },
  })
}

/**
 * Puts a checkpoint's content into the parts of a run, and gives its position. Everything is compared before anything is written.
 * @throws CheckpointError for a checkpoint of another model (with the differing keys), optimizer or schedule, for one within an epoch of other batches,
 * metrics or `accumulate`, and for files that are none
 */
export async function readCheckpoint(path: string, state: FitState): Promise<Position> {
  const { tensors, metadata } = await loadSafetensors(path)
  try {
    const plain = parse(path, metadata)
    const part = (prefix: string): Record<string, Tensor> =>
      Object.fromEntries(
        Object.entries(tensors)
          .filter(([key]) => key.startsWith(`${prefix}.`))
          .map(([key, value]) => [key.slice(prefix.length + 1), value]),
      )
    const { model, optimizer, schedule, precision, generator, batches, metrics, callbacks } = state
    compareKeys(path, model, part('model'), plain.model.class)
    if ((plain.autocast ?? null) !== (precision ?? null)) {
      const named = (autocast: Precision): string => (autocast ? `autocast: '${autocast}'` : 'no autocast')
      throw new CheckpointError(
        `resume: ${path} was written with ${named(plain.autocast)}, the trainer has ${named(precision)}.\n` +
          `  Resume with the options the run began with.`,
      )
    }
    if ((plain.schedule === null) !== (schedule === null)) {
      throw new CheckpointError(
        `resume: ${path} was written ${plain.schedule === null ? 'without' : 'with'} a schedule, ` +
          `fit has ${schedule === null ? 'none' : 'one'}.\n` +
          `  Resume with the options the run began with.`,
      )
    }
    if (plain.schedule !== null && plain.schedule.type !== schedule?.constructor.name) {
      throw new CheckpointError(
        `resume: ${path} was written with the schedule ${plain.schedule.type}, fit has ${schedule?.constructor.name}.\n` +
          `  Resume with the options the run began with.`,
      )
    }
    const optimizerState = { ...plain.optimizer, tensors: part('optimizer') }
    optimizer._checkStateDict(optimizerState)
    compareRun(path, plain, state)
    // Refuses what does not fit; from here on all is written.
    goTo(path, batches, plain.loader)
    if (plain.schedule !== null) schedule?.loadStateDict(plain.schedule)
    optimizer.loadStateDict(optimizerState)
    model.loadStateDict(part('model'))
    noGrad(() => run.assign(generator.state, tensors.random as Tensor))
    const gradients = part('gradients')
    for (const [name, parameter] of model.namedParameters()) parameter.grad = gradients[name] === undefined ? null : copyOf(gradients[name])
    metrics.forEach((metric, i) => metric.loadStateDict(copies(part(`metrics.${i}`))))
    callbacks.forEach((callback, i) => {
      if (plain.callbacks[i] !== null && plain.callbacks[i] !== undefined)
        callback.loadStateDict?.(plain.callbacks[i] as never, part(`callbacks.${i}`))
    })
    return plain.position
  } finally {
    for (const value of Object.values(tensors)) value.dispose()
  }
}

function parse(path: string, { format, checkpoint }: Record<string, string>): Plain {
  if (format !== formatName || checkpoint === undefined) {
    throw new CheckpointError(
      `resume: ${path} holds weights but no training state.\n` +
        `  Load it with model.load(path) and train from there, or give a checkpoint that fit wrote.`,
    )
  }
  try {
    const plain = JSON.parse(checkpoint, (_, value: unknown) =>
      typeof value === 'object' && value !== null && Object.keys(value).join() === 'number'
        ? Number((value as { number: string }).number)
        : value,
    ) as Plain
    if (plain.version === 1) return plain
  } catch {
    // Said below.
  }
  throw new CheckpointError(`resume: ${path} was written by another version of Ferrograd.`)
}

/** Refuses a checkpoint of another model before anything is changed, naming what differs. */
function compareKeys(path: string, model: nn.Module, saved: Record<string, Tensor>, savedClass: string): void {
  const own = model.stateDict()
  const shape = (value: Tensor): string => `${value.dtype} [${value.shape.join(', ')}]`
  const lines = [
    ...Object.keys(own)
      .filter((key) => saved[key] === undefined)
      .map((key) => `  missing in the file: ${key} ${shape(own[key] as Tensor)}`),
    ...Object.keys(saved)
      .filter((key) => own[key] === undefined)
      .map((key) => `  only in the file: ${key} ${shape(saved[key] as Tensor)}`),
    ...Object.entries(own)
      .filter(([key, value]) => saved[key] !== undefined && shape(saved[key]) !== shape(value))
      .map(([key, value]) => `  ${key}: ${shape(value)} here, ${shape(saved[key] as Tensor)} in the file`),
  ]
  if (lines.length === 0) return
  const shown = lines.length > 20 ? [...lines.slice(0, 20), `  ... and ${lines.length - 20} more`] : lines
  throw new CheckpointError(
    `resume: ${path} is a checkpoint of another model (${savedClass}, this is ${model.constructor.name}); nothing was changed.\n` +
      shown.join('\n'),
  )
}

/** Within an epoch sums are half gathered: refuses to go on with other metrics, or other groups of batches. */
function compareRun(path: string, { position, accumulate, metrics }: Plain, own: FitState): void {
  if (position.batch === 0) return
  const names = own.metrics.map(({ name }) => name)
  const lines = [
    ...(metrics === undefined || metrics.join() === names.join() ? [] : [`  metrics: ${names.slice(1).join(', ') || 'none'} here, ${metrics.slice(1).join(', ') || 'none'} in the file`]),
    ...(accumulate === undefined || accumulate === own.accumulate ? [] : [`  accumulate: ${own.accumulate} here, ${accumulate} in the file`]),
  ]
  if (lines.length > 0) throw withinEpoch(path, lines)
}

/** Puts the loader to where the run stood. */
function goTo(path: string, batches: Batches, place: data.LoaderState): void {
  try {
    batches.restore(place)
  } catch (error) {
    throw withinEpoch(path, [`  ${(error as Error).message}`], error)
  }
}

function withinEpoch(path: string, lines: string[], cause?: unknown): CheckpointError {
  return new CheckpointError(
    `resume: ${path} lies within an epoch, which other options cannot end; nothing was changed.\n${lines.join('\n')}\n` +
      '  Resume with the options the run began with, or from a checkpoint between two epochs.',
    { cause },
  )
}

/** Its own memory, so that the file's tensors can be freed. */
function copyOf(value: Tensor): Tensor {
  return unscoped(() => noGrad(() => value.clone()))
}

/** Copies of tensors, by name. */
export const copies = (part: Record<string, Tensor>): Record<string, Tensor> =>
  Object.fromEntries(Object.entries(part).map(([key, value]) => [key, copyOf(value)]))
