import { expect, test } from 'vitest'
import { type Tensor, zeros } from '../../ts/index.js'
import { conv1d, conv2d, convTranspose1d, convTranspose2d, type ConvTransposeOptions } from '../../ts/ops/conv2d.js'
import type { ConvOptions } from '../../ts/ops/conv-options.js'
import { type Case, checkOp } from '../check.js'
import { build, get, map, type Nd, reshape } from '../reference.js'

type Args = Omit<ConvTransposeOptions, 'padding'> & { padding?: ConvOptions['padding']; relu?: boolean }

const two = (v: number | readonly number[] | undefined, otherwise: number): [number, number] =>
  v === undefined ? [otherwise, otherwise] : typeof v === 'number' ? [v, v] : [v[0]!, v[1]!]
/** top, bottom, left, right */
function borders(args: Args, kernel: number[]): number[] {
  const { padding = 0 } = args
  const dilation = two(args.dilation, 1)
  if (padding === 'valid') return [0, 0, 0, 0]
  if (padding === 'same')
    return kernel.flatMap((k, i) => {
      const all = dilation[i]! * (k - 1)
      return [Math.floor(all / 2), Math.ceil(all / 2)]
    })
  if (typeof padding === 'number') return [padding, padding, padding, padding]
  return padding.length === 2 ? [padding[0]!, padding[0]!, padding[1]!, padding[1]!] : [...(padding as number[])]
}

function reference([x, w, b]: Nd[], args: Args): Nd {
  const [n, h, wd] = x!.shape as [number, number, number, number]
  const [o, kh, kw, ci] = w!.shape as [number, number, number, number]
  const [sh, sw] = two(args.stride, 1)
  const [dh, dw] = two(args.dilation, 1)
  const [top, bottom, left, right] = borders(args, [kh, kw]) as [number, number, number, number]
  const groups = args.groups ?? 1
  const oh = Math.floor((h + top + bottom - dh * (kh - 1) - 1) / sh) + 1
  const ow = Math.floor((wd + left + right - dw * (kw - 1) - 1) / sw) + 1
  return build([n, oh, ow, o], ([ni, y, z, k]) => {
    let total = b ? b.data[k!]! : 0
    const first = Math.floor(k! / (o / groups)) * ci
    for (let i = 0; i < kh; i++)
      for (let j = 0; j < kw; j++) {
        const [r, c] = [y! * sh - top + i * dh, z! * sw - left + j * dw]
        if (r < 0 || c < 0 || r >= h || c >= wd) continue
        for (let l = 0; l < ci; l++) total += get(x!, [ni!, r, c, first + l]) * get(w!, [k!, i, j, l])
      }
    return args.relu ? Math.max(0, total) : total
  })
}

