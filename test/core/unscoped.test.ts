import { expect, test } from 'vitest'
import { data, device, nn, optim, OutOfMemoryError, randint, randn, tensor, type Tensor, zeros } from '../../ts/index.js'
import { native } from '../../ts/native.js'

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/**
 * The warnings that come while `make` runs and after it, until there are `wanted` (which the test's time bounds) and for a moment more; what
 * it gives is held until then.
 */
async function warningsOf(make: () => unknown, wanted = 0): Promise<string[]> {
  const warnings: string[] = []
  const listen = (warning: Error & { code?: string }) => { if (warning.code === 'FERROGRAD_UNSCOPED') warnings.push(warning.message) }
  process.on('warning', listen)
  const held = await make()
  await device.sync().catch(() => {})
  while (warnings.length < wanted) await pause(10)
  await pause(500)
  process.off('warning', listen)
  for (const stray of [held].flat() as Partial<Tensor>[]) stray?.dispose?.()
  return warnings
}
/** So many tensors of a MiB. */
const pile = (count: number): Tensor[] => Array.from({ length: count }, () => zeros([2 ** 18]))

// These come before the first warning, which is the last for some time.
test('a few large tensors, data sets and memory that was refused are not warned of', async () => {
  expect(await warningsOf(() => [zeros([40 * 2 ** 18]), ...Array.from({ length: 100 }, () => zeros([4]))])).toEqual([])
  const sets = Array.from({ length: 20 }, () => data.dataset({ inputs: new Float32Array(2 ** 20), inputShape: [2 ** 10], labels: new Int32Array(2 ** 10) }))
  expect(await warningsOf(() => { for (const { inputs, labels } of sets) expect(inputs.shape[0]).toBe(labels.shape[0]) })).toEqual([])
  expect(device.memory().live).toBeGreaterThan(80 * 2 ** 20)
  for (const set of sets) set.dispose()
  // 149 GiB, held while others are made.
  expect(await warningsOf(async () => {
    const refused = zeros([200_000, 200_000])
    await expect(refused.sum().item()).rejects.toThrow(OutOfMemoryError)
    // No array of JavaScript's could take its values either.
    expect(() => refused.data()).toThrow(OutOfMemoryError)
    return [refused, ...Array.from({ length: 200 }, () => zeros([4]))]
  })).toEqual([])
})

test('many bytes outside any scope are warned of, once until they are four times as many', async () => {
  // Held, so that the collector cannot be quicker than the limit of 32 MiB is reached.
  const warnings = await warningsOf(async () => {
    // The device is busy with something else for longer than the first looks take.
    const gate = native.gate()
    const held = pile(60)
    await pause(1000)
    native.openGate(gate)
    return held
  }, 1)
  expect(warnings).toHaveLength(1)
  expect(warnings[0]).toMatch(/^\d+ tensors outside any scope hold \d+ MiB; [^]*scope\(\(\) => \.\.\.\)/)
  expect(await warningsOf(() => pile(110))).toEqual([])
  expect(await warningsOf(() => pile(400), 1)).toHaveLength(1)
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
