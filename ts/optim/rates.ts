// Which learning rates the user gave, and which of them a schedule has changed since: a second schedule starts from the former.
import type { Schedule } from './schedule.js'

/** A rate as a schedule knows it. */
export interface ScheduledRate {
  /** What the user gave. */
  initial: number
  /** What the schedule wrote last; a group with another rate was changed by hand since. */
  scheduled: number
}

type Rated = { lr?: number | undefined }

const rates = new WeakMap<Rated, ScheduledRate>()
/** The schedule that steers an optimizer: the one made last. 'ended' when its `fit` is over. */
const holders = new WeakMap<object, Schedule | 'ended'>()

/** What a schedule has made of a group's rate; null where none has, and for one that was set by hand since. */
export function scheduledRate(group: Rated): ScheduledRate | null {
  const rate = rates.get(group)
  return rate !== undefined && Object.is(rate.scheduled, group.lr) ? rate : null
}

/** Takes over what `scheduledRate` gave. */
export function setScheduledRate(group: Rated, rate: ScheduledRate | null): void {
  if (rate === null) rates.delete(group)
  else rates.set(group, { ...rate })
}

/** The rate that the user gave a group, whatever schedules have made of it. PyTorch: `initial_lr`. */
export const initialRate = (group: Rated): number => scheduledRate(group)?.initial ?? (group.lr as number)

/** Sets a group's rate in a schedule's name. */
export function steer(group: Rated, lr: number): void {
  rates.set(group, { initial: rates.get(group)?.initial ?? (group.lr as number), scheduled: lr })
  group.lr = lr
}

/** Makes `schedule` the one that steers its optimizer, from the rates `base` on. */
export function take(schedule: Schedule): void {
  const { optimizer, base } = schedule
  holders.set(optimizer, schedule)
  optimizer.groups.forEach((group, i) => rates.set(group, { initial: base[i] ?? group.lr, scheduled: group.lr }))
}

/** The schedule that has taken the optimizer over from `schedule`, or null. */
export function successor(schedule: Schedule): Schedule | null {
  const holder = holders.get(schedule.optimizer)
  return holder === undefined || holder === 'ended' || holder === schedule ? null : holder
}

/** Notes that the training a schedule was made for is over, unless another has followed it already. */
export function end(schedule: Schedule): void {
  if (holders.get(schedule.optimizer) === schedule) holders.set(schedule.optimizer, 'ended')
}

/** Gives the groups the user's rates back, if the schedule that steered them has ended. */
export function restoreRates(optimizer: { readonly groups: readonly Rated[] }): void {
  if (holders.get(optimizer) !== 'ended') return
  holders.delete(optimizer)
  for (const group of optimizer.groups) {
    group.lr = initialRate(group)
    rates.delete(group)
  }
}
