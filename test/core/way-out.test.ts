// What a user gets wrong, or does as another library has it, at the edges of scopes, captures and backward passes.
import { expect, test } from 'vitest'
import { CaptureError, checkpoint, compile, grad, noGrad, ScopeError, scope, ShapeError, tensor, type Tensor, ValueError, where } from '../../ts/index.js'
import { Trainer } from '../../ts/train/index.js'
import { nn } from '../../ts/index.js'

const leaf = (values: number[]) => tensor(values, { requiresGrad: true })

test('backward takes its options alone, as its own message says', async () => {
  const x = leaf([1, 2])
  const y = x.square().sum()
  y.backward({ retainGraph: true })
  y.backward(null, { retainGraph: true })
  y.backward(tensor(1))
  expect(await x.grad!.data()).toEqual(new Float32Array([6, 12]))
  expect(() => y.backward()).toThrow(ScopeError)
  expect(() => x.square().sum().backward({ retainGraf: true } as never)).toThrow(/retainGraf.*Did you mean 'retainGraph'/)
  expect(() => x.square().sum().backward([1] as never)).toThrow(ValueError)
  expect(() => grad(x.square().sum(), [x], { createGrap: true } as never)).toThrow(/createGraph/)
})

test('ops whose size depends on values cannot be compiled, and say so at once', async () => {
  const x = tensor([1, 0, 2])
  const ops: [string, (x: Tensor) => unknown][] = [
    ['nonzero', (x) => x.nonzero()],
    ['unique', (x) => x.unique()],
    ['maskedSelect', (x) => x.maskedSelect(x.gt(0))],
    ['at', (x) => x.at(x.gt(0) as Tensor<'bool'>)],
  ]
  for (const [op, call] of ops) {
    const step = compile((x: Tensor) => { call(x); return x.add(1) })
    expect(() => step(x), op).toThrow(CaptureError)
    expect(() => step(x), op).toThrow(`${op}: the size of its result depends on values`)
  }
  const bounded = compile((x: Tensor) => x.nonzero({ size: 3 }))
  expect(await bounded(x).tolist()).toEqual([[0], [2], [-1]])
  expect(await (await x.at(x.gt(0) as Tensor<'bool'>)).tolist()).toEqual([1, 2])
})

test('anything that can be awaited counts as a promise', () => {
  const thenable = () => ({ then: (done: (value: number) => void) => done(1) })
  expect(() => scope(thenable)).toThrow(ScopeError)
  expect(() => noGrad(thenable)).toThrow(ScopeError)
  expect(() => compile(thenable)()).toThrow(CaptureError)
})

test('checkpoint takes a function of tensors that gives one tensor', () => {
  const x = leaf([1, 2])
  expect(() => checkpoint((async (x: Tensor) => x.mul(2)) as never, x)).toThrow(ScopeError)
  expect(() => checkpoint((x: Tensor) => Promise.resolve(x) as never, x)).toThrow(ScopeError)
  expect(() => checkpoint((x: Tensor) => [x.mul(2), x.mul(3)] as never, x)).toThrow(/one tensor, got an array/)
  expect(() => noGrad(() => checkpoint(() => 3 as never, x))).toThrow(ValueError)
  expect(() => checkpoint((x: Tensor) => x, 3 as never)).toThrow(ValueError)
})

test('a loss of one\'s own that cannot be trained with', async () => {
  const set = { inputs: tensor([[1], [2]]), labels: tensor([[1], [2]]) }
  const fit = (loss: (output: Tensor, labels: Tensor) => never) => new Trainer(new nn.Linear(1, 1), { loss }).fit(set, { epochs: 1, verbose: false } as never)
  await expect(fit((async (o: Tensor) => o.mean()) as never)).rejects.toThrow(/a promise: a loss cannot await/)
  await expect(fit((() => undefined) as never)).rejects.toThrow(/got undefined/)
  await expect(fit(((o: Tensor) => o) as never)).rejects.toThrow(ShapeError)
})

test('operands without dimensions count only where their category is higher, as in PyTorch', () => {
  const dtype = (a: Tensor, b: Tensor) => [a.add(b).dtype, b.mul(a).dtype, where(tensor(true), a, b).dtype]
  const [double, whole] = [tensor(1, { dtype: 'float64' }), tensor(1, { dtype: 'int64' })]
  expect(dtype(double, tensor([1.5]))).toEqual(['float32', 'float32', 'float32'])
  expect(dtype(double, tensor([1], { dtype: 'bfloat16' }))).toEqual(['bfloat16', 'bfloat16', 'bfloat16'])
  expect(dtype(double, tensor([1], { dtype: 'int32' }))).toEqual(['float64', 'float64', 'float64'])
  expect(dtype(whole, tensor([1], { dtype: 'uint8' }))).toEqual(['uint8', 'uint8', 'uint8'])
  expect(dtype(whole, tensor([true]))).toEqual(['int64', 'int64', 'int64'])
  expect(dtype(double, tensor(1.5))).toEqual(['float64', 'float64', 'float64'])
})
