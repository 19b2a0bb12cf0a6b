import type { nn, optim, Tensor } from '../../index.js'
import type { EpochLog, History } from '../history.js'

/** A training run as its callbacks see it. */
export interface FitContext {
  /** The model that is trained. */
  readonly model: nn.Module
  /** Its optimizer. */
  readonly optimizer: optim.Optimizer
  /** The epochs so far. */
  readonly history: History
  /** Names of the figures that each epoch's log will have. */
  readonly figures: readonly string[]
  /** The epoch that is running, from 0, and how many there are to be. */
  readonly epoch: number
  /** How many epochs there are to be. */
  readonly epochs: number
  /** Optimizer steps begun so far, over all epochs. */
  readonly step: number
  /** Ends training after the step that runs now; `history.stopped` keeps the reason. */
  stop(reason: string): void
  /** Writes a checkpoint of this moment. */
  saveCheckpoint(path: string): Promise<void>
  /** Writes the weights alone, as `trainer.save` does. */
  saveWeights(path: string): Promise<void>
  /** Shows a remark without breaking the progress bar. */
  note(text: string): void
  /**
   * Runs a batch's forward and backward once more, eagerly, with every result tested; gives the error that names the layer and op of the
   * first NaN or infinity, or null.
   */
  findNonFinite(batch: BatchLog): Promise<Error | null>
}

/** One batch's figures. They arrive in order, up to two steps after the step was begun: training does not wait for them. */
export interface BatchLog {
  /** The epoch, from 0. */
  readonly epoch: number
  /** The batch within the epoch, from 0. */
  readonly batch: number
  /** The batch over all epochs, from 0. */
  readonly index: number
  /** The mean loss of the batch. */
  readonly loss: number
  /** Samples in it. */
  readonly size: number
  /** The learning rates it was trained with, one a group. */
  readonly lr: readonly number[]
  /** Gradient norms by parameter, where a callback wants them. */
  readonly gradientNorms?: Readonly<Record<string, number>>
}

/**
 * Something that listens to a training run. Every method may be async and is awaited; what it throws ends the run and rejects `fit`, after
 * the running steps have finished and the model's modes are restored.
 */
export interface Callback {
  /** Batches between two measurements of `gradientNorms`; without it none are taken. */
  gradientNormsEvery?: number
  /** Asks that a step with a NaN or infinite loss leaves the weights as they were, and that its batch is kept for `findNonFinite`. */
  guardNonFinite?: boolean
  /** Names of the figures that it adds to each epoch's log, so that others can watch them. */
  readonly figures?: readonly string[]
  /** Called once, before the first epoch. */
  onFitStart?(context: FitContext): void | Promise<void>
  /** Called before the first batch of an epoch (not again for one that is resumed in its midst). */
  onEpochStart?(context: FitContext, epoch: number): void | Promise<void>
  /** Called when a batch's figures have arrived. */
  onBatchEnd?(context: FitContext, batch: BatchLog): void | Promise<void>
  /** Called after each epoch, validation included. */
  onEpochEnd?(context: FitContext, log: EpochLog): void | Promise<void>
  /** Called once, also after an error. */
  onFitEnd?(context: FitContext, history: History): void | Promise<void>
  /** Plain data for checkpoints, so that a resumed run goes on as the first would have. */
  stateDict?(): unknown
  /** Tensors for checkpoints. */
  stateTensors?(): Record<string, Tensor>
  /** Takes back what `stateDict` and `stateTensors` gave. */
  loadStateDict?(state: never, tensors: Record<string, Tensor>): void
}
