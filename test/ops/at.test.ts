import { expect, test } from 'vitest'
import { randn, type Tensor, tensor, zeros } from '../../ts/index.js'
import type { Index } from '../../ts/ops/at-parse.js'
import { at } from '../../ts/ops/at.js'
import { checkOp, numbers } from '../check.js'
import { build, get, type Nd } from '../reference.js'

/** x[...] for entries and lists of places, a dimension each; a list of one dimension keeps it. */
const pick = (x: Nd, dims: (number | number[])[]): Nd => {
  const all = x.shape.map((size, i) => dims[i] ?? Array.from({ length: size }, (_, j) => j))
  const kept = all.flatMap((d, i) => (typeof d === 'number' ? [] : [i]))
  return build(
    kept.map((i) => (all[i] as number[]).length),
    (index) =>
      get(
        x,
        all.map((d, i) => (typeof d === 'number' ? d : d[index[kept.indexOf(i)]!]!)),
      ),
  )
}
type Args = { index: Index[]; places: (number | number[])[]; shape?: number[] }

checkOp<Args>('at', {
  op: ([x], { index }) => at(x!, ...index) as Tensor,
  reference: ([x], { places, shape }) => {
    const y = pick(x!, places)
    return { ...y, shape: shape ?? y.shape }
  },
  rows: ['slice', 'select', 'flip'],
  integers: ['int32', 'bool'],
  cases: [
    { inputs: [[5]], args: { index: [2], places: [2] } },
    { inputs: [[3, 5]], args: { index: [-1], places: [2] } },
    {
      inputs: [[3, 5]],
      args: {
        index: [[1, 3], '::2'],
        places: [
          [1, 2],
          [0, 2, 4],
        ],
      },
    },
    { inputs: [[3, 5]], args: { index: ['...', 1], places: [[0, 1, 2], 1] } },
    { inputs: [[3, 5]], args: { index: [null, 1, null], places: [1], shape: [1, 1, 5] } },
    { inputs: [[7]], args: { index: ['5:1:-2'], places: [[5, 3]] } },
    { inputs: [[7]], args: { index: [{ step: -1 }], places: [[6, 5, 4, 3, 2, 1, 0]] } },
    { inputs: [[2, 3, 4]], args: { index: [1, '...', { start: -2 }], places: [1, [0, 1, 2], [2, 3]] } },
    { inputs: [[4, 6]], args: { index: ['1:', -2], places: [[1, 2, 3], 4] }, layout: 'transposed' },
    {
      inputs: [[4, 6]],
      args: {
        index: [[null, 2], '::3'],
        places: [
          [0, 1],
          [0, 3],
        ],
      },
      layout: 'sliced',
    },
    { inputs: [[7]], args: { index: ['4:2'], places: [[]] } },
    { inputs: [[0, 3]], args: { index: [':', 1], places: [[], 1] } },
    { inputs: [[]], args: { index: [], places: [] } },
    { inputs: [[7]], args: { index: ['-100:100'], places: [[0, 1, 2, 3, 4, 5, 6]] } },
  ],
})

const index = (...values: number[]): Tensor => tensor(Int32Array.from(values))
checkOp<number>('atTensor', {
  op: ([x, i], which) => (which === 0 ? at(x!, i!) : which === 1 ? at(x!, ':', i!) : at(x!, i!, i!)) as Tensor,
  rows: ['index_select'],
  reference: ([x, i], which) => {
    const lead = which === 1 ? [x!.shape[0]!] : []
    const tail = x!.shape.slice(which === 0 ? 1 : 2)
    return build([...lead, ...i!.shape, ...tail], (place) => {
      const own = place.slice(lead.length, lead.length + i!.shape.length)
      const v = get(i!, own)
      const rest = place.slice(lead.length + i!.shape.length)
      return get(x!, which === 0 ? [v, ...rest] : which === 1 ? [place[0]!, v, ...rest] : [v, v, ...rest])
    })
  },
  cases: [
    { inputs: [[5], { shape: [3], below: 5 }], args: 0 },
    { inputs: [[4, 3], { shape: [2, 2], below: 4 }], args: 0 },
    { inputs: [[3, 4], { shape: [5], below: 4 }], args: 1 },
    { inputs: [[3, 3], { shape: [4], below: 3 }], args: 2 },
    { inputs: [[3, 3, 2], { shape: [2, 2], below: 3 }], args: 2 },
    { inputs: [[4, 6], { shape: [3], below: 6 }], args: 1, layout: 'transposed' },
    { inputs: [[4, 6], { shape: [], below: 4 }], args: 0, layout: 'sliced' },
    { inputs: [[3, 4], { shape: [0], below: 3 }], args: 0 },
  ],
})

