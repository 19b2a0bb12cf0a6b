import { ValueError } from '../index.js'
import { settle } from '../internal.js'
import type { Optimizer } from './optimizer.js'
import { checkNumbers, Schedule, type ScheduleFactory, span } from './schedule.js'

/** Options of `OneCycleLR`. */
export interface OneCycleOptions {
  /** The highest rate, one for all groups or one a group. */
  maxLr: number | readonly number[]
  /** Steps of the cycle; `fit` knows them. */
  totalSteps?: number
  /** Share of the steps in which the rate rises. Default 0.3. */
  pctStart?: number
  /** Default 'cos'. */
  annealStrategy?: 'cos' | 'linear'
  /** Moves momentum (or Adam's first beta) against the rate. Default true where the optimizer has either. */
  cycleMomentum?: boolean
  /** Lowest momentum, at the highest rate. Default 0.85. */
  baseMomentum?: number
  /** Highest momentum. Default 0.95. */
  maxMomentum?: number
  /** First rate = maxLr / divFactor. Default 25. */
  divFactor?: number
  /** Last rate = first rate / finalDivFactor. Default 1e4. */
  finalDivFactor?: number
  /** Falls back to the first rate before it falls to the last. Default false. */
  threePhase?: boolean
}

interface Phase {
  end: number
  lr: [number, number]
  momentum: [number, number]
}
type Momentum = { momentum?: number; betas?: readonly [number, number] }

/** One rise and one fall of the rate over the whole training (Smith and Topin 2018), step by step. PyTorch: `OneCycleLR`. */
export class OneCycleLR extends Schedule {
  #options: Required<Omit<OneCycleOptions, 'cycleMomentum'>> & { cycleMomentum: boolean }

  constructor(optimizer: Optimizer, options: OneCycleOptions & { totalSteps: number }) {
    super(optimizer, 'step')
    const cycles = optimizer.groups.every((group) => ((group as Momentum).momentum ?? 0) > 0 || (group as Momentum).betas !== undefined)
    this.#options = settle('OneCycleLR', options, {
      maxLr: NaN,
      totalSteps: NaN,
      pctStart: 0.3,
      annealStrategy: 'cos',
      cycleMomentum: cycles,
      baseMomentum: 0.85,
      maxMomentum: 0.95,
      divFactor: 25,
      finalDivFactor: 1e4,
      threePhase: false,
    })
    const { pctStart, maxLr, cycleMomentum, totalSteps, annealStrategy, baseMomentum, maxMomentum, divFactor, finalDivFactor } = this.#options
    span('OneCycleLR', totalSteps, totalSteps)
    checkNumbers('OneCycleLR', { maxLr, baseMomentum, maxMomentum, divFactor, finalDivFactor }, 0)
    if (annealStrategy !== 'cos' && annealStrategy !== 'linear')
      throw new ValueError(`OneCycleLR: annealStrategy is '${String(annealStrategy)}'; it must be 'cos' or 'linear'.`)
    if (!(pctStart >= 0 && pctStart <= 1)) throw new ValueError(`OneCycleLR: pctStart is ${pctStart}; it must lie in [0, 1].`)
    if (cycleMomentum && !cycles) throw new ValueError('OneCycleLR: cycleMomentum wants an optimizer with momentum above 0 or betas.')
    if (typeof maxLr !== 'number' && maxLr.length !== optimizer.groups.length)
      throw new ValueError(`OneCycleLR: ${maxLr.length} rates for ${optimizer.groups.length} groups.`)
    this.apply()
  }

  at(t: number, _base: number, group: number): number {
    return this.#value(t, group, 'lr')
  }

  override apply(): void {
    super.apply()
    if (!this.#options.cycleMomentum) return
    this.optimizer.groups.forEach((group, i) => {
      const momentum = group as Momentum
      const value = this.#value(this.t, i, 'momentum')
      if (momentum.betas !== undefined) momentum.betas = [value, momentum.betas[1]]
      else momentum.momentum = value
    })
  }

  #value(t: number, group: number, of: 'lr' | 'momentum'): number {
    const { totalSteps, annealStrategy } = this.#options
    if (t > totalSteps)
      throw new ValueError(`OneCycleLR: step ${t} of a cycle of ${totalSteps}.\n  Give the totalSteps of the whole training.`)
    let start = 0
    const phases = this.#phases(group)
    const last = phases.length - 1
    const phase = phases.find(({ end }, i) => t <= end || i === last || ((start = end), false)) as Phase
    const share = phase.end === start ? 1 : (t - start) / (phase.end - start)
    const [from, to] = phase[of]
    return annealStrategy === 'linear' ? (to - from) * share + from : to + ((from - to) / 2) * (1 + Math.cos(Math.PI * share))
  }

  #phases(group: number): Phase[] {
    const { maxLr, totalSteps, pctStart, divFactor, finalDivFactor, threePhase, baseMomentum: low, maxMomentum: high } = this.#options
    const top = typeof maxLr === 'number' ? maxLr : (maxLr[group] as number)
    const first = top / divFactor
    const final = first / finalDivFactor
    const rise: Phase = { end: pctStart * totalSteps - 1, lr: [first, top], momentum: [high, low] }
    if (!threePhase) return [rise, { end: totalSteps - 1, lr: [top, final], momentum: [low, high] }]
    return [
      rise,
      { end: 2 * pctStart * totalSteps - 2, lr: [top, first], momentum: [low, high] },
      { end: totalSteps - 1, lr: [first, final], momentum: [high, high] },
    ]
  }
}

/** As `OneCycleLR` over the whole training. */
export const oneCycle =
  (options: OneCycleOptions): ScheduleFactory =>
  (optimizer, plan) =>
    new OneCycleLR(optimizer, { ...options, totalSteps: span('oneCycle', options.totalSteps, plan.totalSteps) })
