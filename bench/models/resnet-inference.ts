// ResNet-18 on small images in evaluation: as built, and with its normalisations folded into its convolutions.
import { nn, noGrad, rand, scope } from 'ferrograd'
import { time } from '../measure.js'
import { flopsOf, networks } from '../networks/index.js'
import type { Bench, Context } from '../report.js'

export const resnetInference: Bench = {
  name: 'resnet18 inference',
  async run({ peak, report }: Context) {
    const network = networks.resnet18!
    const { forward } = flopsOf(network)
    const [plain, folded] = [network.build().eval(), network.build().eval()]
    nn.fuseConvBn(folded, [1, ...network.input])
    for (const batch of [1, 32]) {
      const inputs = rand([batch, ...network.input])
      for (const [kind, model] of [['as built', plain], ['fuseConvBn', folded]] as const) {
        const name = `resnet18 inference / batch ${batch} / ${kind}`
        const { median, spread } = await time(name, () => noGrad(() => scope(() => model.forward(inputs).data())), { samples: 30 })
        report({ name, value: median * 1e3, unit: 'ms', spread, share: (batch * forward) / (peak.gflops * 1e9) / median })
      }
    }
  },
}
