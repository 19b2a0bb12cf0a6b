// The integer hash of make.py: the same weights, images and labels, bit for bit, without storing any.

/** `count` 32-bit hashes of (stream, index). */
export function hashes(stream: number, count: number): Uint32Array {
  const out = new Uint32Array(count)
  const offset = Math.imul(stream, 0x85ebca6b)
  for (let i = 0; i < count; i++) {
    let h = (Math.imul(i, 0x9e3779b1) + offset) >>> 0
    h ^= h >>> 16
    h = Math.imul(h, 0x7feb352d)
    h ^= h >>> 15
    h = Math.imul(h, 0x846ca68b)
    out[i] = h ^ (h >>> 16)
  }
  return out
}

/** `count` numbers in [-1, 1), times `scale`. */
export function uniform(stream: number, count: number, scale = 1): Float64Array {
  const out = new Float64Array(count)
  const drawn = hashes(stream, count)
  // A plain loop: `from` with a function takes many times as long, and ResNet-50 has 25 million weights.
  for (let i = 0; i < count; i++) out[i] = (drawn[i]! / 2 ** 31 - 1) * scale
  return out
}
