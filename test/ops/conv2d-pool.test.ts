import { expect, test } from 'vitest'
import { arange, grad, maxPool2d, scope, type Tensor, zeros } from '../../ts/index.js'
import { conv2d } from '../../ts/ops/conv2d.js'
import { conv2dPool } from '../../ts/ops/conv2d-pool.js'
import type { ConvOptions } from '../../ts/ops/conv-options.js'
import { type Case, checkOp } from '../check.js'
import { build, get, type Nd } from '../reference.js'
import { expectRan } from '../rows.js'

interface Args { pool: number | [number, number]; stride?: number; padding?: number; dilation?: number; groups?: number; relu?: boolean }

/** The definition: every product of every window. */
function reference([x, w, b]: Nd[], { pool, stride = 1, padding = 0, dilation = 1, groups = 1, relu }: Args): Nd {
  const [n, h, wd] = x!.shape as [number, number, number, number]
  const [o, kh, kw, ci] = w!.shape as [number, number, number, number]
  const [ph, pw] = typeof pool === 'number' ? [pool, pool] : pool
  const size = (len: number, k: number): number => Math.floor((len + 2 * padding - dilation * (k - 1) - 1) / stride) + 1
  const value = (i: number, r: number, c: number, k: number): number => {
    let total = b ? b.data[k]! : 0
    for (let u = 0; u < kh; u++)
      for (let v = 0; v < kw; v++) {
        const [y, z] = [r * stride - padding + u * dilation, c * stride - padding + v * dilation]
        if (y < 0 || z < 0 || y >= h || z >= wd) continue
        for (let l = 0; l < ci; l++) total += get(x!, [i, y, z, Math.floor(k / (o / groups)) * ci + l]) * get(w!, [k, u, v, l])
      }
    return relu ? Math.max(0, total) : total
  }
  return build([n, Math.floor(size(h, kh) / ph), Math.floor(size(wd, kw) / pw), o], ([i, r, c, k]) => {
    const window = Array.from({ length: ph * pw }, (_, p) => value(i!, r! * ph + Math.floor(p / pw), c! * pw + (p % pw), k!))
    return Math.max(...window)
  })
}

const options = ({ relu, pool: _, ...rest }: Args): ConvOptions & { activation: 'relu' | 'none' } => ({ ...rest, activation: relu ? 'relu' : 'none' })
const of = (x: number[], w: number[], args: Args, layout?: Case['layout'], bias = true): Case<Args> => ({
  inputs: [x, w, ...(bias ? [[w[0]!]] : [])],
  args,
  ...(layout && { layout }),
})

checkOp<Args>('conv2dPool', {
  op: ([x, w, b], args) => conv2dPool(x!, w!, b ?? null, args.pool, options(args)),
  reference,
  rows: ['pool_spread', 'conv2d_input_grad', 'conv2d_weight_grad'],
  tolerance: { bfloat16: 8e-2, float16: 1e-2 },
  cases: [
    of([2, 6, 6, 2], [3, 3, 3, 2], { pool: 2, relu: true }),
    of([1, 5, 6, 1], [2, 1, 2, 1], { pool: [2, 3] }),
    of([1, 7, 7, 2], [2, 2, 2, 2], { pool: 2, relu: true }),
    of([2, 5, 5, 2], [2, 3, 3, 2], { pool: 2, padding: 1 }),
    of([1, 9, 8, 2], [2, 2, 3, 2], { pool: 2, stride: 2 }),
    of([1, 7, 7, 1], [2, 2, 2, 1], { pool: 2, dilation: 2, relu: true }),
    of([1, 6, 6, 4], [4, 3, 3, 2], { pool: 2, groups: 2 }),
    of([1, 6, 6, 3], [3, 3, 3, 1], { pool: 3, groups: 3, padding: 1, relu: true }),
    of([1, 5, 5, 2], [2, 2, 2, 2], { pool: 1 }, 'transposed'),
    of([1, 6, 6, 2], [2, 3, 3, 2], { pool: [1, 4] }, 'sliced', false),
    of([0, 6, 6, 2], [2, 3, 3, 2], { pool: 2 }),
  ],
  large: [of([4, 32, 32, 3], [32, 3, 3, 3], { pool: 2, relu: true }), of([3, 15, 15, 32], [64, 3, 3, 32], { pool: 2, relu: true })],
})

/** x, weight and bias, the same in every run. */
const operands = (dtype: 'float32' | 'float64'): [Tensor, Tensor, Tensor] => {
  const of = (shape: number[], step: number): Tensor => arange(0, shape.reduce((product, d) => product * d), 1, { dtype }).mul(step).sin().reshape(shape)
  return [of([3, 15, 15, 8], 0.7), of([20, 3, 3, 8], 1.7), of([20], 2.7)]
}

test('is the convolution, ReLU and pooling, bit for bit', () => {
  const [x, w, b] = operands('float32')
  const fused = conv2dPool(x, w, b, 2, { activation: 'relu' }).dataSync()
  const composed = maxPool2d(conv2d(x, w, b, { activation: 'relu' }), 2).dataSync()
  expect(Buffer.from(fused.buffer).equals(Buffer.from(composed.buffer))).toBe(true)
})

test('a gradient of a gradient that the result itself takes part in is that of the ops one by one', () => {
  const second = (f: (x: Tensor, w: Tensor, b: Tensor) => Tensor): number[][] => scope(() => {
    const inputs = operands('float64')
    inputs.forEach((t) => { t.requiresGrad = true })
    const first = grad(f(...inputs).square().sum(), inputs, { createGraph: true }) as Tensor[]
    const penalty = first.map((g) => g.square().sum()).reduce((sum, g) => sum.add(g))
    return (grad(penalty, inputs) as Tensor[]).map((g) => [...(g.dataSync() as Float64Array)])
  })
  const fused = second((x, w, b) => conv2dPool(x, w, b, 2, { activation: 'relu' }))
  const composed = second((x, w, b) => maxPool2d(conv2d(x, w, b, { activation: 'relu' }), 2))
  fused.forEach((values, i) => {
    const largest = Math.max(...values.map(Math.abs))
    expect(largest).toBeGreaterThan(1)
    expect(Math.max(...values.map((v, j) => Math.abs(v - composed[i]![j]!)))).toBeLessThan(1e-10 * largest)
  })
  const rows = ['pool_pick']
  expectRan(rows)
})

test('a window that does not fit is named', () => {
  expect(() => conv2dPool(zeros([1, 4, 4, 1]), zeros([1, 3, 3, 1]), null, 3)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: conv2dPool: the pooling window 3 x 3 does not fit the convolution's output [1, 2, 2, 1] (N H W C).
      Use a smaller window.]
  `)
})
