import { expect, test } from 'vitest'
import { tensor, zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/pool2d.js'
import { type Case, checkOp, numbers } from '../check.js'
import { build, get, type Nd, reshape, sum } from '../reference.js'

interface Args {
  kernel: number | number[]
  stride?: number | number[]
  padding?: number | number[]
  dilation?: number | number[]
  ceilMode?: boolean
  countIncludePad?: boolean
}
const two = (v: number | number[] | undefined, otherwise: number[]): number[] =>
  v === undefined ? otherwise : typeof v === 'number' ? [v, v] : v

/** f over the elements of each window that lie inside; `room` is the window's size with the border, as far as that reaches. */
function pooled(x: Nd, args: Args, f: (values: number[], room: number) => number): Nd {
  const kernel = two(args.kernel, [])
  const [stride, padding, dilation] = [two(args.stride, kernel), two(args.padding, [0, 0]), two(args.dilation, [1, 1])]
  const size = (i: number): number => {
    const n = x.shape[1 + i]!
    const span = n + 2 * padding[i]! - dilation[i]! * (kernel[i]! - 1) - 1
    const out = (args.ceilMode ? Math.ceil : Math.floor)(span / stride[i]!) + 1
    // A window that starts past the input and its left border is dropped.
    return args.ceilMode && (out - 1) * stride[i]! >= n + padding[i]! ? out - 1 : out
  }
  return build([x.shape[0]!, size(0), size(1), x.shape[3]!], ([n, r, c, k]) => {
    const values: number[] = []
    let room = 0
    for (let i = 0; i < kernel[0]!; i++)
      for (let j = 0; j < kernel[1]!; j++) {
        const [y, z] = [r! * stride[0]! - padding[0]! + i * dilation[0]!, c! * stride[1]! - padding[1]! + j * dilation[1]!]
        if (y < x.shape[1]! + padding[0]! && z < x.shape[2]! + padding[1]!) room++
        if (y >= 0 && z >= 0 && y < x.shape[1]! && z < x.shape[2]!) values.push(get(x, [n!, y, z, k!]))
      }
    return f(values, room)
  })
}
const of = (shape: number[], args: Args, layout?: Case['layout']): Case<Args> => ({
  inputs: [{ shape, values: 'distinct' }],
  args,
  ...(layout && { layout }),
})
const common = [
  of([2, 4, 4, 2], { kernel: 2 }),
  of([1, 5, 5, 2], { kernel: 2 }),
  of([1, 5, 4, 2], { kernel: 3, stride: 1 }),
  of([1, 5, 5, 1], { kernel: 3, stride: 2, padding: 1 }),
  of([1, 5, 6, 2], { kernel: [2, 3], stride: [1, 2] }),
  of([1, 6, 5, 1], { kernel: 3, stride: 2, ceilMode: true }),
  of([1, 5, 5, 1], { kernel: 2, stride: 2, padding: 1, ceilMode: true }),
  of([2, 4, 4, 3], { kernel: 2 }, 'transposed'),
  of([2, 4, 4, 2], { kernel: 2 }, 'sliced'),
  of([0, 4, 4, 2], { kernel: 2 }),
  of([1, 2, 2, 1], { kernel: 2 }, 'offset'),
]
const large = [of([4, 30, 30, 32], { kernel: 2 }), of([2, 31, 29, 24], { kernel: 3, stride: 2, padding: 1 })]
const mean = (v: number[]): number => sum(v) / v.length

checkOp<Args>('maxPool2d', {
  op: ([x], { kernel, ...options }) => ops.maxPool2d(x!, kernel, options),
  reference: ([x], args) => pooled(x!, args, (v) => Math.max(...v)),
  rows: ['max_pool2d_grad'],
  large,
  cases: [...common, of([1, 6, 6, 1], { kernel: 2, dilation: 2, stride: 1 })],
})
checkOp<Args>('avgPool2d', {
  op: ([x], { kernel, ...options }) => ops.avgPool2d(x!, kernel, options),
  rows: ['avg_pool2d_grad'],
  large,
  cases: [...common, of([1, 5, 5, 1], { kernel: 3, stride: 2, padding: 1, countIncludePad: false })],
  reference: ([x], args) => pooled(x!, args, (v, room) => sum(v) / (args.countIncludePad === false ? v.length : room)),
})

/** Window i of `to` spans floor(i n / to) to ceil((i + 1) n / to). */
function adaptive(x: Nd, [h, w]: number[], f: (values: number[]) => number): Nd {
  const span = (i: number, n: number, to: number): number[] => {
    const start = Math.floor((i * n) / to)
    return Array.from({ length: Math.ceil(((i + 1) * n) / to) - start }, (_, j) => start + j)
  }
  return build([x.shape[0]!, h!, w!, x.shape[3]!], ([n, r, c, k]) =>
    f(span(r!, x.shape[1]!, h!).flatMap((y) => span(c!, x.shape[2]!, w!).map((z) => get(x, [n!, y, z, k!])))),
  )
}
const sizes: Case<number[]>[] = [
  [
    [2, 4, 4, 2],
    [2, 2],
  ],
  [
    [1, 5, 5, 2],
    [2, 3],
  ],
  [
    [1, 5, 4, 2],
    [1, 1],
  ],
  [
    [1, 7, 3, 1],
    [3, 3],
  ],
  [
    [1, 3, 3, 2],
    [5, 2],
  ],
  [[2, 4, 4, 3], [3, 2], 'transposed'],
  [[2, 4, 4, 2], [2, 1], 'sliced'],
  [
    [0, 4, 4, 2],
    [2, 2],
  ],
  [
    [1, 6, 6, 1],
    [6, 6],
  ],
].map(([shape, args, layout]) => ({
  inputs: [{ shape: shape as number[], values: 'distinct' }],
  args: args as number[],
  ...(layout && { layout: layout as 'sliced' }),
}))
const wide: Case<number[]>[] = [{ inputs: [[4, 30, 31, 32]], args: [7, 7] }]
checkOp<number[]>('adaptiveAvgPool2d', {
  op: ([x], size) => ops.adaptiveAvgPool2d(x!, size),
  reference: ([x], size) => adaptive(x!, size, mean),
  rows: ['adaptive_avg_pool2d_grad'],
  cases: sizes,
  large: wide,
})
checkOp<number[]>('adaptiveMaxPool2d', {
  op: ([x], size) => ops.adaptiveMaxPool2d(x!, size),
  reference: ([x], size) => adaptive(x!, size, (v) => Math.max(...v)),
  rows: ['max_pool2d_grad'],
  cases: sizes,
  large: wide,
})

const flat = (x: Nd): Nd => reshape(x, [x.shape[0]!, 1, ...x.shape.slice(1)])
const sequence = (y: Nd): Nd => reshape(y, [y.shape[0]!, ...y.shape.slice(2)])
type Line = { kernel: number; stride?: number; padding?: number; ceilMode?: boolean }
const time = ({ kernel, stride = kernel, padding = 0, ceilMode = false }: Line): Args => ({
  kernel: [1, kernel],
  stride: [1, stride],
  padding: [0, padding],
  ceilMode,
})
const lines: Case<Line>[] = (
  [
    [[2, 4, 2], { kernel: 2 }],
    [[1, 5, 2], { kernel: 2 }],
    [[1, 5, 1], { kernel: 3, stride: 1 }],
    [[1, 5, 2], { kernel: 3, stride: 2, padding: 1 }],
    [[1, 6, 1], { kernel: 3, stride: 2, ceilMode: true }],
    [[2, 4, 3], { kernel: 2 }, 'transposed'],
    [[2, 4, 2], { kernel: 2 }, 'sliced'],
    [[0, 4, 2], { kernel: 2 }],
    [[1, 3, 1], { kernel: 3 }],
  ] as [number[], Line, ('sliced' | 'transposed')?][]
).map(([shape, args, layout]) => ({ inputs: [{ shape, values: 'distinct' }], args, ...(layout && { layout }) }))
checkOp<Line>('maxPool1d', {
  op: ([x], { kernel, ...options }) => ops.maxPool1d(x!, kernel, options),
  reference: ([x], args) => sequence(pooled(flat(x!), time(args), (v) => Math.max(...v))),
  rows: ['max_pool2d'],
  cases: lines,
})
checkOp<Line>('avgPool1d', {
  op: ([x], { kernel, ...options }) => ops.avgPool1d(x!, kernel, options),
  reference: ([x], args) => sequence(pooled(flat(x!), time(args), (v, room) => sum(v) / room)),
  rows: ['avg_pool2d'],
  cases: lines,
})
const spans: Case<number>[] = (
  [
    [[2, 4, 2], 2],
    [[1, 5, 2], 3],
    [[1, 5, 1], 1],
    [[1, 7, 2], 3],
    [[1, 3, 1], 5],
    [[2, 4, 3], 3],
    [[0, 4, 2], 2],
    [[1, 6, 1], 6],
  ] as [number[], number][]
).map(([shape, args]) => ({ inputs: [{ shape, values: 'distinct' }], args }))
checkOp<number>('adaptiveAvgPool1d', {
  op: ([x], size) => ops.adaptiveAvgPool1d(x!, size),
  reference: ([x], size) => sequence(adaptive(flat(x!), [1, size], mean)),
  rows: ['adaptive_avg_pool2d'],
  cases: spans,
})
checkOp<number>('adaptiveMaxPool1d', {
  op: ([x], size) => ops.adaptiveMaxPool1d(x!, size),
  reference: ([x], size) => sequence(adaptive(flat(x!), [1, size], (v) => Math.max(...v))),
  rows: ['adaptive_max_pool2d'],
  cases: spans,
})

test('NaN wins, and the first of equals gets the gradient', () => {
  expect(
    tensor([1, NaN, 3, 2], { shape: [1, 2, 2, 1] })
      .maxPool2d(2)
      .itemSync(),
  ).toBeNaN()
  const x = tensor([5, 5, 5, 5], { shape: [1, 2, 2, 1], requiresGrad: true })
  x.maxPool2d(2).sum().backward()
  expect(numbers(x.grad!)).toEqual([1, 0, 0, 0])
})

test('messages', () => {
  expect(() => zeros([1, 4, 4]).maxPool2d(2)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: maxPool2d: input must have four dimensions, got 3.
      input [1, 4, 4] float32 (N H W C)
      Add the batch dimension: x.unsqueeze(0).]
  `)
  expect(() => zeros([1, 4, 4, 1]).maxPool2d(5)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: maxPool2d: the window does not fit the input.
      input [1, 4, 4, 1] float32 (N H W C), kernel [5, 5], padding [0, 0, 0, 0] (top bottom left right), dilation [1, 1]
      Use a smaller kernel.]
  `)
  expect(() => zeros([1, 4, 4, 1]).avgPool2d(2, { padding: 2 })).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: avgPool2d: padding may be at most half of the kernel.
      padding [2, 2, 2, 2] (top bottom left right), kernel [2, 2], dilation [1, 1]]
  `)
  expect(() => zeros([1, 4, 4, 1]).adaptiveAvgPool2d(0)).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: adaptiveAvgPool2d: output size must be positive.
      output size [0, 0]
      Use numbers from 1 on.]
  `)
})