const of = (x: number[], w: number[], args: Args = {}, layout?: Case['layout'], bias = true): Case<Args> => ({
  inputs: [x, w, ...(bias ? [[w[0]!]] : [])],
  args,
  ...(layout && { layout }),
})
const cases: Case<Args>[] = [
  of([2, 4, 4, 2], [3, 3, 3, 2]),
  of([1, 3, 3, 1], [1, 1, 1, 1]),
  of([1, 5, 4, 2], [2, 3, 2, 2], { stride: 2 }),
  of([1, 4, 5, 2], [2, 3, 3, 2], { padding: 1 }),
  of([1, 4, 4, 2], [2, 2, 3, 2], { padding: 'same' }),
  of([1, 6, 6, 1], [2, 2, 2, 1], { dilation: 2 }),
  of([1, 4, 4, 4], [4, 3, 3, 2], { groups: 2 }),
  of([1, 4, 4, 3], [6, 3, 3, 1], { groups: 3, padding: 1 }),
  of([1, 5, 5, 2], [2, 3, 3, 2], { stride: [2, 1], padding: [1, 0, 2, 1], dilation: [1, 2] }),
  of([2, 4, 3, 2], [2, 2, 2, 2], {}, 'transposed'),
  of([1, 4, 4, 2], [2, 3, 3, 2], { padding: [0, 1] }, 'sliced', false),
  of([0, 4, 4, 2], [3, 3, 3, 2]),
  of([1, 3, 3, 2], [2, 3, 3, 2], { padding: 'valid' }, 'offset'),
  of([1, 7, 7, 1], [1, 3, 3, 1], { stride: 3, padding: 2 }),
]
const large: Case<Args>[] = [
  of([4, 32, 32, 3], [32, 3, 3, 3]),
  of([3, 15, 15, 32], [64, 3, 3, 32]),
  of([2, 17, 13, 16], [24, 3, 3, 16], { padding: 1, stride: 2 }),
  of([2, 9, 9, 64], [64, 1, 1, 64]),
  of([2, 12, 12, 32], [32, 3, 3, 1], { groups: 32, padding: 1 }),
  of([1, 14, 14, 8], [16, 5, 5, 8], { padding: 2, dilation: 2 }),
]
const rows = ['conv2d_input_grad', 'conv2d_weight_grad']
checkOp<Args>('conv2d', {
  op: ([x, w, b], args) => conv2d(x!, w!, b ?? null, args as ConvOptions),
  reference,
  rows,
  cases,
  large,
  tolerance: { bfloat16: 6e-2 },
})
checkOp<Args>('conv2dRelu', {
  op: ([x, w, b], { relu: _, ...args }) => conv2d(x!, w!, b ?? null, { ...(args as ConvOptions), activation: 'relu' }),
  reference: (inputs, args) => reference(inputs, { ...args, relu: true }),
  rows: ['conv2d', 'relu_grad', ...rows],
  cases,
  large: large.slice(0, 2),
  tolerance: { bfloat16: 8e-2, float16: 1e-2 },
})

const flat = (x: Nd): Nd => reshape(x, [x.shape[0]!, 1, ...x.shape.slice(1)])
const sequence = (y: Nd): Nd => reshape(y, [y.shape[0]!, ...y.shape.slice(2)])
const time = (args: Args): Args => {
  const one = (v: unknown, otherwise: number): number => (v === undefined ? otherwise : (v as number))
  const p = args.padding ?? 0
  return {
    ...args,
    stride: [1, one(args.stride, 1)],
    dilation: [1, one(args.dilation, 1)],
    padding: typeof p === 'string' ? p : typeof p === 'number' ? [0, 0, p, p] : [0, 0, p[0]!, p[1]!],
    ...(args.outputPadding !== undefined && { outputPadding: [0, args.outputPadding as number] }),
  }
}
checkOp<Args>('conv1d', {
  op: ([x, w, b], args) => conv1d(x!, w!, b ?? null, args as ConvOptions),
  reference: ([x, w, b], args) => sequence(reference([flat(x!), flat(w!), ...(b ? [b] : [])], time(args))),
  rows: ['conv2d', ...rows],
  tolerance: { bfloat16: 6e-2 },
  cases: [
    of([2, 5, 2], [3, 3, 2]),
    of([1, 1, 1], [1, 1, 1]),
    of([1, 7, 2], [2, 3, 2], { stride: 2 }),
    of([1, 5, 2], [2, 3, 2], { padding: 1 }),
    of([1, 5, 2], [2, 4, 2], { padding: 'same' }),
    of([1, 7, 1], [2, 2, 1], { dilation: 3 }),
    of([1, 4, 4], [4, 3, 2], { groups: 2 }),
    of([1, 5, 2], [2, 3, 2], { padding: [2, 0] }),
    of([2, 4, 2], [2, 2, 2], {}, 'transposed', false),
    of([0, 4, 2], [3, 3, 2]),
  ],
  large: [of([3, 100, 33], [40, 5, 33], { padding: 2 })],
})

