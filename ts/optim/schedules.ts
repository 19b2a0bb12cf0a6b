// Learning rates as functions of time, with PyTorch's formulas. Each class is for loops by hand, each factory for `fit({ schedule })`.
import { ValueError } from '../index.js'
import type { Optimizer } from './optimizer.js'
import { Schedule, type ScheduleFactory, span } from './schedule.js'

/** Whether a schedule moves once a step or once an epoch. */
export interface IntervalOption {
  interval?: 'step' | 'epoch'
}

/** A schedule whose rate is `base * factor(t)`. PyTorch: `LambdaLR`. */
export class LambdaLR extends Schedule {
  #factor: (t: number, group: number) => number

  constructor(optimizer: Optimizer, factor: (t: number, group: number) => number, { interval = 'epoch' }: IntervalOption = {}) {
    super(optimizer, interval)
    this.#factor = factor
    this.apply()
  }

  at(t: number, base: number, group: number): number {
    return base * this.#factor(t, group)
  }
}

/** Options of `StepLR`. */
export interface StepOptions extends IntervalOption {
  stepSize: number
  gamma?: number
}

/** base * gamma^floor(t / stepSize); gamma 0.1. PyTorch: `StepLR`. */
export class StepLR extends LambdaLR {
  constructor(optimizer: Optimizer, { stepSize, gamma = 0.1, interval }: StepOptions) {
    if (!(stepSize >= 1)) throw new ValueError(`StepLR: stepSize is ${stepSize}; it must be at least 1.`)
    super(optimizer, (t) => gamma ** Math.floor(t / stepSize), { interval: interval ?? 'epoch' })
  }
}

/** Options of `MultiStepLR`. */
export interface MultiStepOptions extends IntervalOption {
  milestones: readonly number[]
  gamma?: number
}

/** base * gamma^(milestones passed); gamma 0.1. PyTorch: `MultiStepLR`. */
export class MultiStepLR extends LambdaLR {
  constructor(optimizer: Optimizer, { milestones, gamma = 0.1, interval }: MultiStepOptions) {
    super(optimizer, (t) => gamma ** milestones.filter((milestone) => milestone <= t).length, { interval: interval ?? 'epoch' })
  }
}

/** Options of `ExponentialLR`. */
export interface ExponentialOptions extends IntervalOption {
  gamma: number
}

/** base * gamma^t. PyTorch: `ExponentialLR`. */
export class ExponentialLR extends LambdaLR {
  constructor(optimizer: Optimizer, { gamma, interval }: ExponentialOptions) {
    super(optimizer, (t) => gamma ** t, { interval: interval ?? 'epoch' })
  }
}

/** Options of `CosineAnnealingLR`: `tMax` is half the period, `etaMin` the lowest rate. */
export interface CosineOptions extends IntervalOption {
  tMax: number
  etaMin?: number
}

/** etaMin + (base - etaMin) * (1 + cos(pi t / tMax)) / 2. PyTorch: `CosineAnnealingLR`. */
export class CosineAnnealingLR extends Schedule {
  #tMax: number
  #etaMin: number

  constructor(optimizer: Optimizer, { tMax, etaMin = 0, interval = 'epoch' }: CosineOptions) {
    super(optimizer, interval)
    this.#tMax = span('CosineAnnealingLR', tMax, tMax)
    this.#etaMin = etaMin
    this.apply()
  }

  at(t: number, base: number): number {
    return this.#etaMin + ((base - this.#etaMin) * (1 + Math.cos((Math.PI * t) / this.#tMax))) / 2
  }
}

/** Options of `LinearLR`. */
export interface LinearOptions extends IntervalOption {
  startFactor?: number
  endFactor?: number
  totalIters?: number
}

/** The factor goes from `startFactor` (1/3) to `endFactor` (1) in `totalIters` (5) steps and stays. PyTorch: `LinearLR`. */
export class LinearLR extends LambdaLR {
  constructor(optimizer: Optimizer, { startFactor = 1 / 3, endFactor = 1, totalIters = 5, interval }: LinearOptions = {}) {
    super(optimizer, (t) => startFactor + ((endFactor - startFactor) * Math.min(t, totalIters)) / totalIters, {
      interval: interval ?? 'epoch',
    })
  }
}

