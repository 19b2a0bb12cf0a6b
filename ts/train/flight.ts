import type { nn } from '../index.js'
import type { BatchLog } from './callbacks/index.js'
import { findNonFinite } from './nonfinite.js'
import type { Retained } from './source.js'
import type { TrainStep } from './step.js'

/** A step that was begun, and its figures on their way. */
export interface Begun {
  log: Omit<BatchLog, 'loss' | 'gradientNorms'>
  loss: Promise<number>
  norms: Promise<ArrayLike<number>> | null
  /** The batch, where it may have to be run again to find the layer of a NaN. */
  batch: Retained | null
}

/** The steps under way, oldest first. Training does not wait for a step's figures before it begins the next. */
export class Flight {
  readonly #model: nn.Module
  readonly #step: TrainStep
  #begun: Begun[] = []
  #checked: Retained | null = null

  constructor(model: nn.Module, step: TrainStep) {
    this.#model = model
    this.#step = step
  }

  /** Steps under way. */
  get length(): number {
    return this.#begun.length
  }

  add(begun: Begun): void {
    // Whoever waits for them comes later; until then a rejection is not unhandled.
    begun.loss.catch(() => {})
    begun.norms?.catch(() => {})
    this.#begun.push(begun)
  }

  /** The figures of the oldest step, when they are there. @throws what made it fail */
  async next(): Promise<BatchLog> {
    const { log, loss, norms, batch } = this.#begun.shift() as Begun
    this.#checked?.release()
    this.#checked = batch
    const value = await loss.catch(async (error: unknown) => {
      // A step that refused NaN gradients may show itself as a failed one: then the layer is what the user wants to know.
      const found = await this.findNonFinite()
      if (found?.name === 'NonFiniteError') return NaN
      throw error
    })
    if (norms === null) return { ...log, loss: value }
    const measured = Array.from(await norms, (norm, i) => [this.#step.names[i] as string, norm] as const)
    return { ...log, loss: value, gradientNorms: Object.fromEntries(measured) }
  }

  /** Runs the batch that `next` told of once more to find its first NaN; null where all is finite or the batch was not kept. */
  async findNonFinite(): Promise<Error | null> {
    const batch = this.#checked
    return batch === null ? null : findNonFinite(this.#model, this.#step, batch.inputs, batch.labels)
  }

  /** Lets the steps under way end, for better or worse, and gives their batches back. */
  async settle(): Promise<void> {
    for (const { loss, norms, batch } of this.#begun.splice(0)) {
      await Promise.allSettled([loss, norms])
      batch?.release()
    }
    this.#checked?.release()
    this.#checked = null
  }
}
