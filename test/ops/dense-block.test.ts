import { expect, test } from 'vitest'
import { batchNorm, concat, conv2d, rand, scope, type Tensor } from '../../ts/index.js'
import { denseBlock, type DenseNorm, type DenseOperands } from '../../ts/ops/dense-block.js'
import { type Case, checkOp, numbers } from '../check.js'
import { build, get, map, type Nd } from '../reference.js'
import { expectRan } from '../rows.js'
import { normalised } from './norms.js'

/** `pooled`: a normalisation, ReLU and means over windows of 2 x 2 behind the block. */
interface Args { eps: number; keep?: boolean; pooled?: boolean }

/** The layers of x and six parameters each. */
const layersOf = (parameters: readonly Tensor[], eps: number): DenseOperands[] =>
  Array.from({ length: Math.floor(parameters.length / 6) }, (_, i) => {
    const [weight1, bias1, conv1, weight2, bias2, conv2] = parameters.slice(6 * i, 6 * i + 6) as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
    return { norm1: normOf(weight1, bias1, eps), conv1, norm2: normOf(weight2, bias2, eps), conv2 }
  })
const normOf = (weight: Tensor, bias: Tensor, eps: number): DenseNorm => ({ weight, bias, eps, update: () => {} })

const active = (x: Nd, weight: Nd, bias: Nd, eps: number): Nd =>
  map((v) => Math.max(v, 0), normalised([x, weight, bias], eps, (i) => String(i.at(-1)), (i) => i.at(-1)!))

/** Every product of every window, of a square kernel that keeps the size. */
const convolved = (x: Nd, kernel: Nd): Nd => {
  const [, h, w] = x.shape as [number, number, number]
  const [, side, , channels] = kernel.shape as [number, number, number, number]
  const border = (side - 1) / 2
  return build([...x.shape.slice(0, 3), kernel.shape[0]!], ([n, r, c, o]) => {
    let total = 0
    for (let u = 0; u < side; u++)
      for (let v = 0; v < side; v++) {
        const [y, z] = [r! + u - border, c! + v - border]
        if (y < 0 || z < 0 || y >= h || z >= w) continue
        for (let k = 0; k < channels; k++) total += get(x, [n!, y, z, k]) * get(kernel, [o!, u, v, k])
      }
    return total
  })
}

const appended = (x: Nd, more: Nd): Nd => {
  const [before, after] = [x.shape[3]!, more.shape[3]!]
  return build([...x.shape.slice(0, 3), before + after], ([n, r, c, k]) => (k! < before ? get(x, [n!, r!, c!, k!]) : get(more, [n!, r!, c!, k! - before])))
}

