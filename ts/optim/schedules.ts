// Learning rates as functions of time, with PyTorch's formulas. Each class is for loops by hand, each factory for `fit({ schedule })`.
import { ValueError } from '../index.js'
import { settle } from '../internal.js'
import type { Optimizer } from './optimizer.js'
import { checkNumbers, Schedule, type ScheduleFactory, span } from './schedule.js'

/** Whether a schedule moves once a step or once an epoch. */
export interface IntervalOption {
  /** 'step': moves after each optimizer step; 'epoch': after each epoch. Default 'epoch', but 'step' for what spans the whole training by itself. */
  interval?: 'step' | 'epoch'
}

/** A schedule whose rate is `base * factor(t)`. PyTorch: `LambdaLR`. */
export class LambdaLR extends Schedule {
  #factor: (t: number, group: number) => number

  constructor(optimizer: Optimizer, factor: (t: number, group: number) => number, options: IntervalOption = {}) {
    super(optimizer, settle(new.target.name, options, { interval: 'epoch' }).interval)
    if (typeof factor !== 'function') throw new ValueError(`${new.target.name}: takes a function of the time that gives the factor.`)
    this.#factor = factor
    this.apply()
  }

  at(t: number, base: number, group: number): number {
    return base * this.#factor(t, group)
  }
}

/** Options of `StepLR`. */
export interface StepOptions extends IntervalOption {
  /** Steps or epochs from one change to the next. */
  stepSize: number
  /** The factor at each change. Default 0.1. */
  gamma?: number
}

/** base * gamma^floor(t / stepSize); gamma 0.1. PyTorch: `StepLR`. */
export class StepLR extends LambdaLR {
  constructor(optimizer: Optimizer, options: StepOptions) {
    const { stepSize, gamma, interval } = settle('StepLR', options, { stepSize: NaN, gamma: 0.1, interval: 'epoch' })
    checkNumbers('StepLR', { stepSize }, 1)
    checkNumbers('StepLR', { gamma })
    super(optimizer, (t) => gamma ** Math.floor(t / stepSize), { interval })
  }
}

/** Options of `MultiStepLR`. */
export interface MultiStepOptions extends IntervalOption {
  /** The steps or epochs at which the rate changes. */
  milestones: readonly number[]
  /** The factor at each milestone. Default 0.1. */
  gamma?: number
}

/** base * gamma^(milestones passed); gamma 0.1. PyTorch: `MultiStepLR`. */
export class MultiStepLR extends LambdaLR {
  constructor(optimizer: Optimizer, options: MultiStepOptions) {
    const { milestones, gamma, interval } = settle('MultiStepLR', options, { milestones: undefined, gamma: 0.1, interval: 'epoch' })
    if (milestones === undefined || !Array.isArray(milestones)) throw new ValueError('MultiStepLR: milestones is a list of times, as in [30, 80].')
    checkNumbers('MultiStepLR', { milestones, gamma })
    super(optimizer, (t) => gamma ** milestones.filter((milestone) => milestone <= t).length, { interval })
  }
}

/** Options of `ExponentialLR`. */
export interface ExponentialOptions extends IntervalOption {
  /** The factor at each step or epoch. */
  gamma: number
}

/** base * gamma^t. PyTorch: `ExponentialLR`. */
export class ExponentialLR extends LambdaLR {
  constructor(optimizer: Optimizer, options: ExponentialOptions) {
    const { gamma, interval } = settle('ExponentialLR', options, { gamma: NaN, interval: 'epoch' })
    checkNumbers('ExponentialLR', { gamma })
    super(optimizer, (t) => gamma ** t, { interval })
  }
}

/** Options of `CosineAnnealingLR`: `tMax` is half the period, `etaMin` the lowest rate. */
export interface CosineOptions extends IntervalOption {
  /** Steps or epochs from the highest rate to the lowest. */
  tMax: number
  /** The lowest rate. Default 0. */
  etaMin?: number
}

/** etaMin + (base - etaMin) * (1 + cos(pi t / tMax)) / 2. PyTorch: `CosineAnnealingLR`. */
export class CosineAnnealingLR extends Schedule {
  #tMax: number
  #etaMin: number

