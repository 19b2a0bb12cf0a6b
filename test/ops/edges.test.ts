// Ops at their thresholds and bounds, at 0, at infinities and beside NaN, against PyTorch's values and gradients (test/golden/make_edges.py).
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { grad, nn, scope, type Tensor, tensor } from '../../ts/index.js'
import { expectClose } from '../close.js'
import { numbers, read } from '../check.js'

/** Numbers, and as words those that JSON has none for. */
type Written = (number | 'NaN' | 'Infinity' | '-Infinity')[]
type Result = { y: Written; g: Written[] }
const golden = JSON.parse(readFileSync(new URL('../golden/edges.json', import.meta.url), 'utf8')) as Record<
  string,
  { inputs: Written[]; float64: Result; float32: Result }
>

const none = { reduction: 'none' } as const
const cases: Record<string, (...xs: any[]) => Tensor> = {
  nanToNum: (x: Tensor) => x.nanToNum(),
  nanToNumGiven: (x: Tensor) => x.nanToNum({ nan: 1, posinf: 2, neginf: -3 }),
  nanToNumSwapped: (x: Tensor) => x.nanToNum({ nan: Infinity, posinf: -Infinity, neginf: NaN }),
  xlogy: (x: Tensor, y: Tensor) => x.xlogy(y),
  klDivTarget: (z: Tensor, t: Tensor) => nn.klDiv(z, t, none),
  softplus: (x: Tensor) => x.softplus(),
  softplusSteep: (x: Tensor) => x.softplus(2, 1.5),
  softplusUsual: (x: Tensor) => x.softplus(4, 20),
  atan2: (a: Tensor, b: Tensor) => a.atan2(b),
  maximum: (a: Tensor, b: Tensor) => a.maximum(b),
  minimum: (a: Tensor, b: Tensor) => a.minimum(b),
  softshrink: (x: Tensor) => x.softshrink(),
  softshrinkZero: (x: Tensor) => x.softshrink(0),
  hardshrink: (x: Tensor) => x.hardshrink(),
  hardshrinkZero: (x: Tensor) => x.hardshrink(0),
  bce: (p: Tensor, t: Tensor) => nn.bce(p, t, none),
  cumprodZeros: (x: Tensor) => x.cumprod(0),
  cumprodZero: (x: Tensor) => x.cumprod(0),
  cumprodNaN: (x: Tensor) => x.cumprod(0),
  cumprodNaNAfterZero: (x: Tensor) => x.cumprod(0),
  cumprodNaNBeforeZero: (x: Tensor) => x.cumprod(0),
  cumprodNaNBehindZeros: (x: Tensor) => x.cumprod(0),
  cumprodInfinityAfterZero: (x: Tensor) => x.cumprod(0),
  cumprodColumns: (x: Tensor) => x.reshape([3, 2]).cumprod(0).reshape([-1]),
  hypot: (a: Tensor, b: Tensor) => a.hypot(b),
  clamp: (x: Tensor) => x.clamp(-0.5, 0.5),
  clampBelow: (x: Tensor) => x.clamp(-0.5),
  clampAbove: (x: Tensor) => x.clamp(null, 0.5),
  relu: (x: Tensor) => x.relu(),
  leakyRelu: (x: Tensor) => x.leakyRelu(),
  prelu: (x: Tensor, weight: Tensor) => x.prelu(weight),
  preluFinite: (x: Tensor, weight: Tensor) => x.prelu(weight),
  hardswish: (x: Tensor) => x.hardswish(),
  hardsigmoid: (x: Tensor) => x.hardsigmoid(),
}

test('every answer has its case', () => expect(Object.keys(cases).sort()).toEqual(Object.keys(golden).sort()))

const wanted = (values: Written) => ({ shape: [values.length], data: values.map(Number) })
/** Gradients that will be differentiated again are composed of other ops. Those of cumprod then have NaN behind a 0, in PyTorch too. */
const modes = (name: string): boolean[] => (name.startsWith('cumprod') ? [false] : [false, true])

test.each((['float64', 'float32'] as const).flatMap((dtype) => Object.keys(cases).map((name) => [name, dtype] as const)))(
  '%s, %s',
  (name, dtype) => {
    const { inputs, [dtype]: { y, g } } = golden[name]!
    const tolerance = dtype === 'float64' ? 1e-12 : 1e-6
    for (const createGraph of modes(name)) {
      scope(() => {
        const operands = inputs.map((values) => tensor(values.map(Number), { dtype, requiresGrad: true }))
        const result = cases[name]!(...operands)
        expectClose(read(result), wanted(y), tolerance, 0, name)
        grad([result.sum()], operands, { createGraph }).forEach((dx, i) =>
          expectClose(read(dx!), wanted(g[i]!), tolerance, 0, `gradient ${i} of ${name}${createGraph ? ', composed' : ''}`))
      })
    }
  },
)

test('nanToNum knows the largest number of each dtype, and leaves integers alone', () => {
  const infinite = [NaN, Infinity, -Infinity]
  // torch.nan_to_num in these dtypes
  expect(numbers(tensor(infinite, { dtype: 'float16' }).nanToNum())).toEqual([0, 65504, -65504])
  expect(numbers(tensor(infinite, { dtype: 'bfloat16' }).nanToNum())).toEqual([0, 3.3895313892515355e38, -3.3895313892515355e38])
  const whole = tensor([1, 2], { dtype: 'int32' }).nanToNum({ nan: 0.5 })
  expect([whole.dtype, numbers(whole)]).toEqual(['int32', [1, 2]])
})

test('hypot neither overflows nor vanishes at the ends of a dtype', () => {
  // torch.hypot
  expect(numbers(tensor([3e38, 1e-45, 1e38]).hypot(tensor([1e38, 0, 1e38])))).toEqual([3.1622777393197084e38, 1.401298464324817e-45, 1.4142135230892728e38])
  expect(numbers(tensor([1e300, 1e-320], { dtype: 'float64' }).hypot(tensor([1e300, 0], { dtype: 'float64' })))[1]).toBe(1e-320)
  expect(tensor([3], { dtype: 'int32' }).hypot(tensor([4], { dtype: 'int32' })).dtype).toBe('float32')
})

test('the gradient of cumprod of an infinite element is the product of the others', () => {
  const x = tensor([2, Infinity, 3], { requiresGrad: true })
  x.cumprod(0).sum().backward()
  expect(numbers(x.grad!)).toEqual([Infinity, 8, Infinity])
})

test('softshrink refuses a negative lambda', () => {
  expect(() => tensor([1]).softshrink(-1)).toThrow('softshrink: lambda must be at least 0, got -1.')
})
