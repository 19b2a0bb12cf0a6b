// The training loop: at most two steps ahead of what is known, everything that a step made given back, modes restored whatever happens.
import { CancelledError, type data, Generator, type nn, optim, scope, type Tensor, ValueError } from '../index.js'
import { debug, says, warn } from '../internal.js'
import { type BatchLog, type Callback, type FitContext, figureNamed, monitored } from './callbacks/index.js'
import { copies, type FitState, type Position, readCheckpoint, writeCheckpoint } from './checkpoint.js'
import { CheckpointFolder } from './checkpoint-folder.js'
import { evaluateBatches } from './evaluate.js'
import { type EpochLog, History } from './history.js'
import type { ResolvedLoss } from './loss.js'
import { Mean, type Metric, type MetricValue } from './metrics/index.js'
import { Flight } from './flight.js'
import type { FitOptions } from './options.js'
import { Progress, type ProgressState } from './progress.js'
import { type Batch, batchSizeOf, type Batches, retain } from './source.js'
import { type Precision, TrainStep } from './step.js'
import { saveWithWords } from './texts.js'

/** A `fit` with all its choices made. */
export interface FitSettings {
  model: nn.Module
  optimizer: optim.Optimizer
  loss: ResolvedLoss
  metrics: Metric[]
  precision: Precision
  batches: Batches
  validation: Batches | null
  schedule: optim.Schedule | null
  options: FitOptions
  epochs: number
}

/** Steps that may be under way before the oldest is waited for. */
const ahead = 2

/** One run of `fit`. */
export class FitRun implements FitContext {
  readonly history: History = new History()
  readonly model: nn.Module
  readonly optimizer: optim.Optimizer
  readonly epochs: number
  epoch = 0
  step = 0
  #settings: FitSettings
  #callbacks: readonly Callback[]
  #generator: Generator
  #train: TrainStep
  #mean = new Mean()
  #progress: Progress | null
  /** Remarks of callbacks are made, also where progress is not shown. */
  #remarks: boolean
  #folder: CheckpointFolder | null
  #flight: Flight
  /** Batches begun over all epochs, within this epoch, and since the last optimizer step. */
  #index = 0
  #batch = 0
  #gathered = 0
  #seconds = 0
  /** An epoch has ended and `epoch` still is its number: a checkpoint of this moment begins with the next one. */
  #between = false
  /** Where the loader stands within an epoch: when its last batch has been taken the loader itself is at the next one. */
  #place: data.LoaderState | null = null
  #stop: string | null = null
  #warned = false

  constructor(settings: FitSettings) {
    const { model, optimizer, loss, precision, options, epochs } = settings
    this.#settings = settings
    this.model = model
    this.optimizer = optimizer
    this.epochs = epochs
    this.#callbacks = options.callbacks ?? []
    this.#generator = new Generator(options.seed ?? 0)
    const guard = this.#callbacks.some(({ guardNonFinite }) => guardNonFinite)
    const clip = { clipNorm: options.clipNorm, clipValue: options.clipValue, refuseNonFinite: guard }
    this.#train = new TrainStep({ model, optimizer, loss, clip, generator: this.#generator, compiled: options.compile ?? true, precision })
    this.#flight = new Flight(model, this.#train)
    // A stream of the program's own is not the library's to silence.
    const said = (level: 'warn' | 'info'): boolean => options.verbose !== false && (options.stream !== undefined || says(level))
    this.#progress = said('info') ? new Progress(options.verbose ?? true, options.stream) : null
    this.#remarks = said('warn')
    this.#folder = options.checkpointDir === undefined ? null : new CheckpointFolder(options.checkpointDir, options.checkpointKeep ?? 2)
  }