const means = (x: Nd): Nd => {
  const [n, h, w, c] = x.shape as [number, number, number, number]
  return build([n, Math.floor(h / 2), Math.floor(w / 2), c], ([i, r, s, k]) => {
    const at = (u: number, v: number): number => get(x, [i!, 2 * r! + u, 2 * s! + v, k!])
    return (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 4
  })
}

/** x's shape, channels between a layer's convolutions, channels that each layer adds, how many layers. */
const of = (x: number[], narrow: number, growth: number, layers: number, args: Args, layout?: Case['layout']): Case<Args> => ({
  inputs: [x, ...Array.from({ length: layers }, (_, i) => {
    const wide = x[3]! + i * growth
    return [[wide], [wide], [narrow, 1, 1, wide], [narrow], [narrow], [growth, 3, 3, narrow]]
  }).flat(), ...(args.pooled ? [[x[3]! + layers * growth], [x[3]! + layers * growth]] : [])],
  args,
  ...(layout && { layout }),
})

checkOp<Args>('denseBlock', {
  op: ([x, ...parameters], { eps, keep = true, pooled = false }) =>
    denseBlock(x!, layersOf(parameters, eps), keep, pooled ? normOf(parameters.at(-2)!, parameters.at(-1)!, eps) : null),
  rows: ['append_channels', 'append_channels_grad', 'norm_relu_conv', 'norm_relu_conv_grad', 'norm_relu_conv3x3', 'norm_relu_conv3x3_grad',
    'norm_relu_pool', 'norm_relu_pool_grad'],
  reference: ([x, ...parameters], { eps, pooled }) => {
    let features = x!
    for (let i = 0; i + 6 <= parameters.length; i += 6) {
      const [weight1, bias1, conv1, weight2, bias2, conv2] = parameters.slice(i, i + 6) as [Nd, Nd, Nd, Nd, Nd, Nd]
      const narrow = convolved(active(features, weight1, bias1, eps), conv1)
      features = appended(features, convolved(active(narrow, weight2, bias2, eps), conv2))
    }
    return pooled ? means(active(features, parameters.at(-2)!, parameters.at(-1)!, eps)) : features
  },
  cases: [
    of([2, 3, 3, 2], 3, 2, 1, { eps: 1e-2 }),
    of([1, 3, 2, 3], 2, 1, 2, { eps: 1e-2 }),
    of([2, 2, 2, 1], 2, 3, 1, { eps: 1e-2, keep: false }),
    of([2, 2, 3, 2], 2, 2, 2, { eps: 0.1, keep: false }),
    of([3, 1, 2, 4], 1, 2, 1, { eps: 0.1 }),
    of([2, 3, 2, 2], 4, 1, 2, { eps: 0.1 }, 'transposed'),
    of([2, 2, 2, 3], 3, 2, 1, { eps: 0.1 }, 'sliced'),
    of([4, 1, 1, 2], 2, 2, 1, { eps: 0.1 }),
    of([2, 2, 4, 2], 2, 1, 1, { eps: 0.1, pooled: true }),
    of([1, 3, 5, 2], 2, 2, 2, { eps: 0.1, keep: false, pooled: true }),
  ],
  large: [of([4, 16, 16, 24], 48, 12, 2, { eps: 1e-5 }), of([3, 9, 7, 33], 16, 8, 2, { eps: 1e-5, keep: false }), of([3, 9, 7, 33], 40, 12, 1, { eps: 1e-5, pooled: true })],
  tolerance: { float32: 2e-4, bfloat16: 0.25, float16: 4e-2 },
})

test('gives what the layers give one by one, and the same bits whether it keeps or computes again', () => {
  scope(() => {
    const [growth, narrow] = [12, 48]
    const x = rand([8, 16, 16, 24], { requiresGrad: true })
    const parameters = [0, 1, 2].flatMap((i) => {
      const wide = 24 + i * growth
      return [rand([wide]), rand([wide]).sub(0.5), rand([narrow, 1, 1, wide]).sub(0.5), rand([narrow]), rand([narrow]).sub(0.5), rand([growth, 3, 3, narrow]).sub(0.5)]
    })
    for (const p of parameters) p.requiresGrad = true
    const layers = layersOf(parameters, 1e-5)
    const oneByOne = (): Tensor => layers.reduce<Tensor>((features, { norm1, conv1, norm2, conv2 }) => {
      const act = (x: Tensor, { weight, bias }: DenseOperands['norm1']): Tensor => batchNorm(x, { weight, bias, training: true, activation: 'relu' })
      return concat([features, conv2d(act(conv2d(act(features, norm1), conv1), norm2), conv2, null, { padding: 1 })], -1)
    }, x)
    const dy = rand([8, 16, 16, 60])
    const results = [() => denseBlock(x, layers), () => denseBlock(x, layers, false), oneByOne].map((make) => {
      const y = make()
      y.backward(dy)
      const all = [y, ...[x, ...parameters].map((t) => t.grad!)].map(numbers)
      for (const t of [x, ...parameters]) t.grad = null
      return all
    })
    expect(results[1]).toEqual(results[0])
    results[2]!.forEach((want, t) => {
      const scale = Math.sqrt(want.reduce((sum, v) => sum + v * v, 0) / want.length) + 1e-6
      want.forEach((v, i) => expect(Math.abs(results[0]![t]![i]! - v)).toBeLessThan(2e-4 * Math.max(scale, Math.abs(v))))
    })
    expectRan(['norm_relu_conv_grad', 'norm_relu_conv3x3_grad'])
  })
})
