import { expect, test } from 'vitest'
import { zeros } from '../../ts/index.js'
import { pad } from '../../ts/ops/pad.js'
import { type Case, checkOp } from '../check.js'
import { build, get, type Nd } from '../reference.js'

type Mode = 'constant' | 'reflect' | 'replicate' | 'circular'
interface Args {
  pads: number[]
  value?: number
}

function padded(x: Nd, { pads, value = 0 }: Args, mode: Mode): Nd {
  const rank = x.shape.length
  const of = (dim: number): [number, number] => {
    const k = 2 * (rank - 1 - dim)
    return [pads[k] ?? 0, pads[k + 1] ?? 0]
  }
  const source = (at: number, n: number): number => {
    if (mode === 'replicate') return Math.min(n - 1, Math.max(0, at))
    if (mode === 'circular') return ((at % n) + n) % n
    if (mode === 'reflect') return n - 1 - Math.abs(n - 1 - Math.abs(at))
    return at
  }
  return build(
    x.shape.map((n, i) => n + of(i)[0] + of(i)[1]),
    (index) => {
      const at = index.map((v, i) => source(v - of(i)[0], x.shape[i]!))
      return at.every((v, i) => v >= 0 && v < x.shape[i]!) ? get(x, at) : value
    },
  )
}

const cases: Case<Args>[] = [
  { inputs: [[4]], args: { pads: [1, 2] } },
  { inputs: [[3, 5]], args: { pads: [2, 0] } },
  { inputs: [[3, 5]], args: { pads: [1, 1, 2, 2] } },
  { inputs: [[2, 3, 4]], args: { pads: [0, 0, 1, 2] } },
  { inputs: [[4, 6]], args: { pads: [1, 1] }, layout: 'transposed' },
  { inputs: [[4, 6]], args: { pads: [0, 2, 1, 0] }, layout: 'sliced' },
  { inputs: [[2, 3, 4]], args: { pads: [0, 0] } },
  { inputs: [[3, 4, 2, 3]], args: { pads: [1, 1, 1, 1, 2, 0] } },
]
checkOp<Args>('pad', {
  op: ([x], { pads, value = 0 }) => pad(x!, pads, { value }),
  reference: ([x], args) => padded(x!, args, 'constant'),
  integers: ['int64', 'int32', 'uint8'],
  cases: [
    ...cases,
    { inputs: [[3, 5]], args: { pads: [-1, -2, 1, -1], value: 3 } },
    { inputs: [[0, 3]], args: { pads: [1, 1, 2, 0], value: 1 } },
    { inputs: [[3]], args: { pads: [] } },
  ],
  large: [{ inputs: [[130, 520]], args: { pads: [3, 2, 1, 1] } }],
})
for (const mode of ['reflect', 'replicate', 'circular'] as const) {
  checkOp<Args>(`pad_${mode}`, {
    op: ([x], { pads }) => pad(x!, pads, { mode }),
    reference: ([x], args) => padded(x!, args, mode),
    rows: ['index_select'],
    cases,
  })
}

test('messages', () => {
  expect(() => zeros([2, 3]).pad([1])).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: pad: pads come in pairs, at most one a dimension.
      pads [1], x [2, 3] float32
      Give [before, after] of the last dimension, then of the one before it.]
  `)
  expect(() => zeros([2, 3]).pad([3, 0], { mode: 'reflect' })).toThrowErrorMatchingInlineSnapshot(
    `[ShapeError: pad: reflect padding of 3 needs more elements than dim 1 of [2, 3] has.]`,
  )
  expect(() => zeros([2, 3]).pad([1, 0], { mode: 'mirror' as 'reflect' })).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: pad: mode is 'constant', 'reflect', 'replicate' or 'circular', got 'mirror'.]`,
  )
})

test('integers hold no border that is a fraction, or out of their range', async () => {
  const x = zeros([2], { dtype: 'int32' })
  expect(() => x.pad([1, 1], { value: 0.5 })).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: pad: 0.5 is no int32.
      Convert the tensor first, x.to('float32'), or give another number.]
  `)
  expect(() => zeros([2], { dtype: 'uint8' }).pad([1, 1], { value: 300 })).toThrow(/^pad: 300 does not fit uint8/)
  expect(await x.pad([1, 1], { value: -7 }).tolist()).toEqual([-7, 0, 0, -7])
})
