// LSTMs with projections, peepholes and normalised sums, against the same in plain loops.
import { describe, expect, test } from 'vitest'
import { IndexError, lstm, type Tensor, tensor, zeros } from '../../ts/index.js'
import { type Case, checkOp } from '../check.js'
import { build, get, type Nd, sum } from '../reference.js'
import { sigmoid } from './recurrent.js'

interface Args {
  /** The options behind x and the weights, in the order of the operands. */
  given: string[]
  lengths?: number[]
  mask?: boolean[][]
  reverse?: boolean
}

const of = ([n, t, i, h, p]: number[], args: Args, layout?: Case['layout']): Case<Args> => {
  const shapes: Record<string, number[]> = {
    weightHr: [p!, h!], peephole: [3 * h!], normIh: [4 * h!], normHh: [4 * h!], normC: [h!], biasC: [h!],
    biasIh: [4 * h!], biasHh: [4 * h!], h0: [n!, p!], c0: [n!, h!], inputMask: [n!, i!],
  }
  return { inputs: [[n!, t!, i!], [4 * h!, i!], [4 * h!, p!], ...args.given.map((name) => shapes[name]!)], args, ...(layout && { layout }) }
}

/** (v - mean) / sqrt(variance + 1e-5), times the factors, where there are any. */
function normed(v: number[], factors: Nd | undefined): number[] {
  if (!factors) return v
  const mean = sum(v) / v.length
  const variance = sum(v.map((x) => (x - mean) ** 2)) / v.length
  return v.map((x, k) => ((x - mean) / Math.sqrt(variance + 1e-5)) * factors.data[k]!)
}

/** The definition, row by row and step by step: [output, hidden, cell]. */
function reference([x, weightIh, weightHh, ...optional]: Nd[], { given, lengths, mask, reverse }: Args): Nd[] {
  const named = Object.fromEntries(given.map((name, i) => [name, optional[i]!])) as Record<string, Nd | undefined>
  const [n, t] = x!.shape as [number, number]
  const [h, p] = [weightIh!.shape[0]! / 4, weightHh!.shape[1]!]
  const product = (w: Nd, v: number[]): number[] => Array.from({ length: w.shape[0]! }, (_, k) => sum(v.map((value, j) => get(w, [k, j]) * value)))
  const row = (name: string, at: number, width: number): number[] => Array.from({ length: width }, (_, j) => (named[name] ? get(named[name], [at, j]) : 0))
  const states = Array.from({ length: n }, (_, at) => ({ h: row('h0', at, p), c: row('c0', at, h) }))
  const output = build([n, t, p], () => 0)
  for (let at = 0; at < n; at++) {
    const length = lengths?.[at] ?? t
    for (let step = 0; step < length; step++) {
      const place = reverse ? length - 1 - step : step
      const before = states[at]!
      if (mask?.[at]![place] !== false) {
        const features = Array.from({ length: x!.shape[2]! }, (_, f) => get(x!, [at, place, f]) * (named.inputMask ? get(named.inputMask, [at, f]) : 1))
        const ins = normed(product(weightIh!, features), named.normIh)
        const again = normed(product(weightHh!, before.h), named.normHh)
        const z = (gate: number, j: number): number => ins[gate * h + j]! + again[gate * h + j]! + (named.biasIh?.data[gate * h + j] ?? 0) + (named.biasHh?.data[gate * h + j] ?? 0)
        const peep = (block: number, j: number, c: number): number => (named.peephole?.data[block * h + j] ?? 0) * c
        const c = before.c.map((old, j) => sigmoid(z(1, j) + peep(1, j, old)) * old + sigmoid(z(0, j) + peep(0, j, old)) * Math.tanh(z(2, j)))
        const shown = normed(c, named.normC).map((v, j) => v + (named.biasC?.data[j] ?? 0))
        const out = shown.map((v, j) => sigmoid(z(3, j) + peep(2, j, c[j]!)) * Math.tanh(v))
        states[at] = { h: named.weightHr ? product(named.weightHr, out) : out, c }
      }
      for (let j = 0; j < p; j++) output.data[(at * t + place) * p + j] = states[at]!.h[j]!
    }
  }
  return [output, build([n, p], ([at, j]) => states[at!]!.h[j!]!), build([n, h], ([at, j]) => states[at!]!.c[j!]!)]
}

const norms = ['normIh', 'normHh', 'normC', 'biasC']
const masks = [[true, false, true], [false, true, true]]

