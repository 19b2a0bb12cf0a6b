import type { DType } from '../ts/index.js'
import { numel } from './reference.js'

/** An operand: a shape of floats, or a shape with what stands in it. */
export type InputSpec =
  | number[]
  /** Floats of a kind, or these. */
  | { shape: readonly number[]; values: Kind | readonly number[] }
  /** int32 from 0 up to, not including, `below`. */
  | { shape: readonly number[]; below: number }
  /** bool. */
  | { shape: readonly number[]; bool: true }

/**
 * normal: -2 to 2. positive: 0.2 to 2.2. unit: -0.9 to 0.9. large: -30 to 30. distinct: far enough apart that finite differences change no
 * order.
 */
export type Kind = 'normal' | 'positive' | 'unit' | 'large' | 'distinct'

/** The numbers of operand `which`: always the same. Integers for integer dtypes: -5 to 5, or 0 to 5 for those without a sign. */
export function values(spec: InputSpec, which: number, dtype: DType): number[] {
  const shape = Array.isArray(spec) ? spec : spec.shape
  const count = numel(shape)
  const random = generator(7919 * (which + 1) + count)
  if (!Array.isArray(spec) && 'bool' in spec) return Array.from({ length: count }, () => (random() < 0.5 ? 1 : 0))
  if (!Array.isArray(spec) && 'below' in spec) return Array.from({ length: count }, () => Math.floor(random() * spec.below))
  const kind = Array.isArray(spec) ? 'normal' : spec.values
  if (typeof kind !== 'string') return [...kind]
  if (!dtype.includes('float')) return Array.from({ length: count }, () => integer(random(), kind, dtype))
  if (kind === 'distinct') return shuffled(count, random).map((i) => (i - count / 2) / 8)
  const [low, high] = { normal: [-2, 2], positive: [0.2, 2.2], unit: [-0.9, 0.9], large: [-30, 30] }[kind] as [number, number]
  const made = new Array<number>(count)
  for (let i = 0; i < count; i++) made[i] = low + (high - low) * random()
  return made
}

function integer(random: number, kind: Kind, dtype: DType): number {
  if (dtype === 'bool') return random < 0.5 ? 0 : 1
  const low = dtype === 'uint8' ? (kind === 'positive' ? 1 : 0) : kind === 'positive' ? 1 : -5
  return low + Math.floor(random * (6 - low))
}

/** A permutation of 0 to count - 1. */
function shuffled(count: number, random: () => number): number[] {
  const order = Array.from({ length: count }, (_, i) => i)
  for (let i = count - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    ;[order[i], order[j]] = [order[j]!, order[i]!]
  }
  return order
}

/** mulberry32: small, and the same everywhere. */
function generator(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}
