import { expect, test } from 'vitest'
import { compile, device, IndexError, noGrad, NonFiniteError, nn, optim, OutOfMemoryError, scope, tensor, zeros } from '../../ts/index.js'
import { anomaly, run } from '../../ts/internal.js'

const bad = () => tensor([1, 2, 3]).indexSelect(0, tensor([0, 9], { dtype: 'int32' }))

test('an index out of range poisons what depends on it, and says which op', async () => {
  const y = bad().add(1).mul(2)
  await expect(y.data()).rejects.toThrow(IndexError)
  await expect(y.data()).rejects.toMatchObject({ op: 'indexSelect', code: 'ERR_INDEX' })
  expect(() => y.dataSync()).toThrow(IndexError)
  expect(await tensor([1]).add(1).item()).toBe(2)
})

test('device.sync rejects with a late error that nothing else reported, once', async () => {
  bad()
  await expect(device.sync()).rejects.toThrow(IndexError)
  await device.sync()
})

test('an in-place command with a poisoned operand leaves its target whole', async () => {
  const x = tensor([1, 2])
  run.assign(x, bad())
  expect([...await x.data()]).toEqual([1, 2])
  await expect(device.sync()).rejects.toThrow(IndexError)
})

test('a bad label changes no weight, no optimizer state and no running statistic, eager and captured', async () => {
  for (const captured of [false, true]) {
    const model = new nn.Sequential(new nn.Linear(4, 8), new nn.BatchNorm1d(8), new nn.ReLU(), new nn.Dropout(0.3), new nn.Linear(8, 3))
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.1 })
    const plain = (x: any, labels: any) => {
      const loss = nn.crossEntropy(model.forward(x), labels)
      loss.backward()
      optimizer.step()
      optimizer.zeroGrad()
      return loss.detach()
    }
    const step = captured ? compile(plain) : (x: any, labels: any) => scope(() => plain(x, labels))
    const x = tensor(Array.from({ length: 5 }, (_, i) => [i, 1, 2, -i]))
    const good = tensor([0, 1, 2, 0, 1], { dtype: 'int32' })
    await step(x, good).item()
    const state = async () => Promise.all([...Object.values(model.stateDict()), ...Object.values(optimizer.stateDict().tensors)].map(async (t) => [...await (t as any).data()]))
    const weights = async () => Promise.all(model.parameters().map(async (t) => [...await t.data()]))
    const before = captured ? await state() : await weights()
    await expect(step(x, tensor([0, 1, 7, 0, 1], { dtype: 'int32' })).item()).rejects.toThrow(/label/)
    expect(captured ? await state() : await weights()).toEqual(before)
    expect(Number.isFinite(await step(x, good).item())).toBe(true)
    expect(await weights()).not.toEqual(before)
  }
})

test('anomaly mode names the op and the layer that gave NaN', async () => {
  class Net extends nn.Module {
    encoder = new nn.Sequential(new nn.Linear(2, 2), new nn.ReLU())
    forward(x: any) { return this.encoder.forward(x.log()) }
  }
  const net = new Net()
  const before = anomaly(true)
  try {
    const y = noGrad(() => net.forward(tensor([[-1, 1]])))
    await expect(y.data()).rejects.toThrow(NonFiniteError)
  } finally {
    anomaly(before)
  }
})

test('memory that is refused is an error, and the library works on', async () => {
  device.limitMemory(device.memory().live + 2 ** 20)
  try {
    await expect(zeros([64, 1024, 1024]).data()).rejects.toThrow(OutOfMemoryError)
  } finally {
    device.limitMemory(0)
  }
  expect(await zeros([4]).add(1).sum().item()).toBe(4)
})