  constructor(optimizer: Optimizer, options: CosineOptions) {
    const { tMax, etaMin, interval } = settle('CosineAnnealingLR', options, { tMax: NaN, etaMin: 0, interval: 'epoch' })
    checkNumbers('CosineAnnealingLR', { etaMin })
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
  /** The factor at first. Default 1/3 (1 for `optim.linear`). */
  startFactor?: number
  /** The factor in the end. Default 1 (0 for `optim.linear`). */
  endFactor?: number
  /** Steps or epochs on the way. Default 5 (`optim.linear`: the whole training). */
  totalIters?: number
}

/** The factor goes from `startFactor` (1/3) to `endFactor` (1) in `totalIters` (5) steps and stays. PyTorch: `LinearLR`. */
export class LinearLR extends LambdaLR {
  constructor(optimizer: Optimizer, options: LinearOptions = {}) {
    const { startFactor, endFactor, totalIters, interval } = settle('LinearLR', options, {
      startFactor: 1 / 3, endFactor: 1, totalIters: 5, interval: 'epoch',
    })
    checkNumbers('LinearLR', { startFactor, endFactor })
    span('LinearLR', totalIters, totalIters)
    super(optimizer, (t) => startFactor + ((endFactor - startFactor) * Math.min(t, totalIters)) / totalIters, { interval })
  }
}

/** Options of the schedules with warm-up: `warmup` is a share of all steps below 1, or a number of steps. */
export interface WarmupOptions {
  /** Optimizer steps from start to end. */
  totalSteps: number
  /** The share of them that the rate rises for, if below 1, else a number of steps. */
  warmup: number
}
/** Options of `CosineWarmup`. */
export interface CosineWarmupOptions extends WarmupOptions {
  /** Periods of the cosine (0.5). */
  cycles?: number
}

/** Rises linearly from 0 to base over the warm-up, then falls linearly to 0. Hugging Face: `get_linear_schedule_with_warmup`. */
export class LinearWarmup extends LambdaLR {
  constructor(optimizer: Optimizer, options: WarmupOptions) {
    const { totalSteps, warmup } = settle('LinearWarmup', options, { totalSteps: NaN, warmup: NaN })
    span('LinearWarmup', totalSteps, totalSteps)
    const first = warmupSteps(warmup, totalSteps)
    super(optimizer, (t) => (t < first ? t / Math.max(1, first) : Math.max(0, (totalSteps - t) / Math.max(1, totalSteps - first))), {
      interval: 'step',
    })
  }
}

/** Rises linearly over the warm-up, then follows `cycles` (0.5) periods of a cosine. Hugging Face: `get_cosine_schedule_with_warmup`. */
export class CosineWarmup extends LambdaLR {
  constructor(optimizer: Optimizer, options: CosineWarmupOptions) {
    const { totalSteps, warmup, cycles } = settle('CosineWarmup', options, { totalSteps: NaN, warmup: NaN, cycles: 0.5 })
    span('CosineWarmup', totalSteps, totalSteps)
    checkNumbers('CosineWarmup', { cycles }, 0)
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
export const cosineAnnealingLR = (options: Partial<CosineOptions> = {}): ScheduleFactory => {
  const { tMax, etaMin, interval } = settle('cosineAnnealingLR', options, { tMax: undefined, etaMin: 0, interval: undefined })
  return (optimizer, plan) =>
    new CosineAnnealingLR(optimizer, {
      interval: interval ?? (tMax === undefined ? 'step' : 'epoch'),
      etaMin,
      tMax: span('cosineAnnealingLR', tMax, plan.totalSteps),
    })
}
/** As `LinearLR`; without `totalIters` over the whole training, step by step, from 1 to 0. */
export const linear = (options: LinearOptions = {}): ScheduleFactory => {
  if (options.totalIters !== undefined) return (optimizer) => new LinearLR(optimizer, options)
  const { totalIters: _, ...chosen } = settle('linear', options, { startFactor: 1, endFactor: 0, totalIters: undefined, interval: 'step' })
  return (optimizer, plan) => new LinearLR(optimizer, { ...chosen, totalIters: span('linear', undefined, plan.totalSteps) })
}
/** As `LinearWarmup` over the whole training; `warmup` is a share below 1 or a number of steps. */
export const linearWarmup = (warmup: number = 0.1, options: { totalSteps?: number } = {}): ScheduleFactory => {
  const { totalSteps } = settle('linearWarmup', options, { totalSteps: undefined })
  return (optimizer, plan) => new LinearWarmup(optimizer, { warmup, totalSteps: span('linearWarmup', totalSteps, plan.totalSteps) })
}
/** As `CosineWarmup` over the whole training; `warmup` is a share below 1 or a number of steps. */
export const cosineWarmup = (warmup: number = 0.1, options: { totalSteps?: number; cycles?: number } = {}): ScheduleFactory => {
  const { totalSteps, cycles } = settle('cosineWarmup', options, { totalSteps: undefined, cycles: 0.5 })
  return (optimizer, plan) => new CosineWarmup(optimizer, { warmup, cycles, totalSteps: span('cosineWarmup', totalSteps, plan.totalSteps) })
}
