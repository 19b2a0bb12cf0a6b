import { expect, test } from 'vitest'
import { tensor } from '../../ts/index.js'
import * as ops from '../../ts/ops/activation.js'
import { checkOp, numbers } from '../check.js'
import { build, erf, get, map } from '../reference.js'
import { checkUnary } from './cases.js'

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x))
const softplus = (x: number): number => (x > 20 ? x : Math.log1p(Math.exp(x)))
const clip = (x: number, low: number, high: number): number => Math.min(high, Math.max(low, x))

checkUnary('relu', ops.relu, (x) => Math.max(0, x), { rows: ['relu_grad'], integers: ['int32', 'int64', 'int8'] })
checkUnary('sigmoid', ops.sigmoid, sigmoid, { rows: ['sigmoid_grad'] })
checkUnary('logSigmoid', ops.logSigmoid, (x) => -Math.log1p(Math.exp(-x)))
checkUnary('silu', ops.silu, (x) => x * sigmoid(x), { rows: ['silu_grad'] })
checkUnary('mish', ops.mish, (x) => x * Math.tanh(softplus(x)), { rows: ['mish_grad'] })
checkUnary(
  'hardswish',
  (x) => ops.hardswish(x.mul(2.5)),
  (x) => (2.5 * x * clip(2.5 * x + 3, 0, 6)) / 6,
  { rows: ['hardswish_grad'] },
)
checkUnary(
  'hardsigmoid',
  (x) => ops.hardsigmoid(x.mul(2.5)),
  (x) => clip(2.5 * x + 3, 0, 6) / 6,
  { rows: ['hardsigmoid_grad'] },
)
checkUnary('softsign', ops.softsign, (x) => x / (1 + Math.abs(x)))
checkUnary('selu', ops.selu, (x) => 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * Math.expm1(x)))
checkUnary(
  'gelu',
  (x) => ops.gelu(x),
  (x) => (x / 2) * (1 + erf(x / Math.SQRT2)),
  { rows: ['gelu_grad'] },
)
checkUnary(
  'geluTanh',
  (x) => ops.gelu(x, 'tanh'),
  (x) => (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3))),
  { rows: ['gelu_tanh', 'gelu_tanh_grad'] },
)
checkUnary('softplus', (x) => ops.softplus(x), softplus, { rows: ['softplus_grad'] })
checkUnary(
  'softplusSteep',
  (x) => ops.softplus(x, 3, 4),
  (x) => (3 * x > 4 ? x : Math.log1p(Math.exp(3 * x)) / 3),
  { rows: ['softplus', 'softplus_grad'] },
)
checkUnary(
  'elu',
  (x) => ops.elu(x, 0.7),
  (x) => (x > 0 ? x : 0.7 * Math.expm1(x)),
  { rows: ['elu_grad'] },
)
checkUnary(
  'celu',
  (x) => ops.celu(x, 1.3),
  (x) => (x > 0 ? x : 1.3 * Math.expm1(x / 1.3)),
)
checkUnary(
  'leakyRelu',
  (x) => ops.leakyRelu(x, 0.2),
  (x) => (x > 0 ? x : 0.2 * x),
  { rows: ['leaky_relu_grad'] },
)
checkUnary(
  'relu6',
  (x) => ops.relu6(x.mul(4)),
  (x) => clip(4 * x, 0, 6),
)
checkUnary(
  'hardtanh',
  (x) => ops.hardtanh(x),
  (x) => clip(x, -1, 1),
)
checkUnary('tanhshrink', ops.tanhshrink, (x) => x - Math.tanh(x))
checkUnary(
  'softshrink',
  (x) => ops.softshrink(x),
  (x) => x - clip(x, -0.5, 0.5),
)
checkUnary(
  'hardshrink',
  (x) => ops.hardshrink(x),
  (x) => (Math.abs(x) > 0.5 ? x : 0),
)

checkOp('prelu', {
  op: ([x, w]) => ops.prelu(x!, w!),
  reference: ([x, w]) => map((x, w) => (x > 0 ? x : w * x), x!, w!),
  cases: [
    [[4], [1]],
    [[3, 4], [4]],
    [[2, 3, 4], [1]],
    [[2, 3, 4], [4]],
    [[1], []],
    [[0, 4], [4]],
    [[5, 1], [1]],
    [[2, 2, 2, 2], [2]],
  ].map((inputs) => ({ inputs })),
})

checkOp<number>('glu', {
  op: ([x], dim) => ops.glu(x!, dim),
  reference: ([x], dim) => {
    const d = dim < 0 ? dim + x!.shape.length : dim
    const half = x!.shape[d]! / 2
    return build(
      x!.shape.map((size, i) => (i === d ? half : size)),
      (index) =>
        get(x!, index) *
        sigmoid(
          get(
            x!,
            index.map((at, i) => (i === d ? at + half : at)),
          ),
        ),
    )
  },
  cases: [
    { inputs: [[4]], args: -1 },
    { inputs: [[2, 6]], args: 1 },
    { inputs: [[6, 2]], args: 0 },
    { inputs: [[2, 4, 3]], args: 1 },
    { inputs: [[2, 4, 3]], args: 1, layout: 'transposed' },
    { inputs: [[2, 4]], args: -1, layout: 'sliced' },
    { inputs: [[0, 4]], args: 1 },
    { inputs: [[2, 2, 2, 4]], args: 3 },
  ],
})

test('a ReLU at 0 has gradient 0', () => {
  const x = tensor([-1, 0, 2], { requiresGrad: true })
  x.relu().sum().backward()
  expect(numbers(x.grad!)).toEqual([0, 0, 1])
})

test('extreme values stay finite', () => {
  const x = tensor([-1000, 1000], { requiresGrad: true })
  for (const f of [ops.sigmoid, ops.silu, ops.mish, ops.logSigmoid, ops.gelu, ops.softplus, ops.selu]) {
    const y = f(x)
    y.sum().backward()
    expect(
      [...y.dataSync(), ...x.grad!.dataSync()].every((v) => Number.isFinite(Number(v))),
      f.name,
    ).toBe(true)
  }
})

test('messages', () => {
  expect(() => ops.gelu(tensor([1]), 'erf' as 'none')).toThrowErrorMatchingInlineSnapshot(
    `[ValueError: gelu: approximate is 'none' or 'tanh', got 'erf'.]`,
  )
  expect(() => ops.glu(tensor([[1, 2, 3], [0, 1, 0]]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: glu: dim -1 of [2, 3] has size 3, which has no two halves.
      Use a layer with an even number of outputs, or another dim.]
  `)
  expect(() => ops.glu(tensor(1))).toThrow(/^glu: dim -1 of \[\] has size 1/)
  expect(ops.glu(tensor([[1, 2, 3], [0, 1, 0]]), 0).shape).toEqual([1, 3])
})