checkOp<Args>('lstmVariants', {
  op: ([x, weightIh, weightHh, ...optional], { given, lengths, mask, reverse }) => {
    const options = {
      ...Object.fromEntries(given.map((name, i) => [name, optional[i]!])),
      ...(lengths && { lengths: tensor(Int32Array.from(lengths)) }), ...(mask && { mask: tensor(mask) }), ...(reverse !== undefined && { reverse }),
    }
    const { output, hidden, cell } = lstm(x!, weightIh!, weightHh!, options)
    return [output, hidden, cell]
  },
  reference,
  rows: ['lstm_variant', 'lstm_variant_grad'],
  second: 'refused',
  // Norms over a few sums amplify what rounding to 8 bits leaves of them.
  tolerance: { float32: 1e-4, bfloat16: 0.15, float16: 3e-2 },
  cases: [
    of([2, 3, 2, 3, 2], { given: ['weightHr'] }),
    of([2, 3, 2, 2, 2], { given: ['peephole'] }),
    of([2, 2, 2, 3, 3], { given: norms }),
    of([2, 3, 2, 2, 1], { given: ['weightHr', 'h0', 'c0', 'biasIh', 'biasHh'], lengths: [1, 3] }),
    of([2, 3, 2, 2, 2], { given: ['peephole', 'c0', 'biasHh'], mask: masks, reverse: true }),
    of([2, 3, 2, 2, 2], { given: [...norms, 'biasIh', 'inputMask'], lengths: [3, 0], reverse: true }),
    of([2, 3, 2, 3, 2], { given: ['weightHr', 'peephole', ...norms, 'biasIh', 'h0', 'c0'], mask: masks }),
    of([2, 0, 2, 2, 1], { given: ['weightHr', 'h0', 'c0'] }),
    of([3, 2, 2, 3, 2], { given: ['weightHr', 'peephole'] }, 'transposed'),
    of([3, 2, 2, 3, 2], { given: ['weightHr', 'peephole'] }, 'sliced'),
    of([1, 2, 2, 1, 3], { given: ['weightHr', 'normIh', 'biasHh'] }),
    of([2, 2, 1, 2, 2], { given: ['normHh', 'biasIh'] }),
  ],
  // Whole vectors and their rests, more rows than a task takes, more units of h than the weights of a task usually have.
  large: [
    of([19, 7, 24, 37, 20], { given: ['weightHr', 'peephole', ...norms, 'biasIh', 'biasHh', 'h0', 'c0', 'inputMask'], lengths: Array.from({ length: 19 }, (_, i) => (i * 5) % 8) }),
    of([33, 3, 40, 64, 64], { given: ['peephole', 'biasIh'], reverse: true }),
    of([18, 2, 8, 200, 16], { given: ['weightHr', 'biasIh', 'h0', 'c0'] }),
    of([3, 2, 5, 16, 90], { given: ['weightHr', ...norms] }),
  ],
})

describe('operands that do not fit', () => {
  const [x, weightIh] = [zeros([2, 3, 4]), zeros([8, 4])]
  test.each<[string, () => unknown, RegExp]>([
    ['a projection of other units', () => lstm(x, weightIh, zeros([8, 1]), { weightHr: zeros([1, 3]) }), /^lstm: weightHr must be \[P, H\], here \[1, 2\] float32\.\n {2}weightHr \[1, 3\]/],
    ['states as wide as the cells', () => lstm(x, weightIh, zeros([8, 2]), { weightHr: zeros([1, 2]) }), /lstm: weightHh must be \[4 H, P\], here \[8, 1\] float32\.\n {2}weightHh \[8, 2\]/],
    ['a first state', () => lstm(x, weightIh, zeros([8, 1]), { weightHr: zeros([1, 2]), h0: zeros([2, 2]) }), /lstm: h0 must be \[N, P\], here \[2, 1\]/],
    ['peepholes of four gates', () => lstm(x, weightIh, zeros([8, 2]), { peephole: zeros([8]) }), /lstm: peephole must be \[3 H\], here \[6\] float32\.\n {2}peephole \[8\]/],
    ['factors', () => lstm(x, weightIh, zeros([8, 2]), { normIh: zeros([2]) }), /lstm: normIh must be \[4 H\], here \[8\]/],
    ['features', () => lstm(x, zeros([8, 5]), zeros([8, 2]), { normC: zeros([2]) }), /lstm: weightIh must be \[4 H, I\], here \[8, 4\]/],
    ['rows', () => lstm(x.select(0, 0), weightIh, zeros([8, 2]), { peephole: zeros([6]) }), /lstm: x must be \[N, T, I\]/],
  ])('%s', (_, call, message) => {
    expect(call).toThrow(message)
  })

  test('a length that does not fit is a late error', async () => {
    const y: Tensor = lstm(x, weightIh, zeros([8, 2]), { peephole: zeros([6]), lengths: tensor(Int32Array.of(4, 1)) }).hidden
    await expect(y.data()).rejects.toThrow(IndexError)
  })
})
