import { expect, test } from 'vitest'
import { arange, checkpoint, customFunction, device, eye, grad, manualSeed, NoGradientError, noGrad, nn, rand, ShapeError, type Tensor, tensor } from '../../ts/index.js'

test('a custom function has its own gradient', async () => {
  const clip = customFunction({ forward: (x) => ({ output: x.clamp(-1, 1), saved: [x] }), backward: (dy, x) => dy.mul(x!.abs().le(1).to('float32')).mul(10) })
  const x = tensor([-2, 0.5, 3], { requiresGrad: true })
  clip(x).sum().backward()
  expect([...await x.grad!.data()]).toEqual([0, 10, 0])
})

test('hooks see and replace gradients, of leaves and of results', async () => {
  const x = tensor([1, 2], { requiresGrad: true })
  const y = x.mul(3)
  const seen: Promise<unknown>[] = []
  y.registerHook((g) => { seen.push(g.tolist()); return g.mul(2) })
  const remove = x.registerHook((g) => g.add(1))
  y.sum().backward()
  expect(await seen[0]).toEqual([1, 1])
  expect([...await x.grad!.data()]).toEqual([7, 7])
  remove()
})

test('a checkpoint gives the same gradients with dropout inside, and fewer saved tensors', async () => {
  const results = []
  for (const checkpointed of [false, true]) {
    manualSeed(3)
    const layer = new nn.Sequential(new nn.Linear(4, 8), new nn.Tanh(), new nn.Dropout(0.5), new nn.Linear(8, 2))
    const x = tensor([[1, 2, 3, 4], [4, 3, 2, 1]], { requiresGrad: true })
    const y = checkpointed ? checkpoint((h) => layer.forward(h), x) : layer.forward(x)
    y.square().sum().backward()
    results.push(await Promise.all([x, ...layer.parameters()].map((p) => p.grad!.tolist())))
  }
  expect(results[1]).toEqual(results[0])
})

test('a checkpoint counts a batch once in running statistics', async () => {
  const results = []
  for (const checkpointed of [false, true]) {
    manualSeed(3)
    const layer = new nn.Sequential(new nn.BatchNorm1d(3), new nn.Linear(3, 2), new nn.BatchNorm1d(2))
    const x = tensor([[1, 2, 3], [4, 3, 2], [0, 1, 5]], { requiresGrad: true })
    const y = checkpointed ? checkpoint((h) => checkpoint((g) => layer.forward(g), h), x) : layer.forward(x)
    y.square().sum().backward()
    results.push(await Promise.all([x.grad!, ...layer.parameters().map((p) => p.grad!), ...layer.buffers()].map((t) => t.tolist())))
  }
  expect(results[1]).toEqual(results[0])
})

test('the same gradient for two leaves is freed apart', async () => {
  const [a, b] = [tensor([1], { requiresGrad: true }), tensor([2], { requiresGrad: true })]
  a.add(b).sum().backward()
  a.grad = null
  expect(await b.grad!.item()).toBe(1)
})

test('what has no gradient says so', () => {
  expect(() => tensor([1]).sum().backward()).toThrow(NoGradientError)
  const x = tensor([1, 2], { requiresGrad: true })
  expect(() => x.mul(2).backward()).toThrow(ShapeError)
  expect(() => noGrad(() => x.mul(2).sum()).backward()).toThrow(NoGradientError)
  expect(() => grad(x.sum(), [tensor([1], { requiresGrad: true })])).toThrow(NoGradientError)
  expect(() => { x.mul(2).requiresGrad = false }).toThrow(/detach/)
  expect(() => tensor([1], { dtype: 'int32' }).requiresGrad = true).toThrow(/float32/)
})

test('a tensor is neither a number nor JSON', () => {
  const x = tensor([1])
  expect(() => `${x as any}` + (x as any)).toThrow(/item/)
  expect(() => JSON.stringify(x)).toThrow(/tolist/)
  expect((x as any).then).toBe(undefined)
})

test('the wrong kind of argument is named', () => {
  const x = tensor([1, 2]) as any
  expect(() => x.mul(undefined)).toThrow(/^mul: b must be a tensor, got undefined/)
  expect(() => x.add([1, 2])).toThrow(/^add: b must be a tensor, got \[1, 2\]/)
  expect(() => x.softmax({})).toThrow(/^softmax: cannot take the object/)
  expect(() => x.softmax(0.5)).toThrow(/^softmax: dim/)
  expect(() => eye(1.5)).toThrow(/^eye: the shape \[1.5, 1.5\] has a size that is no whole number/)
  expect(() => arange(2 ** 32 + 5)).toThrow(/^arange: the value 4294967300 does not fit int32/)
  expect(() => x.sum('all')).toThrow(/^sum: /)
  expect(() => new nn.Linear(2, 2).forward(undefined as any)).toThrow(/^Linear.forward: cannot work with \(undefined\)/)
})

test('a gradient that was freed says by what, and a clone of it lives on', async () => {
  for (const forget of [
    (layer: nn.Linear) => layer.zeroGrad(),
    (layer: nn.Linear, step: () => void) => step(),
    (layer: nn.Linear) => { layer.weight.grad = null },
  ]) {
    const layer = new nn.Linear(2, 1)
    const step = (): void => layer.forward(tensor([[1, 2]])).sum().backward()
    step()
    const [gradient, copy] = [layer.weight.grad!, layer.weight.grad!.clone()]
    forget(layer, step)
    // Whether it rejects or throws is the call's affair.
    await expect((async () => gradient.data())()).rejects.toThrow(/this gradient \[1, 2\] was freed by zeroGrad\(\)[^]*p\.grad\.clone\(\)/)
    expect(() => gradient.mul(2)).toThrow(/A \.grad is freed by zeroGrad\(\)[^]*p\.grad\.clone\(\)/)
    expect(await copy.tolist()).toEqual([[1, 2]])
  }
})

test('grad computes what its inputs need, and nothing below or beside them', async () => {
  const [x, w, v] = [[3, 4], [4, 5], [5, 2]].map((shape) => rand(shape, { requiresGrad: true })) as [Tensor, Tensor, Tensor]
  const products = async (inputs: (hidden: Tensor) => Tensor | Tensor[]): Promise<number> => {
    const hidden = x.matmul(w)
    const y = hidden.tanh().matmul(v).sum()
    const { rows } = await device.profile(async () => { for (const g of [grad(y, [inputs(hidden)].flat())].flat()) await g!.data() })
    return rows.filter(({ op }) => op === 'matmul').reduce((sum, { calls }) => sum + calls, 0)
  }
  expect(await products(() => v)).toBe(1)
  expect(await products((hidden) => hidden)).toBe(1)
  expect(await products(() => x)).toBe(2)
  expect(await products(() => w)).toBe(2)
  expect(await products(() => [x, w, v])).toBe(4)
  // What is left out of the first pass is there for the next.
  const [half, loss] = [x.matmul(w).tanh(), () => half.matmul(v).sum()]
  expect(grad(loss(), v).shape).toEqual([5, 2])
  expect(grad(loss(), x).shape).toEqual([3, 4])
})

test('grad finds a parameter that a checkpoint uses', async () => {
  const layer = new nn.Linear(3, 2)
  const x = tensor([[1, 2, 3]], { requiresGrad: true })
  const [direct, checkpointed] = [layer.forward(x), checkpoint((h) => layer.forward(h), x)].map((y) => grad(y.square().sum(), layer.weight))
  expect(await checkpointed!.tolist()).toEqual(await direct!.tolist())
})
