// Several ways of the same work, in turns: where the machine slows down it does so for all of them.
import type { Timing } from './measure.js'

export interface TurnOptions {
  /** Rounds, each of which runs every way once. Default 30. */
  rounds?: number
  /** How often one run does the same. Default 1. */
  repeat?: number
}

/** Times each way, after two rounds that do not count. */
export async function inTurns<K extends string>(ways: Record<K, () => Promise<unknown>>, { rounds = 30, repeat = 1 }: TurnOptions = {}): Promise<Record<K, Timing>> {
  const names = Object.keys(ways) as K[]
  const samples = new Map<K, number[]>(names.map((name) => [name, []]))
  for (let round = -2; round < rounds; round++) {
    for (const name of names) {
      const start = performance.now()
      await ways[name]()
      if (round >= 0) samples.get(name)!.push((performance.now() - start) / 1e3 / repeat)
    }
  }
  const timing = (name: K): Timing => {
    const sorted = samples.get(name)!.sort((a, b) => a - b)
    const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))]!
    return { median: at(0.5), best: at(0), spread: (at(0.75) - at(0.25)) / 2 / at(0.5) }
  }
  return Object.fromEntries(names.map((name) => [name, timing(name)])) as Record<K, Timing>
}
