// The ops that memory bounds, on 64 MB: each with the bytes that it must at least move (operands once, results once), against what the machine's triad moves by the same count.
import {
  avgPool2d, batchNorm, concat, crossEntropy, dropout, embedding, grad, groupNorm, layerNorm, maxPool2d, noGrad, ones, optim, Parameter, randint, randn,
  scope, type Tensor,
} from 'ferrograd'
import type { Bench, Context } from '../report.js'
import { timeOp } from './timed-op.js'

/** 2^24 floats: 64 MB. */
const SIZE = 2 ** 24
const MB64 = 4 * SIZE

interface Case {
  name: string
  /** Arrays of 64 MB that are read or written. */
  arrays: number
  run: () => Tensor | readonly (Tensor | null)[] | void
}

/** A function forward, and its gradient alone: the graph is kept, so that each call runs the gradient's kernel and nothing else. */
function both(name: string, x: Tensor, forward: (x: Tensor) => Tensor, arrays: number, gradientArrays: number, others: Tensor[] = []): Case[] {
  const y = forward(x)
  const dy = y.shape.length === 0 ? ones([]) : randn([...y.shape])
  return [
    { name, arrays, run: () => noGrad(() => forward(x)) },
    { name: `${name}, gradient`, arrays: gradientArrays, run: () => grad(y, [x, ...others], { gradOutputs: [dy], retainGraph: true }) },
  ]
}