  /** Trains to the end, a stop or an error. */
  async run(): Promise<History> {
    const { options } = this.#settings
    try {
      this.#watched()
      await this.#resume(options.resume)
      await this.#each((callback) => callback.onFitStart?.(this))
      while (this.epoch < this.epochs && this.#stop === null) await this.#runEpoch()
    } catch (error) {
      await this.#settle()
      // The first error is the one to tell of; the callbacks still hear of the end.
      await this.#each((callback) => callback.onFitEnd?.(this, this.history)).catch(() => {})
      throw error
    } finally {
      await this.#settle()
    }
    this.history.stopped = this.#stop
    await this.#each((callback) => callback.onFitEnd?.(this, this.history))
    return this.history
  }

  /** Frees what the run owns; to be called when it has ended. */
  dispose(): void {
    this.#train.forget()
    this.#generator.dispose()
  }

  async #runEpoch(): Promise<void> {
    const { batches, options, schedule, validation, metrics } = this.#settings
    if (options.signal?.aborted) await this.#cancel(options.signal)
    const begun = performance.now() - this.#seconds * 1000
    const fresh = this.#batch === 0
    if (fresh) for (const metric of [this.#mean, ...metrics]) metric.reset()
    this.#progress?.begin()
    if (fresh) await this.#each((callback) => callback.onEpochStart?.(this, this.epoch))
    this.#train.forget()
    this.#place = batches.state()
    for await (const batch of batches) {
      this.#place = batches.state()
      this.#begin(batch)
      this.#seconds = (performance.now() - begun) / 1000
      await this.#finish(ahead)
      await this.#saveIfDue()
      if (this.#stop !== null) break
      if (options.signal?.aborted) await this.#cancel(options.signal)
      if (this.#progress?.due) this.#progress.update({ ...this.#shown(), figures: await this.#figures() })
    }
    await this.#finish(0)
    if (this.#stop !== null && this.#batch < batches.length) return
    if (this.#batch === 0)
      throw new ValueError('fit: the data gave no batch.\n  Give at least one sample; a loader is to start again in each epoch.')
    if (this.#gathered > 0) {
      this.#train.flush()
      this.#gathered = 0
      this.step++
      if (schedule?.interval === 'step') schedule.step()
    }
    const log: EpochLog = {
      epoch: this.epoch,
      ...((await this.#figures()) as { loss: number }),
      lr: this.optimizer.groups[0]?.lr ?? NaN,
      seconds: 0,
    }
    if (validation !== null) Object.assign(log, prefixed(await this.#validate(validation)))
    if (schedule?.interval === 'epoch') schedule.step(monitored(log, this.#watched()))
    log.seconds = (performance.now() - begun) / 1000
    this.#warnOfNonFinite(log)
    this.history.epochs.push(log)
    this.#batch = 0
    this.#seconds = 0
    this.#between = true
    this.#place = null
    await this.#each((callback) => callback.onEpochEnd?.(this, log))
    this.#progress?.end(this.#shown(), log)
    if (this.#folder !== null && (options.checkpointEvery ?? 'epoch') === 'epoch') await this.#save(this.#folder.path(this.#index))
    this.#between = false
    this.epoch++
  }

  /** The figure that the schedule is given at the end of an epoch. @throws ValueError where there will be none, or one that falls when all is well */
  #watched(): string {
    const { schedule, validation } = this.#settings
    const usual = validation === null ? 'loss' : 'valLoss'
    if (!(schedule instanceof optim.ReduceLROnPlateau)) return usual
    if (schedule.monitor !== undefined) return figureNamed('ReduceLROnPlateau', schedule.monitor, this.#measured())
    if (schedule.mode === 'min') return usual
    throw new ValueError(`fit: ReduceLROnPlateau with mode 'max' would watch ${usual}, which falls as training goes well.\n  Name a figure that grows, { monitor: 'valAccuracy' }, or leave mode out.`)
  }

  /** Once a run: losses that are no number any more teach nothing, and a model may go on being trained for hours. */
  #warnOfNonFinite({ epoch, loss, valLoss }: EpochLog): void {
    const training = !Number.isFinite(loss)
    const validation = typeof valLoss === 'number' && !Number.isFinite(valLoss)
    if (this.#warned || (!training && !validation)) return
    this.#warned = true
    const { kind, fromLogits } = this.#settings.loss.task
    const what = training ? `the training loss is ${loss}` : `the validation loss is ${valLoss}, while the training loss is ${figureOf(loss)}`
    const way = training
      ? "new StopOnNaN(), from 'ferrograd/train', among the callbacks stops at the first such batch and names the layer and op it came from.\n"
        + '  Check the inputs, lower the learning rate, or clip gradients.'
        + (kind === 'binary' && !fromLogits ? "\n  'bce' takes probabilities, from a Sigmoid: for outputs below 0 or above 1 there is 'bceWithLogits'." : '')
      : "new StopOnNaN(), from 'ferrograd/train', watches training alone: look at the validation data, or call trainer.evaluate on it after\n"
        + '  anomaly(true), which names the layer and op.'
    warn('FERROGRAD_NAN', `fit: ${what} in epoch ${epoch + 1}.\n  ${way}`)
  }

  /** Begins the step of a batch. */
  #begin(batch: Batch): void {
    const {
      batches,
      options,
      metrics,
      loss: objective,
    } = this.#settings
    const accumulate = options.accumulate ?? 1
    const remaining = batches.length - this.#batch
    // The last group of an epoch may be smaller; where the length is unknown it is flushed after the last batch.
    const divisor = Number.isFinite(remaining) ? Math.min(accumulate, remaining + this.#gathered) : accumulate
    const apply = this.#gathered + 1 >= divisor
    const every = Math.min(...this.#callbacks.map(({ gradientNormsEvery }) => gradientNormsEvery ?? Infinity))
    const norms = apply && Number.isFinite(every) && this.#index % every === 0
    const size = batchSizeOf(batch)
    const lr = this.optimizer.groups.map((group) => group.lr)
    const guard = this.#callbacks.some(({ guardNonFinite }) => guardNonFinite)
    const { loss, measured } = scope(() => {
      const { augment } = options
      const inputs = typeof augment === 'function' ? this.#train.draw(() => augment(batch.inputs)) : batch.inputs
      const result = this.#train.run(inputs, batch.labels, { divisor, apply, norms })
      this.#mean.gather(result.loss, objective.divisor?.(result.output, batch.labels) ?? size)
      for (const metric of metrics) metric.update(result.output, batch.labels as Tensor, objective.task)
      return { loss: result.loss.item(), measured: result.norms?.data() ?? null }
    })
    this.#flight.add({
      log: { epoch: this.epoch, batch: this.#batch, index: this.#index, size, lr },
      loss,
      norms: measured as Promise<ArrayLike<number>> | null,
      batch: guard ? retain(batch) : null,
    })
    this.#index++
    this.#batch++
    this.#gathered = apply ? 0 : this.#gathered + 1
    if (!apply) return
    this.step++
    if (this.#settings.schedule?.interval === 'step') this.#settings.schedule.step()
  }

  /** Waits until no more than `left` steps are under way, telling the callbacks of each that has ended. */
  async #finish(left: number): Promise<void> {
    while (this.#flight.length > left) {
      const log = await this.#flight.next()
      await this.#each((callback) => callback.onBatchEnd?.(this, log))
    }
  }

  findNonFinite(_batch: BatchLog): Promise<Error | null> {
    return this.#flight.findNonFinite()
  }

  /** The checkpoint that is due after a batch. */
  async #saveIfDue(): Promise<void> {
    const every = this.#settings.options.checkpointEvery ?? 'epoch'
    if (this.#folder !== null && every !== 'epoch' && this.#index % every === 0) await this.#save(this.#folder.path(this.#index))
  }

  /** The figures on validation data. A run that is cancelled in their midst is put back to where they began. */
  async #validate(validation: Batches): Promise<Record<string, MetricValue>> {
    const {
      loss,
      metrics,
      precision,
      options: { signal },
    } = this.#settings
    // The metrics begin anew; what they have gathered in the epoch belongs into the checkpoint.
    const gathered = this.#folder === null || signal === undefined ? [] : metrics.map((metric) => copies(metric.stateDict()))
    try {
      return await evaluateBatches(this.model, validation, loss, metrics, { signal, precision })
    } catch (error) {
      if (signal?.aborted !== true || !(error instanceof CancelledError)) throw error
      gathered.splice(0).forEach((sums, i) => metrics[i]?.loadStateDict(sums))
      return await this.#cancel(signal)
    } finally {
      for (const sums of gathered) for (const sum of Object.values(sums)) sum.dispose()
    }
  }

  async #cancel(signal: AbortSignal): Promise<never> {
    await this.#finish(0)
    const path = this.#folder?.path(this.#index)
    if (path !== undefined) await this.#save(path)
    throw new CancelledError(
      `fit: cancelled in epoch ${this.epoch + 1} after ${this.step} steps.${path === undefined ? '' : ` Go on with resume: '${path}'.`}`,
      { cause: signal.reason },
    )
  }

  /** Lets running steps end, for better or worse. */
  async #settle(): Promise<void> {
    await this.#flight.settle()
    this.#progress?.close()
    // What was gathered for a step that does not come must not enter the next run's first.
    if (this.#gathered > 0) this.optimizer.zeroGrad()
    for (const metric of [this.#mean, ...this.#settings.metrics]) metric.reset()
  }

  async #figures(): Promise<Record<string, MetricValue>> {
    const entries = await Promise.all(
      [this.#mean, ...this.#settings.metrics].map(async (metric) => [metric.name, await metric.compute()] as const),
    )
    return Object.fromEntries(entries)
  }

  #shown(): ProgressState {
    return { epoch: this.epoch, epochs: this.epochs, batch: this.#batch, batches: this.#settings.batches.length, figures: {} }
  }

  async #each(call: (callback: Callback) => void | Promise<void> | undefined): Promise<void> {
    for (const callback of this.#callbacks) await call(callback)
  }

  stop(reason: string): void {
    this.#stop ??= reason
  }

  get figures(): readonly string[] {
    return [...this.#measured(), ...this.#callbacks.flatMap(({ figures }) => figures ?? [])]
  }

  /** The figures that are there before the callbacks add theirs. */
  #measured(): string[] {
    const { metrics, validation } = this.#settings
    const measured = ['loss', ...metrics.map(({ name }) => name)]
    return [...measured, 'lr', ...(validation === null ? [] : measured.map(ofValidation))]
  }

  note(text: string): void {
    if (this.#progress !== null) this.#progress.note(text)
    else if (this.#remarks) process.stderr.write(`${text}\n`)
  }

  saveCheckpoint(path: string): Promise<void> {
    return this.#save(path)
  }

  saveWeights(path: string): Promise<void> {
    return saveWithWords(this.model, path, this.#settings.options.metadata?.vectorizer)
  }

  async #save(path: string): Promise<void> {
    await this.#folder?.create()
    const begun = performance.now()
    await writeCheckpoint(path, this.#state(), this.#settings.options.metadata)
    debug(() => `fit: wrote ${path} in ${(performance.now() - begun).toFixed(0)} ms`)
    await this.#folder?.prune()
  }

  async #resume(resume: string | boolean | undefined): Promise<void> {
    const path = typeof resume === 'string' ? resume : resume === true ? await this.#folder?.newest() : undefined
    if (path === undefined || path === null) return
    const position = await readCheckpoint(path, this.#state())
    debug(() => `fit: goes on from ${path}, epoch ${position.epoch + 1}, step ${position.step}`)
    this.epoch = position.epoch
    this.step = position.step
    this.#index = position.index
    this.#batch = position.batch
    this.#gathered = position.gathered
    this.#seconds = position.seconds
    this.history.epochs.push(...position.history)
  }

  #state(): FitState {
    const { batches, schedule, metrics, precision, options } = this.#settings
    const position = {
      epoch: this.epoch + (this.#between ? 1 : 0),
      step: this.step,
      index: this.#index,
      batch: this.#batch,
      gathered: this.#gathered,
      seconds: this.#seconds,
      history: this.history.epochs,
    }
    return {
      model: this.model,
      optimizer: this.optimizer,
      schedule,
      precision,
      generator: this.#generator,
      batches,
      place: this.#place ?? batches.state(),
      accumulate: options.accumulate ?? 1,
      metrics: [this.#mean, ...metrics],
      callbacks: this.#callbacks,
      position,
    }
  }
}

const figureOf = (value: number): string => value.toPrecision(4)

const ofValidation = (name: string): string => `val${name[0]?.toUpperCase()}${name.slice(1)}`

function prefixed(figures: Record<string, MetricValue>): Record<string, MetricValue> {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [ofValidation(name), value]))
}
