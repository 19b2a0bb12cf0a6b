import { expect, test } from 'vitest'
import { device, nn, optim, randint, randn, tensor, zeros } from '../../ts/index.js'

// First: after a warning the next comes at four times the bytes.
test('many bytes outside any scope are warned of', async () => {
  const warnings: string[] = []
  const listen = (warning: Error & { code?: string }) => { if (warning.code === 'FERROGRAD_UNSCOPED') warnings.push(warning.message) }
  process.on('warning', listen)
  // Held, so that the collector cannot be quicker than the limit of 32 MiB is reached.
  const strays = Array.from({ length: 40 }, () => zeros([2 ** 18]))
  await new Promise((resolve) => setImmediate(resolve))
  process.off('warning', listen)
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toMatch(/^\d+ tensors outside any scope hold 3[2-9] MiB; [^]*scope\(\(\) => \.\.\.\)/)
  for (const stray of strays) stray.dispose()
})

test('2,000 eager steps without scopes that await once a step, every tenth failing, stay bounded', async () => {
  const model = new nn.Sequential(new nn.Linear(512, 512), new nn.ReLU(), new nn.Linear(512, 10))
  const optimizer = new optim.Adam(model.parameters(), { lr: 1e-3 })
  const x = randn([64, 512]), labels = randint(0, 10, [64]), bad = tensor(new Int32Array(64).fill(77))
  let base = 0, most = 0, failures = 0
  for (let i = 0; i < 2_000; i++) {
    const loss = nn.crossEntropy(model.forward(x), i % 10 === 9 ? bad : labels)
    loss.backward()
    optimizer.step()
    optimizer.zeroGrad()
    await loss.item().catch(() => failures++)
    // V8 and the allocator reach their size in the first steps.
    if (i === 100) base = process.memoryUsage().rss
    most = Math.max(most, process.memoryUsage().rss)
  }
  expect(failures).toBe(200)
  expect(most - base).toBeLessThan(300 * 2 ** 20)
  await device.sync().catch(() => {})
})
