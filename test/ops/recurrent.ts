// Recurrent layers in plain loops, and the cases that all of them are checked on.
import { type Tensor, tensor } from '../../ts/index.js'
import type { Case } from '../check.js'
import { build, get, type Nd } from '../reference.js'

export interface Args {
  /** The operands behind x and the weights, in order. */
  given: string[]
  lengths?: number[]
  mask?: boolean[][]
  reverse?: boolean
  /** With a recurrent mask, which takes no gradient. */
  dropped?: boolean
  relu?: boolean
}

const shapes = (g: number, n: number, i: number, h: number): Record<string, number[]> => ({
  biasIh: [g * h], biasHh: [g * h], h0: [n, h], c0: [n, h], inputMask: [n, i],
})

/** A case of so many gates; `given` names the optional operands. */
export function of(g: number, [n, t, i, h]: [number, number, number, number], args: Partial<Args> = {}): Case<Args> {
  const given = (args.given ?? []).filter((name) => name !== 'c0' || g === 4)
  const optional = given.map((name) => shapes(g, n, i, h)[name]!)
  return { inputs: [[n, t, i], [g * h, i], [g * h, h], ...optional], args: { ...args, given } }
}

const all = ['biasIh', 'biasHh', 'h0', 'c0', 'inputMask']
/** Every option, alone and with the others. */
export const cases = (g: number): Case<Args>[] => [
  of(g, [2, 3, 3, 2]),
  of(g, [3, 4, 2, 3], { given: ['biasIh', 'biasHh'] }),
  of(g, [2, 3, 2, 2], { given: ['h0', 'c0'] }),
  of(g, [2, 3, 2, 2], { given: ['biasHh'], reverse: true }),
  of(g, [3, 4, 2, 2], { given: all, dropped: true, lengths: [4, 0, 2] }),
  of(g, [3, 4, 2, 2], { given: all, dropped: true, lengths: [1, 4, 3], reverse: true }),
  of(g, [2, 4, 2, 2], { given: ['h0', 'c0'], mask: [[true, false, true, true], [false, true, true, false]] }),
  of(g, [2, 4, 2, 2], { given: all, dropped: true, mask: [[true, false, true, true], [false, true, true, false]], reverse: true }),
  of(g, [2, 4, 2, 3], { given: ['biasIh', 'inputMask'], dropped: true }),
  of(g, [1, 5, 1, 1], { given: ['biasIh'] }),
  of(g, [2, 0, 2, 2], { given: ['h0', 'c0'] }),
  { ...of(g, [2, 3, 3, 2], { given: all }), layout: 'transposed' },
  { ...of(g, [2, 3, 3, 2], { given: all }), layout: 'sliced' },
]
/** Whole vectors and their rests, more rows than a task takes, and weights beyond a task's usual size. */
export const large = (g: number): Case<Args>[] => [
  of(g, [19, 7, 24, 37], { given: all, dropped: true, lengths: Array.from({ length: 19 }, (_, i) => (i * 5) % 8) }),
  of(g, [33, 3, 40, 64], { given: ['biasIh', 'biasHh'], reverse: true }),
  of(g, [18, 2, 8, 200], { given: ['biasIh', 'h0', 'c0'] }),
  of(g, [1, 3, 40, 64], { given: ['biasIh', 'biasHh'] }),
]

const factor = (row: number, unit: number): number => ((row * 7 + unit * 3) % 5 === 0 ? 0 : 1.25)

/** The options of a call. */
export function optionsOf([, , weightHh, ...optional]: readonly Tensor[], rows: number, { given, dropped, lengths, mask, reverse }: Args): Record<string, Tensor | boolean> {
  return {
    ...Object.fromEntries(given.map((name, i) => [name, optional[i]!])),
    ...(lengths && { lengths: tensor(Int32Array.from(lengths), { shape: [lengths.length] }) }),
    ...(mask && { mask: tensor(mask) }),
    ...(dropped && { recurrentMask: tensor(build([rows, weightHh!.shape[1]!], ([row, unit]) => factor(row!, unit!)).data, { shape: [rows, weightHh!.shape[1]!], dtype: weightHh!.dtype }) }),
    ...(reverse !== undefined && { reverse }),
  }
}

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))

/** From what a unit's gates sum up, of the inputs and of the states, and its states, to its next states; `again` sums the last gate anew, with a factor on each state from the gates of its unit. */
export type Formula = (inputs: number[], states: number[], h: number, c: number, again: (factor: (inputs: number[], states: number[]) => number) => number) => { h: number; c: number }

/** The definition, step by step: [output, hidden, cell]. */
export function reference(g: number, formula: (args: Args) => Formula) {
  return (operands: Nd[], args: Args): Nd[] => {
    const [x, weightIh, weightHh, ...optional] = operands as [Nd, Nd, Nd, ...Nd[]]
    const named = Object.fromEntries(args.given.map((name, i) => [name, optional[i]!])) as Record<string, Nd | undefined>
    const [n, t, features] = x.shape as [number, number, number]
    const hidden = weightHh.shape[1]!
    const one = (name: string, index: number[], otherwise: number): number => (named[name] ? get(named[name], index) : otherwise)
    const units = Array.from({ length: hidden }, (_, j) => j)
    const states = Array.from({ length: n }, (_, row) => ({ h: units.map((j) => one('h0', [row, j], 0)), c: units.map((j) => one('c0', [row, j], 0)) }))
    const outputs = build([n, t, hidden], () => 0)
    for (let row = 0; row < n; row++) {
      const length = args.lengths?.[row] ?? t
      for (let step = 0; step < length; step++) {
        const at = args.reverse ? length - 1 - step : step
        const state = states[row]!
        if (args.mask?.[row]![at] !== false) {
          const product = (k: number, scale: (u: number) => number): number =>
            units.reduce((sum, u) => sum + get(weightHh, [k, u]) * state.h[u]! * (args.dropped ? factor(row, u) : 1) * scale(u), one('biasHh', [k], 0))
          const sums = units.map((j) => {
            const blocks = Array.from({ length: g }, (_, block) => block * hidden + j)
            const ins = blocks.map((k) => {
              let sum = one('biasIh', [k], 0)
              for (let f = 0; f < features; f++) sum += get(weightIh, [k, f]) * get(x, [row, at, f]) * one('inputMask', [row, f], 1)
              return sum
            })
            return [ins, blocks.map((k) => product(k, () => 1))] as const
          })
          const next = units.map((j) =>
            formula(args)(...sums[j]!, state.h[j]!, state.c[j]!, (scale) => product((g - 1) * hidden + j, (u) => scale(...sums[u]!))),
          )
          states[row] = { h: next.map(({ h }) => h), c: next.map(({ c }) => c) }
        }
        units.forEach((j) => { outputs.data[(row * t + at) * hidden + j] = states[row]!.h[j]! })
      }
    }
    const last = (key: 'h' | 'c'): Nd => build([n, hidden], ([row, j]) => states[row!]![key][j!]!)
    return g === 4 ? [outputs, last('h'), last('c')] : [outputs, last('h')]
  }
}
