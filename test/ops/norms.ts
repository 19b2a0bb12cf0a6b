// References of the normalisations.
import { build, get, type Nd, sum, unravel } from '../reference.js'

/**
 * y = (x - mean) / sqrt(variance + eps) · weight + bias; elements with the same `key` are normalised together, weight and bias go by
 * `param`.
 */
export function normalised(
  [x, weight, bias]: (Nd | undefined)[],
  eps: number,
  key: (index: number[]) => string,
  param: (index: number[]) => number,
): Nd {
  const groups = new Map<string, number[]>()
  x!.data.forEach((value, flat) => {
    const k = key(unravel(flat, x!.shape))
    groups.set(k, [...(groups.get(k) ?? []), value])
  })
  const stats = new Map(
    [...groups].map(([k, values]) => {
      const mean = sum(values) / values.length
      return [k, { mean, rstd: 1 / Math.sqrt(sum(values.map((v) => (v - mean) ** 2)) / values.length + eps) }]
    }),
  )
  return build(x!.shape, (index) => {
    const { mean, rstd } = stats.get(key(index))!
    return (get(x!, index) - mean) * rstd * (weight ? weight.data[param(index)]! : 1) + (bias ? bias.data[param(index)]! : 0)
  })
}
