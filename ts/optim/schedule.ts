import { CheckpointError, ValueError } from '../index.js'
import type { Optimizer } from './optimizer.js'
import { end, initialRate, steer, successor, take } from './rates.js'

/** What a schedule needs to know of the training it steers. */
export interface SchedulePlan {
  /** Optimizer steps from start to end. Infinity where the data's length is unknown. */
  totalSteps: number
  /** Optimizer steps an epoch. */
  stepsPerEpoch: number
}

/**
 * Makes a schedule for an optimizer; what the `schedule` option of `fit` takes. By hand: `optim.linearWarmup(0.1)(optimizer, { totalSteps:
 * 1000, stepsPerEpoch: 100 })`.
 */
export type ScheduleFactory = (optimizer: Optimizer, plan: SchedulePlan) => Schedule

/** A schedule's position as plain data. */
export interface ScheduleState {
  /** The class it came from. */
  type: string
  /** Calls of `step()` so far. */
  t: number
  /** The groups' rates before the schedule. */
  base: number[]
  [field: string]: unknown
}

/**
 * Sets the learning rate of each group as a function of the number of `step()` calls and of the rates the groups began with.
 * Because nothing else enters, a schedule set back to a state continues exactly. The rate at 0 is set when the schedule is made.
 *
 * The rates that groups begin with are the user's, also where an earlier schedule has changed them since, as PyTorch's `initial_lr`; a rate
 * set by hand after it counts anew. One schedule steers an optimizer at a time: the one made last.
 */
export abstract class Schedule {
  /** Whether the trainer calls `step()` after each optimizer step or after each epoch. */
  interval: 'step' | 'epoch'
  /** Calls of `step()` so far. */
  t = 0
  /** The groups' rates as the user gave them. */
  base: number[]
  /** The optimizer whose rates it sets. */
  readonly optimizer: Optimizer

  constructor(optimizer: Optimizer, interval: 'step' | 'epoch') {
    const { name } = new.target
    if (!Array.isArray(optimizer?.groups)) throw new ValueError(`${name}: takes an optimizer first, as in new optim.${name}(optimizer, ...).`)
    if (interval !== 'step' && interval !== 'epoch') throw new ValueError(`${name}: interval is '${String(interval)}'; it must be 'step' or 'epoch'.`)
    this.optimizer = optimizer
    this.interval = interval
    this.base = optimizer.groups.map(initialRate)
    take(this)
  }

  /** The learning rate at `t` of a group that began with `base`. */
  abstract at(t: number, base: number, group: number): number

  /** Moves on and sets the rates. `metric` is what `ReduceLROnPlateau` watches; the others ignore it. */
  step(_metric?: number): void {
    this.checkAlone()
    this.t++
    this.apply()
  }

  /** Throws where another schedule was made for the optimizer since: each would overwrite the other's rates. */
  protected checkAlone(): void {
    const other = successor(this)
    if (other === null) return
    throw new ValueError(
      `${this.constructor.name}: ${other.constructor.name} was made for the same optimizer since; each would overwrite the other's rates.\n` +
        '  Multiply their factors in one: new optim.LambdaLR(optimizer, (t) => first(t) * second(t)).',
    )
  }

  /** Writes the rates of `t` into the groups. */
  apply(): void {
    this.optimizer.groups.forEach((group, i) => {
      steer(group, this.at(this.t, this.base[i] ?? initialRate(group), i))
    })
  }

  /** Steers its optimizer again from where it stands, after another schedule did. `fit` does so with a schedule that it is given. */
  begin(): void {
    take(this)
    this.apply()
  }

  /** Says that its training is over: `optimizer.restoreRates()` gives the user's rates back from now on. `fit` does so at its end. */
  end(): void {
    end(this)
  }

  /** The rates now, one a group. */
  get lastLr(): number[] {
    return this.optimizer.groups.map(({ lr }) => lr)
  }

  /** The position, as plain data. */
  stateDict(): ScheduleState {
    return { type: this.constructor.name, t: this.t, base: [...this.base] }
  }

  /** Continues from a position. @throws CheckpointError for a schedule of another class */
  loadStateDict(state: ScheduleState): void {
    if (state.type !== this.constructor.name) {
      throw new CheckpointError(
        `${this.constructor.name}.loadStateDict: the state is one of ${state.type}.\n  Resume with the schedule the run began with.`,
      )
    }
    this.t = state.t
    this.base = [...state.base]
    take(this)
    this.apply()
  }
}

/** Throws unless each number, also in lists, is finite and at least `low`. */
export function checkNumbers(name: string, numbers: Readonly<Record<string, number | readonly number[]>>, low: number = -Infinity): void {
  for (const [option, values] of Object.entries(numbers)) {
    for (const value of [values].flat()) {
      if (Number.isFinite(value) && (value as number) >= low) continue
      throw new ValueError(`${name}: ${option} is ${String(value)}; it must be a finite number${low === -Infinity ? '' : ` of at least ${low}`}.`)
    }
  }
}

/** Steps or epochs that a schedule spans, from the plan or by option. */
export function span(name: string, given: number | undefined, planned: number): number {
  const steps = given ?? planned
  if (Number.isFinite(steps) && steps > 0) return steps
  throw new ValueError(`${name}: the number of steps is ${steps}.\n  Give totalSteps, or train on data whose length is known.`)
}