/** Each input element spreads the kernel over the output. */
function transposed([x, w, b]: Nd[], args: Args): Nd {
  const [n, h, wd, c] = x!.shape as [number, number, number, number]
  const [, kh, kw, co] = w!.shape as [number, number, number, number]
  const [sh, sw] = two(args.stride, 1)
  const [dh, dw] = two(args.dilation, 1)
  const [eh, ew] = two(args.outputPadding, 0)
  const [top, bottom, left, right] = borders(args, [kh, kw]) as [number, number, number, number]
  const groups = args.groups ?? 1
  const shape = [
    n,
    (h - 1) * sh - top - bottom + dh * (kh - 1) + eh + 1,
    (wd - 1) * sw - left - right + dw * (kw - 1) + ew + 1,
    co * groups,
  ]
  const y = build(shape, (index) => (b ? b.data[index[3]!]! : 0))
  build([n, h, wd, c, kh, kw, co], ([ni, i, j, ch, a, e, o]) => {
    const [r, s] = [i! * sh - top + a! * dh, j! * sw - left + e! * dw]
    if (r < 0 || s < 0 || r >= shape[1]! || s >= shape[2]!) return 0
    const out = Math.floor(ch! / (c / groups)) * co + o!
    y.data[((ni! * shape[1]! + r) * shape[2]! + s) * shape[3]! + out]! += get(x!, [ni!, i!, j!, ch!]) * get(w!, [ch!, a!, e!, o!])
    return 0
  })
  return y
}
const back = (x: number[], w: number[], args: Args = {}, layout?: Case['layout'], bias = true): Case<Args> => ({
  inputs: [x, w, ...(bias ? [[w.at(-1)! * (args.groups ?? 1)]] : [])],
  args,
  ...(layout && { layout }),
})
checkOp<Args>('convTranspose2d', {
  op: ([x, w, b], args) => convTranspose2d(x!, w!, b ?? null, args as ConvTransposeOptions),
  reference: transposed,
  rows: ['conv2d', ...rows],
  tolerance: { bfloat16: 8e-2, float16: 1e-2 },
  cases: [
    back([1, 3, 3, 2], [2, 3, 3, 3]),
    back([1, 1, 1, 1], [1, 1, 1, 1]),
    back([1, 3, 2, 2], [2, 2, 3, 2], { stride: 2 }),
    back([1, 3, 3, 2], [2, 3, 3, 2], { padding: 1 }),
    back([1, 3, 3, 2], [2, 3, 3, 1], { stride: 2, padding: 1, outputPadding: 1 }),
    back([1, 3, 3, 1], [1, 2, 2, 2], { dilation: 2 }),
    // More than a stride: PyTorch takes what is less than the dilation too.
    back([1, 4, 4, 1], [1, 3, 3, 1], { dilation: 2, outputPadding: 1 }),
    back([1, 3, 2, 2], [2, 2, 3, 3], { stride: [2, 1], padding: 1, dilation: [4, 3], outputPadding: [3, 2] }),
    back([1, 2, 3, 4], [4, 2, 2, 1], { stride: 2, dilation: 3, outputPadding: [0, 2], groups: 4 }, 'sliced', false),
    back([1, 3, 3, 4], [4, 2, 2, 2], { groups: 2 }),
    back([2, 3, 3, 2], [2, 2, 2, 2], { stride: [2, 1] }, 'transposed'),
    back([1, 3, 3, 2], [2, 2, 2, 2], {}, 'sliced', false),
    back([0, 3, 3, 2], [2, 2, 2, 2]),
  ],
  large: [
    back([2, 9, 9, 32], [32, 4, 4, 16], { stride: 2, padding: 1 }),
    back([2, 9, 9, 32], [32, 3, 3, 16], { stride: 2, padding: 1, dilation: 5, outputPadding: 4 }),
    back([2, 9, 9, 32], [32, 3, 3, 16], { dilation: 5, outputPadding: [4, 3] }),
  ],
})
checkOp<Args>('convTranspose1d', {
  op: ([x, w, b], args) => convTranspose1d(x!, w!, b ?? null, args as ConvTransposeOptions),
  reference: ([x, w, b], args) => sequence(transposed([flat(x!), flat(w!), ...(b ? [b] : [])], time(args))),
  rows: ['conv2d', ...rows],
  tolerance: { bfloat16: 6e-2 },
  cases: [
    back([1, 3, 2], [2, 3, 3]),
    back([1, 1, 1], [1, 1, 1]),
    back([1, 3, 2], [2, 3, 2], { stride: 2 }),
    back([1, 3, 2], [2, 3, 2], { padding: 1 }),
    back([1, 3, 2], [2, 3, 1], { stride: 2, padding: 1, outputPadding: 1 }),
    back([1, 3, 1], [1, 2, 2], { dilation: 2 }),
    back([1, 3, 1], [1, 2, 2], { dilation: 3, outputPadding: 2 }),
    back([1, 3, 4], [4, 2, 2], { groups: 2 }),
    back([2, 3, 2], [2, 2, 2], {}, 'transposed', false),
  ],
})

