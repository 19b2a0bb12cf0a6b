import { expect, test } from 'vitest'
import { CaptureError, compile, manualSeed, nn, optim, scope, type Tensor, tensor } from '../../ts/index.js'

function batch(n: number, shift: number) {
  return {
    x: tensor(Array.from({ length: n }, (_, i) => [Math.sin(i + shift), Math.cos(i * 2 + shift), i % 3, 1])),
    labels: tensor(Array.from({ length: n }, (_, i) => (i + shift) % 3), { dtype: 'int32' }),
  }
}

function setup() {
  manualSeed(7)
  const model = new nn.Sequential(new nn.Linear(4, 16), new nn.BatchNorm1d(16), new nn.ReLU(), new nn.Dropout(0.25), new nn.Linear(16, 3))
  const optimizer = new optim.AdamW(model.parameters(), { lr: 0.05 })
  const step = (x: Tensor, labels: Tensor, update = true) => {
    const loss = nn.crossEntropy(model.forward(x), labels)
    loss.backward()
    if (update) {
      optimizer.step({ clipNorm: 1 })
      optimizer.zeroGrad()
    }
    return loss.detach()
  }
  return { model, optimizer, step }
}

const bits = async (tensors: Iterable<Tensor>) => Promise.all([...tensors].map(async (t) => Buffer.from((await t.data()).buffer).toString('hex')))

test('captured training equals eager training bit for bit', async () => {
  const results = []
  for (const captured of [false, true]) {
    const { model, optimizer, step } = setup()
    const run = captured ? compile(step) : (...args: Parameters<typeof step>) => scope(() => step(...args))
    const losses = []
    for (let i = 0; i < 24; i++) {
      if (i === 8) optimizer.groups[0]!.lr = 0.01
      if (i === 12) model.eval()
      if (i === 14) model.train()
      if (i === 16) (model as any).layers?.[0]?.requiresGrad_?.(false)
      const { x, labels } = batch(i % 6 === 5 ? 5 : 8, i)
      losses.push(await run(x, labels, i % 3 === 2).item())
    }
    results.push({ losses, weights: await bits(Object.values(model.stateDict())), state: await bits(Object.values(optimizer.stateDict().tensors)) })
    if (captured) expect((run as any).programs).toBeGreaterThan(3)
  }
  expect(results[1]).toEqual(results[0])
})

test('with check the plain function runs beside each replay', async () => {
  const { step } = setup()
  const run = compile(step, { check: true })
  for (let i = 0; i < 4; i++) {
    const { x, labels } = batch(8, i)
    expect(Number.isFinite(await run(x, labels).item())).toBe(true)
  }
})

test('eight programs are kept', async () => {
  const double = compile((x: Tensor) => x.mul(2))
  for (let n = 1; n <= 12; n++) expect(await double(tensor(new Float32Array(n).fill(1))).sum().item()).toBe(2 * n)
  expect(double.programs).toBe(8)
  expect(double.describe()).toMatch(/mul_scalar/)
})

test('reads, hooks and nested compiled functions are refused while recording, and nothing is left half recorded', async () => {
  expect(() => compile((x: Tensor) => { x.add(1).itemSync(); return x })(tensor([1]))).toThrow(CaptureError)
  const w = tensor([1], { requiresGrad: true })
  const remove = w.registerHook((g) => g.mul(2))
  const hooked = compile((x: Tensor) => { w.mul(x).sum().backward(); return x.add(1) })
  expect(() => hooked(tensor([1]))).toThrow(CaptureError)
  expect(w.grad).toBe(null)
  remove()
  expect(await hooked(tensor([1])).item()).toBe(2)
  expect(await w.grad!.item()).toBe(1)
  const inner = compile((x: Tensor) => x.add(1))
  expect(() => compile((x: Tensor) => inner(x))(tensor([1]))).toThrow(CaptureError)
  expect(await tensor([1]).add(1).item()).toBe(2)
})

test('arguments may be views, records and repeated', async () => {
  const f = compile(({ a, b }: { a: Tensor; b: Tensor }) => a.sub(b).sum())
  const x = tensor([[1, 2], [3, 4], [5, 6]])
  expect(await f({ a: x.at(1), b: x.at(0) }).item()).toBe(4)
  expect(await f({ a: x.at(2), b: x.at(2) }).item()).toBe(0)
  const same = x.at(1)
  expect(await f({ a: same, b: same }).item()).toBe(0)
  expect(await f({ a: x.at(2), b: x.at(0) }).item()).toBe(8)
})
