import { expect, test } from 'vitest'
import { compile, device, manualSeed, nn, noGrad, optim, rand, scope, type Tensor } from '../../ts/index.js'

/** Kernels keep packed copies of weights that are used again and again; nobody may ever see an old one. */
const layers: [string, () => nn.Module, number[]][] = [
  ['linear', () => new nn.Linear(130, 70), [40, 130]],
  ['linear, many rows', () => new nn.Linear(64, 96), [200, 64]],
  ['conv2d', () => new nn.Conv2d(3, 40, 3), [2, 9, 9, 3]],
  ['conv2d in groups', () => new nn.Conv2d(8, 16, 3, { groups: 2, stride: 2 }), [2, 9, 9, 8]],
  ['conv2d by Winograd', () => new nn.Conv2d(32, 36, 3, { padding: 1 }), [2, 12, 12, 32]],
  ['conv2d and pooling', () => new nn.Sequential(new nn.Conv2d(32, 32, 3), new nn.ReLU(), new nn.MaxPool2d(2)), [3, 12, 12, 32]],
]

test.each(layers)('%s: what is written shows in the next result', async (_, make, shape) => {
  manualSeed(3)
  const [model, other, x] = [make(), make(), rand(shape)]
  const values = async (of: nn.Module) => scope(() => noGrad(() => of.forward(x).data()))
  /** The same weights in a model whose kernels have kept nothing. */
  const fresh = async () => {
    const twin = make()
    twin.loadStateDict(model.stateDict())
    return values(twin)
  }
  const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 })
  const train = () => {
    const loss = model.forward(x).square().mean()
    loss.backward()
    optimizer.step()
    optimizer.zeroGrad()
  }
  const replayed = compile(train)
  const changes: (() => unknown)[] = [
    () => scope(train),
    () => scope(replayed),
    () => model.loadStateDict(other.stateDict()),
    () => scope(() => nn.init.uniform([...model.parameters()][0] as Tensor)),
  ]
  for (const change of [...changes, ...changes]) {
    // Three times: the third finds a copy.
    const before = [await values(model), await values(model), await values(model)]
    expect(before[2]).toEqual(before[0])
    await change()
    expect(await values(model)).not.toEqual(before[0])
    expect(await values(model)).toEqual(await fresh())
    expect(await values(model)).toEqual(await fresh())
  }
})

test('copies are of a view, not of its whole storage', async () => {
  const [x, both] = [rand([64, 48]), rand([2, 48, 80])]
  const product = async (w: Tensor) => scope(() => x.matmul(w).data())
  const want = [await product(both.at(0).contiguous()), await product(both.at(1).contiguous())]
  for (let i = 0; i < 4; i++) for (const half of [0, 1]) expect(await product(both.at(half))).toEqual(want[half])
  const turned = await product(both.at(1).transpose(0, 1).contiguous().transpose(0, 1))
  for (let i = 0; i < 3; i++) expect(await product(both.at(1))).toEqual(turned)
})

test('copies go with their tensor', async () => {
  await device.sync()
  const x = rand([64, 512])
  // The stream's scratch memory stays: it grows to its size before anything is counted.
  await scope(() => x.matmul(rand([512, 512])).data())
  await device.sync()
  const before = device.memory().live
  const w = rand([512, 512])
  for (let i = 0; i < 3; i++) await scope(() => x.matmul(w).data())
  const kept = device.memory().live
  w.dispose()
  await device.sync()
  expect(kept - before).toBeGreaterThanOrEqual(2 * 512 * 512 * 4)
  expect(device.memory().live).toBeLessThan(before + 512 * 512)
})
