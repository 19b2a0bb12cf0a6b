import { expect, test } from 'vitest'
import { tensor, grad, scope, device, compile, manualSeed, rand } from '../../ts/index.js'

test('ops run and gradients flow', async () => {
  const x = tensor([1, 2, 3], { requiresGrad: true })
  const y = x.mul(x).sum()
  y.backward()
  expect(await y.item()).toBe(14)
  expect([...(await x.grad!.data())]).toEqual([2, 4, 6])
})

test('second derivatives follow', async () => {
  const x = tensor([2], { requiresGrad: true })
  const y = x.mul(x).mul(x)
  const g = grad(y, x, { createGraph: true })
  const h = grad(g, x)
  expect(await g.item()).toBe(12)
  expect(await h.item()).toBe(12)
})

test('a compiled step gives the same as the plain one', async () => {
  const w = tensor([[1, 2], [3, 4]], { requiresGrad: true })
  const plain = (x: any) => { const l = x.matmul(w).relu().sum(); l.backward(); return l.detach() }
  const x = tensor([[1, -1], [2, 0.5]])
  const a = await plain(x).item()
  const ga = await w.grad!.tolist()
  w.grad = null
  const step = compile(plain)
  const b = await step(x).item()
  const gb = await w.grad!.tolist()
  expect(b).toBe(a)
  expect(gb).toEqual(ga)
  await step(x).item()
  expect(await w.grad!.tolist()).toEqual((ga as number[][]).map((r) => r.map((v) => 2 * v)))
  expect(step.programs).toBe(2)
})
