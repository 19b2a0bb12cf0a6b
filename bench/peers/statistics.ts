// What is said about a row of timings: the median, and how well the median of a row of ratios is known.

export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError('median of nothing')
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] as number : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2
}

/**
 * A 95 % confidence interval of the median, from order statistics: the narrowest pair of ranks, alike from both ends, between which the true
 * median lies with at least that probability, whatever the distribution. Null below 6 values, of which not even the extremes reach it.
 */
export function medianInterval(values: readonly number[]): [number, number] | null {
  const n = values.length
  const sorted = [...values].sort((a, b) => a - b)
  // The chance that fewer than `rank` of n values lie below the median: the sum of C(n, i) / 2^n for i < rank.
  let rank = 0
  let term = 0.5 ** n
  for (let below = term; below <= 0.025; below += term) {
    rank += 1
    term = (term * (n - rank + 1)) / rank
  }
  return rank === 0 ? null : [sorted[rank - 1] as number, sorted[n - rank] as number]
}
