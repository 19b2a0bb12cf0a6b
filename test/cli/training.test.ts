// What `ferrograd train` runs, in this process.
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { earlierRun } from '../../ts/cli/checkpoints.js'
import { runTraining } from '../../ts/cli/training.js'
import { data } from '../../ts/index.js'

const folder = await mkdtemp(join(tmpdir(), 'ferrograd-training-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

it('--validation 0 trains on all images, without validation', async () => {
  const digits = await data.digits()
  const small = (part: data.Dataset): data.Dataset => part.subset(Array.from({ length: 60 }, (_, i) => i))
  const images = { name: 'digits', train: small(digits.train), test: small(digits.test) }
  const run = async (validation: number): Promise<Record<string, unknown>> => {
    const out = join(folder, String(validation))
    const options = { model: 'mlp', data: 'digits', epochs: 1, batchSize: 30, lr: 0.01, optimizer: 'adam', validation, augment: false, size: 32, seed: 0 }
    const { history } = await runTraining({ data: images, options, out, signal: new AbortController().signal })
    expect(await readFile(join(out, 'report.svg'), 'utf8')).toContain('Accuracy by epoch')
    return history.last as Record<string, unknown>
  }
  expect(await run(0)).not.toHaveProperty('valLoss')
  expect(await run(0.1)).toHaveProperty('valLoss')
})

it('--autocast trains in mixed precision, and the run says so', async () => {
  const digits = await data.digits()
  const small = (part: data.Dataset): data.Dataset => part.subset(Array.from({ length: 60 }, (_, i) => i))
  const images = { name: 'digits', train: small(digits.train), test: small(digits.test) }
  const losses = await Promise.all([false, true].map(async (autocast) => {
    const out = join(folder, `autocast-${autocast}`)
    const options = { model: 'mlp', data: 'digits', epochs: 1, batchSize: 30, lr: 0.01, optimizer: 'adam', validation: 0, augment: false, autocast, size: 32, seed: 0 }
    const { history, model } = await runTraining({ data: images, options, out, signal: new AbortController().signal })
    expect(model.parameters().every(({ dtype }) => dtype === 'float32')).toBe(true)
    expect((await earlierRun(out))?.options.autocast).toBe(autocast)
    return history.last!.loss
  }))
  expect(losses[1]).not.toBe(losses[0])
  expect(losses[1]).toBeCloseTo(losses[0]!, 1)
})
