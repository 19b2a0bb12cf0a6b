import { range, shuffle } from './random.js'

/** Batches whose samples are sorted together: more make batches of liker lengths, fewer an order nearer to a drawn one. */
const POOL = 50

/**
 * A drawn order of samples cut into batches of `size` with samples of like lengths in each, the batches in a drawn order; a last batch that is smaller stays last.
 * Every sample comes once.
 */
export function bucketed(order: Int32Array, lengths: Int32Array, size: number, random: () => number): Int32Array {
  const batches: Int32Array[] = []
  for (let from = 0; from < order.length; from += POOL * size) {
    const pool = order.slice(from, from + POOL * size).sort((a, b) => lengths[a]! - lengths[b]!)
    for (let at = 0; at < pool.length; at += size) batches.push(pool.subarray(at, at + size))
  }
  const rest = batches.at(-1)!.length < size ? [batches.pop()!] : []
  const joined = new Int32Array(order.length)
  let at = 0
  const drawn = Array.from(shuffle(range(batches.length), random), (i) => batches[i]!)
  for (const batch of [...drawn, ...rest]) {
    joined.set(batch, at)
    at += batch.length
  }
  return joined
}
