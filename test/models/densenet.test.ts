import { describe, expect, it } from 'vitest'
import { compile, manualSeed, models, nn, optim, randn, scope, type Tensor, tensor } from '../../ts/index.js'
import { held, settled } from '../settle.js'

const small = { growthRate: 4, blockConfig: [3, 2], numInitFeatures: 8 }
const model = (memoryEfficient: boolean, options: models.DenseNetOptions = small): models.DenseNet => {
  manualSeed(3)
  return models.densenet({ ...options, memoryEfficient })
}
const batch = (): { x: Tensor; y: Tensor } => {
  manualSeed(4)
  return { x: randn([4, 8, 8, 3]), y: tensor(Int32Array.from([1, 0, 3, 9])) }
}
const numbers = async (tensors: readonly Tensor[]): Promise<number[][]> => Promise.all(tensors.map(async (t) => Array.from((await t.data()) as Float32Array, Number)))

describe('memory-efficient', () => {
  it.each([0, 0.3])('gives the bits of the plain way: logits, gradients, running statistics (dropRate %d)', async (dropRate) => {
    const results = []
    for (const memoryEfficient of [false, true]) {
      const net = model(memoryEfficient, { ...small, dropRate })
      const { x, y } = batch()
      const logits = net.forward(x)
      nn.crossEntropy(logits, y).backward()
      results.push(await numbers([logits, ...net.parameters().map((p) => p.grad!), ...net.buffers()]))
    }
    expect(results[1]).toEqual(results[0])
    expect(results[0]!.flat().every(Number.isFinite)).toBe(true)
  })

  it('trains compiled as eager', async () => {
    const results = []
    for (const compiled of [false, true]) {
      const net = model(true)
      const optimizer = new optim.SGD(net.parameters(), { lr: 0.1, momentum: 0.9 })
      const body = (x: Tensor, y: Tensor): Tensor => {
        const loss = nn.crossEntropy(net.forward(x), y)
        loss.backward()
        optimizer.step()
        optimizer.zeroGrad()
        return loss.detach()
      }
      const step = compiled ? compile(body) : (x: Tensor, y: Tensor) => scope(() => body(x, y))
      const { x, y } = batch()
      const losses = []
      for (let i = 0; i < 4; i++) losses.push(await step(x, y).item())
      results.push([losses, await numbers([...net.parameters(), ...net.buffers()])])
    }
    expect(results[1]).toEqual(results[0])
  })

  it('holds memory linear in the depth, where layer by layer the plain way grows with its square', async () => {
    const kept = async (layers: number, memoryEfficient: boolean, dropRate: number): Promise<number> => {
      const net = model(memoryEfficient, { growthRate: 8, blockConfig: [layers], numInitFeatures: 8, bnSize: 1, dropRate })
      const x = randn([2, 16, 16, 3])
      const before = (await settled()).bytes
      const logits = scope(() => net.forward(x))
      const { bytes } = await held()
      logits.sum().backward()
      return bytes - before
    }
    // With dropout layers run one by one.
    const [plain, twicePlain] = [await kept(12, false, 0.1), await kept(24, false, 0.1)]
    const [efficient, twiceEfficient] = [await kept(12, true, 0.1), await kept(24, true, 0.1)]
    expect(twicePlain / plain).toBeGreaterThan(3)
    expect(twiceEfficient / efficient).toBeLessThan(2.1)
    expect(twicePlain / twiceEfficient).toBeGreaterThan(5)
    const [block, twiceBlock] = [await kept(12, false, 0), await kept(24, false, 0)]
    const [least, twiceLeast] = [await kept(12, true, 0), await kept(24, true, 0)]
    expect(twiceBlock / block).toBeLessThan(2.1)
    expect(twiceLeast / least).toBeLessThan(2.1)
    expect(twiceBlock / twiceLeast).toBeGreaterThan(1.3)
  })
})
