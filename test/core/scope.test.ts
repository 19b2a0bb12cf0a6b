import { expect, test, vi } from 'vitest'
import { compile, DisposedError, keep, nn, noGrad, Scope, scope, ScopeError, tensor, VersionError, CaptureError } from '../../ts/index.js'
import { run } from '../../ts/internal.js'
import { held, settled } from '../settle.js'

test('a scope frees all but what leaves it', async () => {
  const { tensors } = await settled()
  let lost: any
  const [a, { b }] = scope(() => {
    lost = tensor([1]).add(1)
    const kept = keep(tensor([3]))
    return [tensor([1]).add(1), { b: kept }] as const
  })
  expect((await held()).tensors).toBe(tensors + 2)
  expect(await a.item()).toBe(2)
  expect(await b.item()).toBe(3)
  expect(() => lost.add(1)).toThrow(DisposedError)
  await expect(async () => lost.data()).rejects.toThrow(DisposedError)
  a.dispose()
  b.dispose()
  expect((await held()).tensors).toBe(tensors)
})

test('a promise of a read may leave a scope, others may not', async () => {
  expect(await scope(() => tensor([1, 2]).sum().item())).toBe(3)
  expect(() => scope(() => Promise.resolve(1))).toThrow(ScopeError)
  for (const take of [scope, noGrad] as ((fn: () => unknown) => unknown)[]) expect(() => take(async () => 1)).toThrow(ScopeError)
  expect(() => noGrad(() => Promise.resolve(1))).toThrow(ScopeError)
  expect(() => compile(async () => tensor([1]))).toThrow(CaptureError)
  expect(() => compile(() => Promise.resolve(1) as any)()).toThrow(CaptureError)
})

test('leaving scopes out of order throws', () => {
  const outer = new Scope()
  const inner = new Scope()
  expect(() => outer.close()).toThrow(ScopeError)
  inner.close()
  outer.close()
})

test('a scope left open across an await is reported and closed', async () => {
  const warned = vi.spyOn(process, 'emitWarning').mockImplementation(() => {})
  const left = new Scope()
  const t = tensor([1])
  await Promise.resolve()
  expect(left.isOpen).toBe(false)
  expect(t.disposed).toBe(true)
  expect(warned).toHaveBeenCalledWith(expect.stringContaining('left open across an await'), expect.anything())
  warned.mockRestore()
})

test('the tape keeps what backward needs past the scope and past dispose', async () => {
  const x = tensor([1, 2, 3], { requiresGrad: true })
  const loss = scope(() => {
    const y = x.mul(2).exp()
    const out = y.mul(y).sum()
    y.dispose()
    return out
  })
  loss.backward()
  const expected = [1, 2, 3].map((v) => 4 * Math.exp(4 * v))
  ;[...(await x.grad!.data() as Float32Array)].forEach((g, i) => expect(g / expected[i]!).toBeCloseTo(1, 5))
})

test('a graph that is never run backwards is freed with its scope', async () => {
  const x = tensor(new Float32Array(1 << 16), { requiresGrad: true })
  const before = await settled()
  for (let i = 0; i < 20; i++) scope(() => { x.mul(2).exp().mul(3).exp() })
  expect(await held()).toEqual(before)
})

test('composed losses whose backward never runs are freed too: without backward, after a throw, and when kept and collected', async () => {
  const model = new nn.Sequential(new nn.Linear(64, 64), new nn.Tanh(), new nn.Linear(64, 10))
  const x = tensor(new Float32Array(32 * 64).fill(0.1), { shape: [32, 64] })
  const labels = tensor(new Int32Array(32))
  const steps: (() => unknown)[] = [
    () => scope(() => nn.crossEntropy(model.forward(x), labels).item()),
    () => { try { scope(() => { nn.crossEntropy(model.forward(x), labels); throw new Error('mine') }) } catch {} },
    () => scope(() => { nn.mse(model.forward(x), model.forward(x).detach()); nn.crossEntropy(model.forward(x), labels).backward(undefined, { retainGraph: true }) }),
    () => { const s = new Scope(); nn.crossEntropy(model.forward(x), labels); s.close() },
  ]
  for (const step of steps) {
    // Twice: weights that are used a second time without being written stay packed.
    for (let i = 0; i < 2; i++) await step()
    model.zeroGrad()
    const before = await settled()
    for (let i = 0; i < 20; i++) {
      await step()
      model.zeroGrad()
    }
    expect(await held()).toEqual(before)
  }
})

test('backward refuses a saved tensor that was changed in place', () => {
  const x = tensor([1, 2], { requiresGrad: true })
  const y = tensor([3, 4])
  const z = x.mul(y).sum()
  run.assign(y, tensor([5, 6]))
  expect(() => z.backward()).toThrow(VersionError)
})

test('backward twice needs retainGraph', async () => {
  const x = tensor([2], { requiresGrad: true })
  const y = x.mul(x)
  y.backward(undefined, { retainGraph: true })
  y.backward()
  expect(await x.grad!.item()).toBe(8)
  expect(() => y.backward()).toThrow(/retainGraph/)
})
