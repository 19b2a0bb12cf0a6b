import { ValueError } from '../index.js'
import { modeOf, settle } from '../internal.js'
import type { Optimizer } from './optimizer.js'
import { steer } from './rates.js'
import { checkNumbers, Schedule, type ScheduleFactory, type ScheduleState } from './schedule.js'

/** Options of `ReduceLROnPlateau`. */
export interface PlateauOptions {
  /** In `fit`: the epoch's figure to watch, as callbacks name it. Default 'valLoss', 'loss' without validation. */
  monitor?: string | undefined
  /** Whether a smaller or a larger metric is better. Default by the monitor's name, 'min' without one. */
  mode?: 'min' | 'max'
  /** What the rate is multiplied with. Default 0.1. */
  factor?: number
  /** Epochs without improvement that are tolerated. Default 10. */
  patience?: number
  /** The least change that counts as improvement. Default 1e-4. */
  threshold?: number
  /** Whether `threshold` is a share of the best value or a difference. Default 'rel'. */
  thresholdMode?: 'rel' | 'abs'
  /** Epochs after a reduction in which none is counted. Default 0. */
  cooldown?: number
  /** The lowest rate. Default 0. */
  minLr?: number
  /** Smaller changes of the rate are left out. Default 1e-8. */
  eps?: number
}

/**
 * Multiplies the rate with `factor` when the metric given to `step` has not improved for more than `patience` epochs. PyTorch:
 * `ReduceLROnPlateau`.
 */
export class ReduceLROnPlateau extends Schedule {
  #options: Required<Omit<PlateauOptions, 'monitor'>>
  /** The figure that `fit` gives to `step`; undefined for the loss. */
  readonly monitor: string | undefined
  #best: number
  #bad = 0
  #cooling = 0

  constructor(optimizer: Optimizer, options: PlateauOptions = {}) {
    super(optimizer, 'epoch')
    const { monitor, mode = monitor === undefined ? 'min' : modeOf(monitor), ...rest } = settle('ReduceLROnPlateau', options, {
      monitor: undefined,
      mode: undefined,
      factor: 0.1,
      patience: 10,
      threshold: 1e-4,
      thresholdMode: 'rel',
      cooldown: 0,
      minLr: 0,
      eps: 1e-8,
    })
    if (monitor !== undefined && typeof monitor !== 'string') throw new ValueError(`ReduceLROnPlateau: monitor is ${String(monitor)}; it must be a figure's name, such as 'valAccuracy'.`)
    this.monitor = monitor
    this.#options = { mode, ...rest }
    const { thresholdMode, factor, mode: _, ...others } = this.#options
    if (!(factor >= 0 && factor < 1)) throw new ValueError(`ReduceLROnPlateau: factor is ${factor}; it must be at least 0 and below 1.`)
    checkNumbers('ReduceLROnPlateau', others, 0)
    if (mode !== 'min' && mode !== 'max') throw new ValueError(`ReduceLROnPlateau: mode is '${String(mode)}'; it must be 'min' or 'max'.`)
    if (thresholdMode !== 'rel' && thresholdMode !== 'abs')
      throw new ValueError(`ReduceLROnPlateau: thresholdMode is '${String(thresholdMode)}'; it must be 'rel' or 'abs'.`)
    this.#best = this.#options.mode === 'min' ? Infinity : -Infinity
  }

  /** Whether a smaller or a larger metric counts as better. */
  get mode(): 'min' | 'max' {
    return this.#options.mode
  }

  /** The rate now: here it depends on what was measured, not on `t`. */
  at(_t: number, _base: number, group: number): number {
    return this.optimizer.groups[group]?.lr ?? 0
  }

  override step(metric?: number): void {
    if (metric === undefined)
      throw new ValueError('ReduceLROnPlateau: step() wants the metric.\n  In fit, give validation data, or watch the loss.')
    this.checkAlone()
    this.t++
    const { factor, patience, cooldown, minLr, eps } = this.#options
    if (this.#better(metric)) {
      this.#best = metric
      this.#bad = 0
    } else this.#bad++
    if (this.#cooling > 0) {
      this.#cooling--
      this.#bad = 0
    }
    if (this.#bad <= patience) return
    for (const group of this.optimizer.groups) {
      const next = Math.max(group.lr * factor, minLr)
      if (group.lr - next > eps) steer(group, next)
    }
    this.#cooling = cooldown
    this.#bad = 0
  }

  #better(metric: number): boolean {
    const { mode, threshold, thresholdMode } = this.#options
    const sign = mode === 'min' ? -1 : 1
    // Relative to an infinite best the margin would be infinite too, which still compares rightly.
    const margin = thresholdMode === 'rel' ? this.#best * (1 + sign * threshold) : this.#best + sign * threshold
    return mode === 'min' ? metric < margin : metric > margin
  }

  override stateDict(): ScheduleState {
    return {
      ...super.stateDict(),
      best: Number.isFinite(this.#best) ? this.#best : null,
      bad: this.#bad,
      cooling: this.#cooling,
      lr: this.lastLr,
    }
  }

  override loadStateDict(state: ScheduleState): void {
    super.loadStateDict(state)
    const { best, bad, cooling, lr } = state as unknown as { best: number | null; bad: number; cooling: number; lr: number[] }
    this.#best = best ?? (this.#options.mode === 'min' ? Infinity : -Infinity)
    this.#bad = bad
    this.#cooling = cooling
    this.optimizer.groups.forEach((group, i) => {
      steer(group, lr[i] ?? group.lr)
    })
  }
}

/** As `ReduceLROnPlateau`, watching `monitor`, or the validation loss (the training loss without validation). */
export const reduceLROnPlateau =
  (options: PlateauOptions = {}): ScheduleFactory =>
  (optimizer) =>
    new ReduceLROnPlateau(optimizer, options)
