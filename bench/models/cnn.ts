// A training step of the article's CNN: forward, cross-entropy, backward, Adam. Eager, and compiled as `fit` runs it.
import { compile, device, nn, optim, rand, randint, scope, type Tensor } from 'ferrograd'
import { time } from '../measure.js'
import type { Bench, Context } from '../report.js'
import { articleCnn, stepFlops } from '../networks/article-cnn.js'

export const cnnStep: Bench = {
  name: 'cnn step',
  async run({ peak, report }: Context) {
    for (const batch of [32, 128]) {
      const inputs = rand([batch, 32, 32, 3])
      const labels = randint(0, 10, [batch])
      const bound = (batch * stepFlops) / (peak.gflops * 1e9)
      for (const kind of ['eager', 'compiled'] as const) {
        const model = articleCnn()
        const optimizer = new optim.Adam(model.parameters())
        const body = (x: Tensor, y: Tensor): Tensor => {
          const loss = nn.crossEntropy(model.forward(x), y)
          loss.backward()
          optimizer.step()
          optimizer.zeroGrad()
          return loss.detach()
        }
        const step = kind === 'compiled' ? compile(body) : body
        const repeat = 20
        const work = async (): Promise<void> => {
          for (let i = 0; i < repeat; i++) scope(() => { step(inputs, labels) })
          await device.sync()
        }
        const { median, best, spread } = await time(`cnn step / batch ${batch} / ${kind}`, work, { repeat, seconds: 8 })
        report({ name: `cnn step / batch ${batch} / ${kind}`, value: median * 1e3, unit: 'ms', spread, share: bound / median })
        report({ name: `cnn step / batch ${batch} / ${kind} (best)`, value: best * 1e3, unit: 'ms', share: bound / best })
      }
    }
  },
}
