// The article's CNN forward, from submitted batch to values in JavaScript.
import { noGrad, rand, scope } from 'ferrograd'
import { time } from '../measure.js'
import { flopsOf, networks } from '../networks/index.js'
import type { Bench, Context } from '../report.js'

export const cnnInference: Bench = {
  name: 'cnn inference',
  async run({ peak, report }: Context) {
    const model = networks.cnn!.build().eval()
    const { forward } = flopsOf(networks.cnn!)
    for (const batch of [1, 32, 500]) {
      const inputs = rand([batch, 32, 32, 3])
      const work = (): Promise<unknown> => noGrad(() => scope(() => model.forward(inputs).data()))
      const { median, spread } = await time(`cnn inference / batch ${batch}`, work, { samples: 100 })
      report({ name: `cnn inference / batch ${batch}`, value: median * 1e3, unit: 'ms', spread, share: (batch * forward) / (peak.gflops * 1e9) / median })
    }
  },
}