test('negative and several index tensors, side by side and apart', () => {
  const x = tensor(
    Array.from({ length: 24 }, (_, i) => i),
    { shape: [2, 3, 4] },
  )
  expect(numbers(at(x, index(-1, 0), index(0, -1)) as Tensor)).toEqual([12, 13, 14, 15, 8, 9, 10, 11])
  const apart = at(x, index(0, 1), ':', index(1, 2)) as Tensor
  expect([apart.shape, numbers(apart)]).toEqual([
    [2, 3],
    [1, 5, 9, 14, 18, 22],
  ])
  expect((at(x, ':', index(0, 1).reshape([2, 1]), index(1, 2, 3)) as Tensor).shape).toEqual([2, 2, 3])
})

test('an index out of range among several is a late IndexError', async () => {
  const x = zeros([2, 3])
  await expect((at(x, index(0), index(3)) as Tensor).data()).rejects.toMatchObject({ code: 'ERR_INDEX' })
  await expect((at(x, index(-3)) as Tensor).data()).rejects.toMatchObject({ code: 'ERR_INDEX' })
})

test('a bool tensor takes what it marks, and waits', async () => {
  const x = randn([3, 4], { dtype: 'float64', requiresGrad: true })
  const rows = tensor([true, false, true]) as Tensor<'bool'>
  const y = await at(x, rows)
  expect([y.shape, await y.tolist()]).toEqual([
    [2, 4],
    [((await x.tolist()) as number[][])[0], ((await x.tolist()) as number[][])[2]],
  ])
  y.sum().backward()
  expect(numbers(x.grad!)).toEqual([1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1])
  expect((await at(x, x.gt(100))).shape).toEqual([0])
})

test('messages', () => {
  const x = zeros([2, 3])
  expect(() => at(x, 2)).toThrowErrorMatchingInlineSnapshot(
    `[IndexError: at: index 2 is out of range for dim 0 of shape [2, 3]. Use -2 to 1.]`,
  )
  expect(() => at(x, 0, 0, 0)).toThrowErrorMatchingInlineSnapshot(`[IndexError: at: 3 indices for shape [2, 3], which has 2 dimensions.]`)
  expect(() => at(x, 'a:b')).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: at: 'a:b' is no slice. Write 'start:stop' or 'start:stop:step', each part optional, or '...'.]`,
  )
  expect(() => at(x, '...', '...')).toThrowErrorMatchingInlineSnapshot(`[ValueError: at: '...' may stand once.]`)
  expect(() => at(x, '::0')).toThrowErrorMatchingInlineSnapshot(`[ValueError: at: step must be a whole number other than 0, got 0.]`)
  expect(() => at(x, zeros([2]))).toThrowErrorMatchingInlineSnapshot(
    `[DTypeError: at: index tensors are int32 or int64. A bool tensor stands alone: x.at(mask); with other indices use maskedFill or where.]`,
  )
  expect(() => at(x, 0, undefined as never)).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: at: dim 1 cannot be indexed by undefined.
      An index is a number, 'start:stop:step', [start, stop], { start, stop, step }, null, '...' or a tensor.]
  `)
  for (const odd of [true, 1n, () => 1, new Int32Array(2)]) expect(() => at(x, odd as never)).toThrow(/^at: dim 0 cannot be indexed by /)
})
