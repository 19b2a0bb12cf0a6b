// Random numbers for orders and splits. They are drawn on the JS side: an order of rows is needed before any tensor exists.
// The generator is sfc32 (Chris Doty-Humphrey, PractRand), 128 bits of state, seeded by a hash of the numbers given.

/** A stream of random numbers that depends on `parts` alone. Gives uniform numbers in [0, 1). */
export function seeded(...parts: number[]): () => number {
  let [a, b, c, d] = [0x9e3779b9, 0x243f6a88, 0xb7e15162, 1]
  const next = (): number => {
    const sum = (a + b + d) | 0
    d = (d + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + sum) | 0
    return sum >>> 0
  }
  for (const part of parts) {
    // Seeds up to 2^53, negative ones and fractions all count.
    const words = new Uint32Array(new Float64Array([part]).buffer)
    a ^= words[0] as number
    b ^= words[1] as number
    for (let i = 0; i < 12; i++) next()
  }
  return () => (next() * 2 ** 21 + (next() >>> 11)) / 2 ** 53
}

/** Puts `values` in a random order, in place. */
export function shuffle<T extends { [index: number]: number; length: number }>(values: T, random: () => number): T {
  for (let i = values.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const kept = values[i] as number
    values[i] = values[j] as number
    values[j] = kept
  }
  return values
}

/** The numbers 0 .. length - 1 in order. */
export function range(length: number): Int32Array {
  const values = new Int32Array(length)
  for (let i = 0; i < length; i++) values[i] = i
  return values
}

/** A draw from Beta(alpha, alpha), by two gamma draws (Marsaglia and Tsang 2000). */
export function beta(alpha: number, random: () => number): number {
  const a = gamma(alpha, random)
  const b = gamma(alpha, random)
  return a + b === 0 ? 0.5 : a / (a + b)
}

function gamma(shape: number, random: () => number): number {
  if (shape < 1) return gamma(shape + 1, random) * (1 - random()) ** (1 / shape)
  const d = shape - 1 / 3
  const c = 1 / Math.sqrt(9 * d)
  for (;;) {
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random())
    const v = (1 + c * normal) ** 3
    if (v > 0 && Math.log(1 - random()) < 0.5 * normal * normal + d - d * v + d * Math.log(v)) return d * v
  }
}
