import { modeOf } from '../internal.js'
import type { MetricValue } from './metrics/metric.js'

/** The figures of one epoch: `loss`, each metric, and the same of the validation data as `valLoss`, `valAccuracy` ... */
export interface EpochLog {
  /** Counted from 0. */
  epoch: number
  /** Mean training loss over the epoch's samples. */
  loss: number
  /** The first group's learning rate at the end of the epoch. */
  lr: number
  /** Wall time of the epoch, validation included. */
  seconds: number
  [name: string]: MetricValue
}

/** What a training run measured, epoch by epoch. */
export class History {
  /** One entry an epoch. */
  readonly epochs: EpochLog[]
  /** Why training ended before the last epoch; null where it did not. */
  stopped: string | null = null

  constructor(epochs: EpochLog[] = []) {
    this.epochs = epochs
  }

  /** A figure's course over the epochs; NaN where it is missing. */
  get(name: string): number[] {
    return this.epochs.map((log) => (typeof log[name] === 'number' ? log[name] : NaN))
  }

  /** The last epoch's figures. */
  get last(): EpochLog | undefined {
    return this.epochs.at(-1)
  }

  /**
   * The epoch with the best value of `name`. The smallest loss or error counts as best, the largest of anything else; `mode` says
   * otherwise.
   */
  best(name: string, mode: 'min' | 'max' = modeOf(name)): EpochLog | undefined {
    return this.epochs.reduce<EpochLog | undefined>((best, log) => {
      const value = log[name]
      if (typeof value !== 'number' || Number.isNaN(value)) return best
      return best === undefined || (mode === 'min' ? value < (best[name] as number) : value > (best[name] as number)) ? log : best
    }, undefined)
  }

  /** Plain data: the epochs, and every figure's course under its name as Keras' `history.history` has it. */
  toJSON(): { epochs: EpochLog[]; stopped: string | null; history: Record<string, number[]> } {
    const names = Object.keys(this.epochs[0] ?? {}).filter((name) => name !== 'epoch' && typeof this.epochs[0]?.[name] === 'number')
    return { epochs: this.epochs, stopped: this.stopped, history: Object.fromEntries(names.map((name) => [name, this.get(name)])) }
  }
}