/** Made one group after another, so that no more is held than one group needs. */
const groups: (() => Case[])[] = [
  () => {
    const x = randn([4096, 4096])
    const y = randn([4096, 4096])
    const row = randn([4096])
    return [
      { name: 'add', arrays: 3, run: () => x.add(y) },
      { name: 'mul', arrays: 3, run: () => x.mul(y) },
      { name: 'mul by a row', arrays: 2, run: () => x.mul(row) },
      { name: 'add a number', arrays: 2, run: () => x.add(1) },
      { name: 'exp', arrays: 2, run: () => x.exp() },
      { name: 'log', arrays: 2, run: () => x.log() },
      { name: 'concat of two halves', arrays: 4, run: () => concat([x, y], 0) },
      { name: 'concat side by side', arrays: 4, run: () => concat([x, y], 1) },
      { name: 'copy of the transpose', arrays: 2, run: () => x.transpose(0, 1).contiguous() },
      { name: 'copy of a permutation', arrays: 2, run: () => x.reshape([64, 64, 64, 64]).permute([0, 2, 1, 3]).contiguous() },
      { name: 'copy of NCHW as NHWC', arrays: 2, run: () => x.reshape([64, 64, 4096]).permute([0, 2, 1]).contiguous() },
      { name: 'copy of a reversal', arrays: 2, run: () => x.reshape([256, 256, 256]).permute([2, 1, 0]).contiguous() },
    ].map((c) => ({ ...c, run: () => noGrad(c.run) }))
  },
  () => {
    const x = randn([4096, 4096], { requiresGrad: true })
    return [
      ...both('relu', x, (x) => x.relu(), 2, 3), ...both('gelu', x, (x) => x.gelu(), 2, 3), ...both('tanh', x, (x) => x.tanh(), 2, 3),
      ...both('sigmoid', x, (x) => x.sigmoid(), 2, 3), ...both('silu', x, (x) => x.silu(), 2, 3),
    ]
  },
  () => {
    const x = randn([4096, 4096])
    const image = x.reshape([64, 64, 64, 64])
    return [
      { name: 'sum', arrays: 1, run: () => x.sum() },
      { name: 'sum over rows', arrays: 1, run: () => x.sum([0]) },
      { name: 'sum over columns', arrays: 1, run: () => x.sum([1]) },
      { name: 'sum over the middle', arrays: 1, run: () => image.sum([1, 2]) },
      { name: 'mean', arrays: 1, run: () => x.mean() },
      { name: 'mean over rows', arrays: 1, run: () => x.mean([0]) },
      { name: 'mean over columns', arrays: 1, run: () => x.mean([1]) },
      { name: 'max', arrays: 1, run: () => x.amax() },
      { name: 'max over rows', arrays: 1, run: () => x.amax([0]) },
      { name: 'max over columns', arrays: 1, run: () => x.amax([1]) },
      { name: 'argmax over columns', arrays: 1, run: () => x.argmax(1) },
    ].map((c) => ({ ...c, run: () => noGrad(c.run) }))
  },
  () => {
    const x = randn([4096, 4096], { requiresGrad: true })
    const narrow = randn([16384, 1024], { requiresGrad: true })
    const tall = randn([64, 256, 1024], { requiresGrad: true })
    return [
      ...both('softmax of 4096', x, (x) => x.softmax(-1), 2, 3), ...both('softmax of 1024', narrow, (x) => x.softmax(-1), 2, 3),
      ...both('softmax along the middle', tall, (x) => x.softmax(1), 2, 3), ...both('logSoftmax of 4096', x, (x) => x.logSoftmax(-1), 2, 3),
    ]
  },
  () => {
    const x = randn([16384, 1024], { requiresGrad: true })
    const [weight, bias] = [randn([1024], { requiresGrad: true }), randn([1024], { requiresGrad: true })]
    const narrow = randn([65536, 256], { requiresGrad: true })
    const [w, b] = [randn([256], { requiresGrad: true }), randn([256], { requiresGrad: true })]
    return [
      ...both('layerNorm of 1024', x, (x) => layerNorm(x, 1024, { weight, bias }), 2, 3, [weight, bias]),
      ...both('layerNorm of 256', narrow, (x) => layerNorm(x, 256, { weight: w, bias: b }), 2, 3, [w, b]),
    ]
  },
  () => {
    const x = randn([64, 32, 32, 256], { requiresGrad: true })
    const [weight, bias] = [randn([256], { requiresGrad: true }), randn([256], { requiresGrad: true })]
    // What lies beyond the caches is read once for the statistics and once for the result.
    return [
      ...both('batchNorm', x, (x) => batchNorm(x, { weight, bias, training: true }), 3, 5, [weight, bias]),
      ...both('groupNorm', x, (x) => groupNorm(x, 32, { weight, bias }), 2, 3, [weight, bias]),
    ]
  },
  () => {
    const x = randn([64, 64, 64, 64], { requiresGrad: true })
    return [
      ...both('maxPool2d 2x2', x, (x) => maxPool2d(x, 2), 1.5, 1.5), ...both('avgPool2d 2x2', x, (x) => avgPool2d(x, 2), 1.25, 1.25),
      ...both('maxPool2d 3x3 stride 2', x, (x) => maxPool2d(x, 3, { stride: 2, padding: 1 }), 1.5, 1.5),
      ...both('avgPool2d 3x3 stride 2', x, (x) => avgPool2d(x, 3, { stride: 2, padding: 1 }), 1.25, 1.25),
      ...both('dropout', x, (x) => dropout(x, 0.1), 2, 2),
    ]
  },
  () => {
    const logits = randn([512, 32768], { requiresGrad: true })
    const labels = randint(0, 32768, [512])
    const table = randn([32768, 512], { requiresGrad: true })
    const ids = randint(0, 32768, [32768])
    return [
      ...both('crossEntropy of 32768', logits, (x) => crossEntropy(x, labels), 1, 2), ...both('embedding', table, (w) => embedding(w, ids), 2, 2),
    ]
  },
  () => {
    const make = (): Parameter[] => {
      const params = Array.from({ length: 8 }, () => new Parameter(randn([SIZE / 8])))
      for (const p of params) p.grad = randn([SIZE / 8])
      return params
    }
    const table = new Parameter(randn([32768, SIZE / 32768]))
    const [ids, rows] = [randint(0, 32768, [2048]), new optim.Adam([table])]
    const embedded = (): void => {
      rows.zeroGrad()
      embedding(table, ids).sum().backward()
      rows.step()
    }
    const [adam, sgd] = [new optim.Adam(make()), new optim.SGD(make(), { momentum: 0.9 })]
    return [
      { name: 'Adam', arrays: 7, run: () => adam.step() }, { name: 'SGD with momentum', arrays: 5, run: () => sgd.step() },
      // Parameters and two states read and written, and 2048 of 32768 rows: read, spread as dy and added up (written, read).
      { name: 'Adam of an embedding, its gradient in rows', arrays: 6 + 5 / 16, run: () => scope(embedded) },
      { name: 'SGD with momentum, clipped', arrays: 6, run: () => sgd.step({ clipNorm: 1 }) },
    ]
  },
]

export const memory: Bench = {
  name: 'memory',
  async run(context: Context) {
    for (const make of groups) {
      const cases = make()
      for (const { name, arrays, run } of cases) await timeOp(context, { name: `memory / ${name}`, run, bytes: arrays * MB64, seconds: 1.5 })
    }
  },
}
