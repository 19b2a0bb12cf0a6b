// What a user gets wrong, or does as another library has it, at the edges of scopes, captures and backward passes.
import { expect, test } from 'vitest'
import { CaptureError, checkpoint, compile, concat, DeviceError, grad, noGrad, ScopeError, scope, ShapeError, tensor, type Tensor, ValueError, where, zeros } from '../../ts/index.js'
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

test('tensors on several devices are listed with their shapes', () => {
  const [x, meta] = [zeros([2, 3]), zeros([3], { device: 'meta' })]
  expect(() => x.add(meta)).toThrowErrorMatchingInlineSnapshot(`
    [DeviceError: add: the tensors are on different devices: [2, 3] on cpu, [3] on meta.
      Make all of them on one; what is on meta has a shape but no values to move.]
  `)
  expect(() => concat([x, zeros([2, 3], { device: 'meta' })])).toThrow(/^concat: the tensors are on different devices: \[2, 3\] on cpu, \[2, 3\] on meta\./)
  expect(() => x.layerNorm([3], { weight: meta })).toThrow(/different devices: \[2, 3\] on cpu, \[3\] on meta/)
})

test('to takes a dtype or a device, and knows PyTorch\'s other names', () => {
  const x = zeros([2]) as any
  expect(() => x.to('float')).toThrowErrorMatchingInlineSnapshot(`
    [DeviceError: to: "float" is neither a dtype nor a device. Did you mean 'float32'?
      The dtypes are float32, float64, bfloat16, float16, int64, int32, uint8, int8, bool, the devices cpu, meta and cuda:0.]
  `)
  for (const [word, dtype] of [['double', 'float64'], ['half', 'float16'], ['long', 'int64'], ['flaot32', 'float32']]) {
    expect(() => x.to(word)).toThrow(`Did you mean '${dtype}'?`)
    expect(() => new nn.Linear(1, 1).to(word as never)).toThrow(`Did you mean '${dtype}'?`)
    if (word !== 'flaot32') expect(() => zeros([2], { dtype: word as never })).toThrow(`Did you mean '${dtype}'?`)
  }
  for (const none of [undefined, null, 3, 'gpu']) expect(() => x.to(none)).toThrow(DeviceError)
  expect(() => x.to('gpu')).not.toThrow(/Did you mean/)
  expect(() => x.to('cuda')).toThrow(/^cuda is not available: .*[^.]\.$/)
})

test('errors name what was called, not what it is made of', () => {
  const x = zeros([0, 2]) as any
  expect(() => x.max()).toThrow(/^max: no elements/)
  expect(() => x.min()).toThrow(/^min: no elements/)
  expect(() => x.max(0)).toThrow(/^max: no elements/)
  expect(() => x.min(0)).toThrow(/^min: no elements/)
  for (const read of ['item', 'itemSync', 'tolist', 'data', 'dataSync'] as const) {
    expect(() => compile((x: Tensor) => x[read]())(tensor(1)), read).toThrow(new RegExp(`^${read}: reading values is not possible`))
    expect(() => zeros([1], { device: 'meta' })[read](), read).toThrow(new RegExp(`^${read}: a tensor on the meta device`))
  }
})

test('compile with check says what a difference comes from', () => {
  let factor = 0
  expect(() => compile((x: Tensor) => x.mul(++factor), { check: true })(tensor([1]))).toThrowErrorMatchingInlineSnapshot(`
    [CaptureError: compile: with check, output 0 differs between the captured and the plain run.
      The function depends on what a recording cannot see, such as a counter or a variable around it: pass it as an argument, or hold it in a module's field.]
  `)
})

test('a hook returns a tensor of the gradient\'s shape, or nothing', async () => {
  const backward = (hook: unknown) => () => {
    const x = leaf([1, 2])
    x.registerHook(hook as never)
    x.sum().backward()
  }
  expect(backward(() => 5)).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: registerHook: a hook returns the tensor that takes the gradient's place, or nothing; got 5.
      Compute with the gradient, as in (g) => g.mul(2). A hook cannot be async.]
  `)
  expect(backward(async (g: Tensor) => g)).toThrow(/^registerHook: a hook returns the tensor .* got Promise\./)
  expect(backward(() => zeros([3]))).toThrow(/^registerHook: a hook returned \[3\] for a gradient \[2\]/)
  expect(backward('twice')).toThrow(/^registerHook: takes a function of the gradient, got string/)
  for (const nothing of [undefined, null]) expect(backward(() => nothing)).not.toThrow()
})