/** Options of the schedules with warm-up: `warmup` is a share of all steps below 1, or a number of steps. */
export interface WarmupOptions {
  totalSteps: number
  warmup: number
  cycles?: number
}

/** Rises linearly from 0 to base over the warm-up, then falls linearly to 0. Hugging Face: `get_linear_schedule_with_warmup`. */
export class LinearWarmup extends LambdaLR {
  constructor(optimizer: Optimizer, { totalSteps, warmup }: WarmupOptions) {
    const first = warmupSteps(warmup, totalSteps)
    super(optimizer, (t) => (t < first ? t / Math.max(1, first) : Math.max(0, (totalSteps - t) / Math.max(1, totalSteps - first))), {
      interval: 'step',
    })
  }
}

/** Rises linearly over the warm-up, then follows `cycles` (0.5) periods of a cosine. Hugging Face: `get_cosine_schedule_with_warmup`. */
export class CosineWarmup extends LambdaLR {
  constructor(optimizer: Optimizer, { totalSteps, warmup, cycles = 0.5 }: WarmupOptions) {
    const first = warmupSteps(warmup, totalSteps)
    const after = (t: number): number =>
      Math.max(0, 0.5 * (1 + Math.cos(Math.PI * cycles * 2 * ((t - first) / Math.max(1, totalSteps - first)))))
    super(optimizer, (t) => (t < first ? t / Math.max(1, first) : after(t)), { interval: 'step' })
  }
}

function warmupSteps(warmup: number, totalSteps: number): number {
  if (!(warmup >= 0)) throw new ValueError(`warm-up: ${warmup} is neither a share of all steps nor a number of them.`)
  return warmup < 1 ? Math.ceil(warmup * totalSteps) : warmup
}

/** As `StepLR`. */
export const stepLR =
  (options: StepOptions): ScheduleFactory =>
  (optimizer) =>
    new StepLR(optimizer, options)
/** As `MultiStepLR`. */
export const multiStepLR =
  (options: MultiStepOptions): ScheduleFactory =>
  (optimizer) =>
    new MultiStepLR(optimizer, options)
/** As `ExponentialLR`. */
export const exponentialLR =
  (options: ExponentialOptions): ScheduleFactory =>
  (optimizer) =>
    new ExponentialLR(optimizer, options)
/** As `LambdaLR`. */
export const lambdaLR =
  (factor: (t: number, group: number) => number, options: IntervalOption = {}): ScheduleFactory =>
  (optimizer) =>
    new LambdaLR(optimizer, factor, options)
/** As `CosineAnnealingLR`; without `tMax` one fall over the whole training, step by step. */
export const cosineAnnealingLR =
  ({ tMax, ...options }: Partial<CosineOptions> = {}): ScheduleFactory =>
  (optimizer, plan) =>
    new CosineAnnealingLR(optimizer, {
      interval: tMax === undefined ? 'step' : 'epoch',
      ...options,
      tMax: span('cosineAnnealingLR', tMax, plan.totalSteps),
    })
/** As `LinearLR`; without `totalIters` over the whole training, step by step, from 1 to 0. */
export const linear =
  ({ totalIters, ...options }: LinearOptions = {}): ScheduleFactory =>
  (optimizer, plan) =>
    totalIters !== undefined
      ? new LinearLR(optimizer, { ...options, totalIters })
      : new LinearLR(optimizer, {
          startFactor: 1,
          endFactor: 0,
          interval: 'step',
          ...options,
          totalIters: span('linear', undefined, plan.totalSteps),
        })
/** As `LinearWarmup` over the whole training; `warmup` is a share below 1 or a number of steps. */
export const linearWarmup =
  (warmup: number = 0.1, { totalSteps }: { totalSteps?: number } = {}): ScheduleFactory =>
  (optimizer, plan) =>
    new LinearWarmup(optimizer, { warmup, totalSteps: span('linearWarmup', totalSteps, plan.totalSteps) })
/** As `CosineWarmup` over the whole training; `warmup` is a share below 1 or a number of steps. */
export const cosineWarmup =
  (warmup: number = 0.1, { totalSteps, cycles = 0.5 }: { totalSteps?: number; cycles?: number } = {}): ScheduleFactory =>
  (optimizer, plan) =>
    new CosineWarmup(optimizer, { warmup, cycles, totalSteps: span('cosineWarmup', totalSteps, plan.totalSteps) })
