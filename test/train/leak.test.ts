// Training leaves nothing behind: native bytes flat, the process no larger.
import { expect, test } from 'vitest'
import { compile, nn, optim, scope, type Tensor, tensor, Trainer } from '../../ts/index.js'
import { settled } from '../settle.js'
import { classifier, clusters, floats } from './support.js'

/**
 * Runs `body` until the engine has compiled its code and sized its heap (some 20 MB in the first thousand steps), then for 2,000 steps, and
 * compares memory.
 */
async function flat(body: (steps: number) => Promise<void>): Promise<void> {
  await body(1000)
  const before = { held: await settled(), rss: process.memoryUsage.rss() }
  await body(2000)
  expect(await settled()).toEqual(before.held)
  expect(process.memoryUsage.rss() - before.rss).toBeLessThan(20 * 2 ** 20)
}

test('2,000 steps of fit', async () => {
  const model = classifier(0.1)
  const trainer = new Trainer(model, { loss: 'crossEntropy', metrics: ['accuracy', 'f1'] })
  const data = clusters(80)
  await flat(async (steps) => {
    await trainer.fit(data, { epochs: steps / 20, batchSize: 4, clipNorm: 1, verbose: false })
  })
})

test('2,000 steps of fit of which every tenth throws', async () => {
  const model = classifier(0.1)
  const trainer = new Trainer(model, { loss: 'crossEntropy', metrics: ['accuracy'] })
  const good = clusters(36)
  const bad = { ...good, labels: good.labels.map((label, i) => (i >= 32 ? 7 : label)) }
  await flat(async (steps) => {
    for (let i = 0; i < steps / 10; i++)
      await trainer.fit(bad, { batchSize: 4, shuffle: false, verbose: false }).then(
        () => {
          throw new Error('should reject')
        },
        (error: { code?: string }) => expect(error.code).toBe('ERR_INDEX'),
      )
  })
})

for (const compiled of [true, false]) {
  test(`2,000 steps of a ${compiled ? 'compiled' : 'scoped eager'} loop, every tenth with a bad label`, async () => {
    const model = classifier(0.1)
    const optimizer = new optim.Adam(model.parameters())
    const body = (x: Tensor, y: Tensor): Tensor => {
      const loss = nn.crossEntropy(model.forward(x) as Tensor, y)
      loss.backward()
      optimizer.step({ clipNorm: 1 })
      optimizer.zeroGrad()
      return loss.detach()
    }
    const step = compiled ? compile(body) : body
    const { inputs, labels } = clusters(8)
    const x = floats(inputs)
    const y = tensor(labels, { dtype: 'int32' })
    const bad = tensor(
      labels.map(() => 5),
      { dtype: 'int32' },
    )
    await flat(async (steps) => {
      for (let i = 0; i < steps; i++)
        await scope(() => step(x, i % 10 === 9 ? bad : y).item()).catch((error: { code?: string }) => expect(error.code).toBe('ERR_INDEX'))
    })
  })
}

test('predict and evaluate leave nothing behind', async () => {
  const trainer = new Trainer(classifier(), { loss: 'crossEntropy', metrics: ['accuracy', 'rocAuc'] })
  const { inputs, labels } = clusters(40)
  const x = floats(inputs)
  await flat(async (steps) => {
    for (let i = 0; i < steps / 20; i++) {
      ;(await trainer.predict(x, { batchSize: 4 })).dispose()
      await trainer.evaluate({ inputs, labels }, { batchSize: 4 })
      await trainer.predictClasses(x, { batchSize: 8 })
    }
  })
})
