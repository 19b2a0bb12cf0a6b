// One figure of one implementation, as a line to read and as a line of JSON.
import { median, medianInterval } from './statistics.js'

export interface Result {
  name: string
  /** `ferrograd`, or the peer. */
  impl: string
  threads: number
  dtype: string
  minMs: number
  medianMs: number
  /** Bursts measured; for a peer each is one of a pair with ours. */
  n: number
  /** The peer's time over ours, median over the pairs; 1 for ours. */
  ratio: number
  /** 95 % confidence interval of `ratio`; null where the pairs were too few. */
  ci: [number, number] | null
}

/** What a result is about, beside its times. */
export interface Subject { name: string; impl: string; threads: number; dtype: string }

/** From the times of a peer's bursts and of those of ours beside them, in ms a call. Ours alone: no second list. */
export function resultOf({ name, impl, threads, dtype }: Subject, times: readonly number[], ours: readonly number[] = times): Result {
  if (times.length !== ours.length) throw new RangeError(`${times.length} bursts of ${impl} and ${ours.length} of ours are no pairs`)
  const ratios = times.map((time, i) => time / (ours[i] as number))
  const round = (value: number): number => Number(value.toPrecision(5))
  return {
    name, impl, threads, dtype,
    minMs: round(Math.min(...times)), medianMs: round(median(times)), n: times.length,
    ratio: round(median(ratios)), ci: medianInterval(ratios)?.map(round) as [number, number] ?? null,
  }
}

/** One object a line, for `--json`. */
export const json = (result: Result): string => `${JSON.stringify(result)}\n`

/** '  torch                     11.3 ms (best 10.9)   ferrograd 3.9 ms (best 3.8)   2.90 x ours [2.85, 2.96]   20 pairs' */
export function line(peer: Result, ours: Result): string {
  const time = ({ medianMs, minMs }: Result): string => `${significant(medianMs)} ms (best ${significant(minMs)})`
  const interval = peer.ci === null ? 'too few pairs for an interval' : `[${peer.ci.map((bound) => bound.toFixed(2)).join(', ')}]`
  const columns = [peer.impl.padEnd(20), time(peer).padEnd(26), 'ferrograd', time(ours).padEnd(26), peer.ratio.toFixed(2), 'x ours', interval]
  return `  ${columns.join(' ')}  ${peer.n} pairs`
}

const significant = (value: number): string => (value >= 100 ? value.toFixed(0) : value.toPrecision(3))
