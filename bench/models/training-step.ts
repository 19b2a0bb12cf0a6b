// Training steps: forward, cross-entropy, backward, Adam. Eager, compiled as `fit` runs them, and so under autocast.
import { autocast, compile, device, nn, optim, rand, randint, scope, type Tensor } from 'ferrograd'
import { time } from '../measure.js'
import { flopsOf, networks } from '../networks/index.js'
import type { Bench, Context } from '../report.js'

/** `steps`: of sequences. */
interface Case { network: string; batch: number; steps?: number; repeat: number }

const cases: readonly Case[] = [
  { network: 'cnn', batch: 32, repeat: 20 },
  { network: 'cnn', batch: 128, repeat: 20 },
  { network: 'mlp', batch: 64, repeat: 50 },
  { network: 'resnet18', batch: 64, repeat: 1 },
  { network: 'densenet', batch: 64, repeat: 1 },
  ...['lstm', 'lstm-norec'].flatMap((network) => [80, 200].map((steps) => ({ network, batch: 32, steps, repeat: 5 }))),
  ...['lstm-peephole', 'lstm-projected', 'lstm-normed', 'gru-before'].map((network) => ({ network, batch: 32, steps: 80, repeat: 5 })),
]

/** One bench a network: 'cnn step'. */
export const trainingSteps: Bench[] = [...new Set(cases.map(({ network }) => network))].map((name) => ({
  name: `${name} step`,
  async run(context: Context) {
    for (const each of cases.filter(({ network }) => network === name)) await measure(context, each)
  },
}))

async function measure({ peak, report }: Context, { network, batch, steps, repeat }: Case): Promise<void> {
  const { build, input, ids } = networks[network]!
  const shape = steps === undefined ? input : [steps]
  const inputs = ids === undefined ? rand([batch, ...shape]) : randint(0, ids, [batch, ...shape])
  const labels = randint(0, 10, [batch])
  const bound = (batch * flopsOf({ build, input: shape, ids }).step) / (peak.gflops * 1e9)
  for (const kind of ['eager', 'compiled', 'compiled, autocast'] as const) {
    const model = build()
    const optimizer = new optim.Adam(model.parameters())
    const lossOf = (x: Tensor, y: Tensor): Tensor => nn.crossEntropy(model.forward(x), y)
    const body = (x: Tensor, y: Tensor): Tensor => {
      const loss = kind === 'compiled, autocast' ? autocast(() => lossOf(x, y)) : lossOf(x, y)
      loss.backward()
      optimizer.step()
      optimizer.zeroGrad()
      return loss.detach()
    }
    const step = kind === 'eager' ? body : compile(body)
    const work = async (): Promise<void> => {
      for (let i = 0; i < repeat; i++) scope(() => { step(inputs, labels) })
      await device.sync()
    }
    const name = `${network} step / batch ${batch}${steps === undefined ? '' : ` x ${steps}`} / ${kind}`
    const { median, best, spread } = await time(name, work, { repeat, seconds: 8 })
    report({ name, value: median * 1e3, unit: 'ms', spread, share: bound / median })
    report({ name: `${name} (best)`, value: best * 1e3, unit: 'ms', share: bound / best })
  }
}
