// How late the event loop gets to its next turn while the library works: a 1 ms timer beside fit, predict, loading and saving.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { data, rand, randint, Trainer } from 'ferrograd'
import { articleCnn } from './networks/article-cnn.js'
import type { Bench, Context } from './report.js'

async function delay(work: () => Promise<unknown>): Promise<{ p99: number; p50: number }> {
  const histogram = monitorEventLoopDelay({ resolution: 1 })
  histogram.enable()
  await work()
  // The last delay is only seen by a turn after it.
  await new Promise((resolve) => setTimeout(resolve, 5))
  histogram.disable()
  return { p99: histogram.percentile(99) / 1e6, p50: histogram.percentile(50) / 1e6 }
}

export const loopDelay: Bench = {
  name: 'loop delay',
  async run({ report }: Context) {
    const inputs = rand([10_000, 32, 32, 3])
    const labels = randint(0, 10, [10_000])
    const model = articleCnn()
    const trainer = new Trainer(model, { optimizer: 'adam', loss: 'crossEntropy', metrics: ['accuracy'] })
    const folder = mkdtempSync(join(tmpdir(), 'ferrograd-bench-'))
    const file = join(folder, 'model.safetensors')
    // CIFAR-10's 30 MB where they are at hand, else the embedded digits.
    const read = async () => { for await (const _ of data.loader((await data.cifar10().catch(() => data.digits())).train, { batchSize: 32, shuffle: true })) { /* read alone */ } }
    const jobs: [string, () => Promise<unknown>][] = [
      ['fit, one epoch of 10,000 images', () => trainer.fit({ inputs, labels }, { epochs: 1, batchSize: 32, verbose: false })],
      ['predict 10,000 images', () => trainer.predict(inputs)],
      ['load a data set and go through it', read],
      ['save and load, 100 times', async () => { for (let i = 0; i < 100; i++) { await model.save(file); await model.load(file) } }],
    ]
    for (const [name, work] of jobs) {
      const { p50, p99 } = await delay(work)
      report({ name: `loop delay / ${name} / p50`, value: p50, unit: 'ms' })
      report({ name: `loop delay / ${name} / p99`, value: p99, unit: 'ms', bound: { limit: 20, kind: 'at most' } })
    }
    rmSync(folder, { recursive: true })
  },
}
