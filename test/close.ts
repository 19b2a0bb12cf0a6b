// Comparisons of numbers with their bounds.
import { expect } from 'vitest'
import type { Nd } from './reference.js'

/** PyTorch's gradcheck: atol 1e-5, rtol 1e-3. */
export function expectNear(got: number, want: number, what: string): void {
  const near = Math.abs(got - want) <= 1e-5 + 1e-3 * Math.abs(want)
  expect(near, `${what}: analytic ${got}, numeric ${want}`).toBe(true)
}

/** Equal shapes, and elements within atol + rtol · max(|want|, rms(want)); NaN equals NaN, and an infinity itself. */
export function expectClose(got: Nd, want: Nd, rtol: number, atol: number, what: string): void {
  expect(got.shape, `shape of ${what}`).toEqual([...want.shape])
  let squares = 0
  for (const v of want.data) if (Number.isFinite(v)) squares += v * v
  const rms = Math.sqrt(squares / Math.max(1, want.data.length))
  const bad = want.data.findIndex((w, i) => {
    const g = got.data[i]!
    if (Number.isNaN(w) || Number.isNaN(g) || !Number.isFinite(w) || !Number.isFinite(g)) return !Object.is(g, w) && !(g === w)
    return Math.abs(g - w) > atol + rtol * Math.max(Math.abs(w), rms)
  })
  if (bad !== -1) expect.fail(`${what}: element ${bad} is ${got.data[bad]}, the reference says ${want.data[bad]}`)
}
