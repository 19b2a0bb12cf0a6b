// Timing through benny: one case, the median of its samples, and the samples' spread.
import benny from 'benny'

export interface Timing {
  /** Seconds, median over the samples. */
  median: number
  /** Seconds, the fastest sample. */
  best: number
  /** Half the range between the quartiles, as a share of the median. */
  spread: number
}

export interface TimingOptions {
  /** How often `work` does the same inside one call. Default 1. */
  repeat?: number
  /** Fewest samples. Default 15. */
  samples?: number
  /** Longest time for one case, in seconds. Default 4. */
  seconds?: number
}

/** Times one function; a promise it returns is waited for. */
export async function time(name: string, work: () => unknown, { repeat = 1, samples = 15, seconds = 4 }: TimingOptions = {}): Promise<Timing> {
  await work()
  let timing: Timing | null = null
  const summary = await benny.suite(
    name,
    benny.add(name, async () => { await work() }, { minSamples: samples, maxTime: seconds }),
  )
  for (const { details } of summary.results) {
    const sorted = details.sampleResults.map((sample) => sample / repeat).sort((a, b) => a - b)
    const at = (share: number): number => sorted[Math.round(share * (sorted.length - 1))] as number
    timing = { median: at(0.5), best: at(0), spread: (at(0.75) - at(0.25)) / 2 / at(0.5) }
  }
  if (timing === null) throw new Error(`${name}: benny gave no result`)
  return timing
}
