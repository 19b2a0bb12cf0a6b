// Two processes timed in turns, one short burst each: what the machine does meanwhile, it does to both.
import { setTimeout as pause } from 'node:timers/promises'
import type { PeerProcess, Prepared } from './process.js'

/** The least that a burst lasts, and how long both rest before one: what the last left spinning has gone to sleep by then. */
const BURST_MS = 60
const REST_MS = 40
/** Calls that are not counted go on this long. */
const WARM_UP_MS = 500
/** A peer this slow gets fewer pairs: a step of minutes says enough at once. */
const SLOW_MS = 5_000
const SLOW_PAIRS = 3

export interface Side { process: PeerProcess; prepared: Prepared }

/** Milliseconds a call in each of `pairs` bursts, of ours and of theirs. */
export async function inTurns(ours: Side, theirs: Side, pairs: number): Promise<{ ours: number[]; theirs: number[] }> {
  const times: [number[], number[]] = [[], []]
  const sides = [{ ...ours, ...await planOf(ours), times: times[0] }, { ...theirs, ...await planOf(theirs), times: times[1] }] as const
  const enough = sides[1].ms > SLOW_MS ? Math.min(pairs, SLOW_PAIRS) : pairs
  for (let pair = 0; pair < enough; pair++) {
    // Each goes first in half of the pairs.
    for (const { process, calls, warm, times } of pair % 2 === 0 ? sides : [...sides].reverse()) {
      await pause(REST_MS)
      times.push(await process.burst(calls, warm))
    }
  }
  return { ours: times[0], theirs: times[1] }
}

/** How many calls make a burst; warms up on the way. Short calls get one untimed call first, which finds the caches as the other left them. */
async function planOf({ process, prepared }: Side): Promise<{ ms: number; calls: number; warm: number }> {
  let ms = prepared.lastMs
  let calls = 1
  for (let spent = ms; spent < WARM_UP_MS; spent += calls * ms) {
    calls = Math.min(256, Math.max(2, Math.ceil(100 / ms)))
    ms = await process.burst(calls, 0)
  }
  return { ms, calls: Math.max(1, Math.min(2048, Math.ceil(BURST_MS / ms))), warm: ms < BURST_MS / 3 ? 1 : 0 }
}
