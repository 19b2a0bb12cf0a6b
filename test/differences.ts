// Gradients against central finite differences in float64, as PyTorch's gradcheck takes them.
import { expect } from 'vitest'
import { grad, noGrad, scope, type Tensor, tensor } from '../ts/index.js'
import { expectNear } from './close.js'
import { type Case, label, make, numbers } from './operands.js'
import { numel } from './reference.js'

const EPS = 1e-6
/** How many elements of an operand are moved. */
const SAMPLES = 16
/** Makes the weights of a second derivative others than those of the first. */
const SALT = 5

const weights = new Map<string, Float64Array>()
/** Fixed weights that turn a result into one number, different for each element. */
function weightsFor(shape: readonly number[], salt: number): Float64Array {
  const key = `${numel(shape)} ${salt}`
  let found = weights.get(key)
  if (!found) weights.set(key, (found = Float64Array.from({ length: numel(shape) }, (_, i) => Math.sin(1.7 * i + 0.9 * salt + 0.3) + 0.1)))
  return found
}

/** Σ w y over all float results. */
export function total(ys: readonly Tensor[], salt = 0): Tensor {
  return ys
    .filter((y) => y.dtype.includes('float'))
    .map((y, i) => y.mul(tensor(weightsFor(y.shape, i + salt), { shape: y.shape, dtype: y.dtype })).sum())
    .reduce((a, b) => a.add(b))
}

/** The same in plain numbers. */
function totalOf(ys: readonly Tensor[], salt = 0): number {
  return ys
    .filter((y) => y.dtype.includes('float'))
    .reduce((outer, y, i) => {
      const w = weightsFor(y.shape, i + salt)
      return numbers(y).reduce((sum, value, j) => sum + value * w[j]!, outer)
    }, 0)
}

export type Call = (inputs: Tensor[], args: any) => Tensor[]

/** The gradients of Σ w y with respect to the leaves; null where it does not depend on one. */
export function gradients(y: Tensor, leaves: readonly Tensor[]): (Tensor | null)[] {
  for (const leaf of leaves) leaf.grad = null
  y.backward()
  return leaves.map((leaf) => leaf.grad)
}

/** At most SAMPLES places, spread evenly. */
function places(count: number, most = SAMPLES): number[] {
  const step = Math.max(1, count / most)
  return Array.from({ length: Math.min(count, most) }, (_, i) => Math.floor(i * step))
}

/**
 * (f(x + eps) - f(x - eps)) / 2 eps for these elements of one leaf. All sides are queued before the first is read, so that none waits for
 * another.
 */
function differences(
  c: Case,
  data: readonly number[][],
  leaf: number,
  at: readonly number[],
  f: (inputs: Tensor[], leaves: Tensor[]) => Tensor[],
  salt = 0,
): number[] {
  return scope(() => {
    const side = (place: number, by: number): Tensor[] => {
      const moved = [...data[leaf]!]
      moved[place]! += by
      const { inputs, leaves } = make(c, 'float64', { leaf, data: moved })
      return f(inputs, leaves)
    }
    const sides = at.map((place) => [side(place, EPS), side(place, -EPS)] as const)
    return sides.map(([above, below]) => (totalOf(above, salt) - totalOf(below, salt)) / (2 * EPS))
  })
}

/** The gradients of a case, backward pass against differences of the op. */
export function checkGradient(call: Call, c: Case): void {
  scope(() => {
    const { leaves, inputs, data } = make(c, 'float64')
    if (leaves.length === 0) return
    const analytic = gradients(total(call(inputs, c.args)), leaves)
    leaves.forEach((leaf, l) => {
      const g = analytic[l]
      if (g) expect(g.shape, `gradient's shape ${label(c)}`).toEqual(leaf.shape)
      const slopes = g ? numbers(g) : data[l]!.map(() => 0)
      const at = places(data[l]!.length)
      const numeric = differences(c, data, l, at, (x) => noGrad(() => call(x, c.args)))
      at.forEach((place, i) => expectNear(slopes[place]!, numeric[i]!, `d/d input ${l} element ${place} of ${label(c)}`))
    })
  })
}

/** The gradients of the gradients, a second backward pass against differences of the first. */
export function checkSecond(call: Call, c: Case): void {
  const first = (inputs: Tensor[], leaves: Tensor[], createGraph: boolean): Tensor[] => {
    const y = total(call(inputs, c.args))
    return (createGraph ? grad([y], leaves, { createGraph, allowUnused: true }) : gradients(y, leaves)).flatMap((g) => (g ? [g] : []))
  }
  scope(() => {
    const { leaves, inputs, data } = make(c, 'float64')
    const slopes = first(inputs, leaves, true)
    // A gradient that does not depend on the operands any more: then so must the differences say.
    const analytic = slopes.some((g) => g.requiresGrad) ? gradients(total(slopes, SALT), leaves) : leaves.map(() => null)
    leaves.forEach((_, l) => {
      const curves = analytic[l] ? numbers(analytic[l]) : data[l]!.map(() => 0)
      const at = places(data[l]!.length, 6)
      const numeric = differences(c, data, l, at, (x, own) => first(x, own, false), SALT)
      at.forEach((place, i) => expectNear(curves[place]!, numeric[i]!, `second derivative, input ${l} element ${place} of ${label(c)}`))
    })
  })
}
