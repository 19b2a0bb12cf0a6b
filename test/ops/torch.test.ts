// Ops against PyTorch's own answers and gradients in float64, which test/golden/make_ops.py wrote: rules that a reference of one's own
// could get wrong.
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { type CtcLossOptions, einsum, scope, type Tensor, tensor } from '../../ts/index.js'
import { expectClose } from '../close.js'
import { read } from '../check.js'

interface Golden {
  y: number[]
  shape: number[]
  g: number[][]
}
const golden = JSON.parse(readFileSync(new URL('../golden/ops.json', import.meta.url), 'utf8')) as Record<string, Golden>

/** The values that test/golden/make_ops.py makes: no file holds operands. */
const values = (shape: number[], s = 1): number[] =>
  Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(1.3 * i * s + 0.7) * 1.5 + 0.01 * i)
const made = (shape: number[], s = 1): Tensor => tensor(Float64Array.from(values(shape, s)), { shape, requiresGrad: true })

const labels = tensor(Int32Array.of(0, 3, 1, 2, 1))
const weight = (): Tensor => made([4], 2).abs().detach()
const zeroed = (): Tensor => {
  const data = values([3, 4])
  for (const i of [6, 8, 11]) data[i] = 0
  return tensor(Float64Array.from(data), { shape: [3, 4], requiresGrad: true })
}
const image = (): Tensor[] => [made([2, 6, 5, 3])]
const matrix = (): Tensor[] => [made([5, 4])]

const sounds = (): Tensor[] => [made([7, 3, 5])]
const spelt = tensor(Int32Array.of(1, 1, 2, 4, 2, 4, 1, 2, 2), { shape: [3, 3] })
const lengths = (of: number[] | null): Tensor | null => (of === null ? null : tensor(Int32Array.from(of)))
const ctc = (steps: number[] | null, counts: number[] | null, options: CtcLossOptions = {}) => (x: Tensor): Tensor =>
  x.logSoftmax(-1).ctcLoss(spelt, lengths(steps), lengths(counts), { batchFirst: false, ...options })

const cases: Record<string, [() => Tensor[], (...xs: Tensor[]) => Tensor]> = {
  maxpool_ceil: [image, (x) => x.maxPool2d(3, { stride: 2, padding: 1, ceilMode: true })],
  avgpool_ceil: [image, (x) => x.avgPool2d(3, { stride: 2, padding: 1, ceilMode: true })],
  avgpool_ceil_nopad: [image, (x) => x.avgPool2d(2, { stride: 2, padding: 1, ceilMode: true, countIncludePad: false })],
  adaptive: [image, (x) => x.adaptiveAvgPool2d([4, 3])],
  resize_up: [image, (x) => x.resize(9, 11)],
  resize_down: [image, (x) => x.resize(4, 2)],
  conv_same: [() => [...image(), made([4, 3, 3, 3], 0.9)], (x, w) => x.conv2d(w, null, { padding: 'same', dilation: 2 })],
  convt: [() => [...image(), made([3, 3, 3, 4], 0.9)], (x, w) => x.convTranspose2d(w, null, { stride: 2, padding: 1, outputPadding: 1 })],
  ce: [matrix, (x) => x.crossEntropy(labels, { weight: weight(), labelSmoothing: 0.2, ignoreIndex: 2 })],
  ce_sum: [matrix, (x) => x.crossEntropy(labels, { weight: weight(), labelSmoothing: 0.2, reduction: 'sum' })],
  ce_prob: [matrix, (x) => x.crossEntropy(made([5, 4], 3).softmax(1).detach(), { weight: weight(), labelSmoothing: 0.1 })],
  gelu: [matrix, (x) => x.gelu()],
  gelut: [matrix, (x) => x.gelu('tanh')],
  hardswish: [matrix, (x) => x.mul(3).hardswish()],
  mish: [matrix, (x) => x.mish()],
  selu: [matrix, (x) => x.selu()],
  softplus: [matrix, (x) => x.softplus(2, 1.5)],
  prod: [() => [zeroed()], (x) => x.prod([1])],
  cumprod: [() => [zeroed()], (x) => x.cumprod(1)],
  remainder: [() => [made([5, 4]), made([5, 4], 5)], (a, b) => a.remainder(b)],
  pow: [matrix, (x) => x.abs().pow(1.7)],
  var: [matrix, (x) => x.var([1])],
  std: [matrix, (x) => x.std([0], { correction: 0 })],
  lse: [matrix, (x) => x.logsumexp([0])],
  norm3: [matrix, (x) => x.norm(3, [1])],
  norminf: [matrix, (x) => x.norm(Infinity, [1])],
  einsum: [() => [made([2, 3, 4]), made([2, 5, 4], 2)], (a, b) => einsum('...ij,...kj->ik...', a, b)],
  group: [image, (x) => x.groupNorm(3)],
  batch: [image, (x) => x.batchNorm({ training: true })],
  lerp: [() => [made([5, 4]), made([5, 4], 4)], (a, b) => a.lerp(b, 0.3)],
  roll: [matrix, (x) => x.roll([1, -2], [0, 1])],
  reflect: [matrix, (x) => x.pad([2, 1], { mode: 'reflect' })],
  circ: [image, (x) => x.pad([0, 0, 1, 2, 0, 3], { mode: 'circular' })],
  max: [matrix, (x) => x.max(1).values],
  median: [matrix, (x) => x.median(1).values],
  clamp: [matrix, (x) => x.clamp(-0.5, 0.7)],
  ctc: [sounds, ctc([7, 7, 7], [3, 3, 3])],
  ctc_none: [sounds, ctc(null, null, { reduction: 'none', blank: 3 })],
  ctc_lengths: [sounds, ctc([7, 4, 5], [3, 0, 2])],
  ctc_sum: [sounds, ctc([7, 6, 5], [1, 2, 3], { reduction: 'sum' })],
  ctc_zero: [sounds, ctc([7, 2, 1], [3, 2, 2], { zeroInfinity: true })],
}

test('every answer has its case', () => expect(Object.keys(cases).sort()).toEqual(Object.keys(golden).sort()))

test.each(Object.keys(cases))('%s', (name) => {
  scope(() => {
    const [operands, op] = cases[name]!
    const { y, shape, g } = golden[name]!
    const inputs = operands()
    const result = op(...inputs)
    expectClose(read(result), { shape, data: y }, 1e-10, 1e-10, name)
    result.mul(tensor(Float64Array.from(values([...result.shape], 0.37)), { shape: result.shape })).sum().backward()
    inputs.forEach((x, i) => expectClose(read(x.grad!), { shape: x.shape, data: g[i]! }, 1e-9, 1e-9, `gradient ${i} of ${name}`))
  })
})
