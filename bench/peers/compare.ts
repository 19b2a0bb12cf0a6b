// Whether a peer computed what we did: losses or outputs, number by number. A figure for other work would say nothing.

/** The reason to refuse a peer's figure, or null. `tolerances`: shares of the root mean square of ours, one a value; the last holds for the rest. */
export function difference(ours: readonly number[], theirs: readonly number[], tolerances: readonly number[]): string | null {
  if (theirs.length !== ours.length) return `it gave ${theirs.length} values, ours are ${ours.length}`
  const scale = Math.sqrt(ours.reduce((sum, value) => sum + value * value, 0) / ours.length)
  for (const [i, value] of ours.entries()) {
    const other = theirs[i] as number
    const tolerance = tolerances[Math.min(i, tolerances.length - 1)] as number
    // Written so that NaN differs too.
    if (!(Math.abs(other - value) <= tolerance * scale)) {
      return `value ${i} is ${other}, ours is ${value} (tolerance ${tolerance} of ${scale.toPrecision(3)})`
    }
  }
  return null
}