test('messages', () => {
  const x: Tensor = zeros([8, 28, 28, 1])
  expect(() => conv2d(x, zeros([32, 5, 5, 3]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: conv2d: input has 1 channel, weight expects 3.
      input [8, 28, 28, 1] (N H W C), weight [32, 5, 5, 3] (O KH KW I), groups 1
      Use new Conv2d(1, 32, 5), or repeat the input channel.]
  `)
  expect(() => conv2d(zeros([1, 3, 3, 1]), zeros([2, 5, 5, 1]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: conv2d: the kernel does not fit the input.
      input 3 x 3, padding [0, 0, 0, 0] (top bottom left right), kernel 5 x 5, dilation [1, 1]
      Use a smaller kernel, or more padding.]
  `)
  expect(() => conv2d(x, zeros([5, 5, 1]))).toThrowErrorMatchingInlineSnapshot(
    `[ShapeError: conv2d: weight must have four dimensions, got [5, 5, 1].]`,
  )
  expect(() => conv2d(x, zeros([4, 3, 3, 1]), zeros([3]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: conv2d: bias does not fit 4 output channels.
      bias [3] float32, weight [4, 3, 3, 1] float32 (O KH KW I)
      Use a bias [4].]
  `)
  expect(() => conv2d(x, zeros([4, 3, 3, 1]), null, { stride: 2, padding: 'same' })).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: conv2d: padding 'same' needs stride 1, got [2, 2]. Give the padding in numbers.]`,
  )
  expect(() => conv2d(x, zeros([4, 3, 3, 1]), null, { stride: [1, 2, 3] })).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: conv2d: stride takes a number or [height, width], got [1, 2, 3].]`,
  )
  expect(() => conv2d(x, zeros([4, 3, 3, 1]), null, { padding: [1, 2, 3] })).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: conv2d: padding is a number, [height, width], [top, bottom, left, right], 'same' or 'valid'; got [1,2,3].]`,
  )
  expect(() => conv2d(zeros([1, 4, 4, 3]), zeros([4, 3, 3, 1]), null, { groups: 2 })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: conv2d: input has 3 channels, weight expects 2.
      input [1, 4, 4, 3] (N H W C), weight [4, 3, 3, 1] (O KH KW I), groups 2
      Use new Conv2d(3, 4, 3, { groups: 2 }).]
  `)
  expect(() => conv1d(x, zeros([4, 3, 1]))).toThrowErrorMatchingInlineSnapshot(
    `[ShapeError: conv1d: input must be [N, T, C], got [8, 28, 28, 1].]`,
  )
  expect(() => convTranspose2d(zeros([1, 4, 4, 1]), zeros([1, 3, 3, 1]), null, { stride: 2, outputPadding: [1, 2] })).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: convTranspose2d: outputPadding [1, 2] must be whole numbers from 0, less than the larger of stride [2, 2] and dilation [1, 1].
      Use at most [1, 1].]
  `)
  expect(() => convTranspose2d(zeros([1, 4, 4, 2]), zeros([1, 3, 3, 1]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: convTranspose2d: input has 2 channels, weight expects 1.
      input [1, 4, 4, 2] (N H W C), weight [1, 3, 3, 1] (O KH KW I), groups 1
      The first size of the weight must be the channels of the input.]
  `)
  expect(() => convTranspose2d(zeros([1, 2, 2, 1]), zeros([1, 1, 1, 1]), null, { padding: 1 })).toThrow(/^convTranspose2d: output size must be positive/)
})
