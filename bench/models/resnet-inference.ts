// ResNet-18 on small images in evaluation: as built, and with its normalisations folded into its convolutions, in turns.
import { nn, noGrad, rand, scope } from 'ferrograd'
import { inTurns } from '../in-turns.js'
import { flopsOf, networks } from '../networks/index.js'
import type { Bench, Context } from '../report.js'

export const resnetInference: Bench = {
  name: 'resnet18 inference',
  async run({ peak, report }: Context) {
    const network = networks.resnet18!
    const { forward } = flopsOf(network)
    const [plain, folded] = [network.build().eval(), network.build().eval()]
    nn.fuseConvBn(folded, [1, ...network.input])
    for (const [batch, rounds] of [[1, 300], [32, 25]] as const) {
      const inputs = rand([batch, ...network.input])
      const predict = (model: nn.Module) => (): Promise<unknown> => noGrad(() => scope(() => model.forward(inputs).data()))
      const timings = await inTurns({ 'as built': predict(plain), fuseConvBn: predict(folded) }, { rounds })
      for (const [kind, { median, best, spread }] of Object.entries(timings)) {
        const name = `resnet18 inference / batch ${batch} / ${kind}`
        const bound = (batch * forward) / (peak.gflops * 1e9)
        report({ name, value: median * 1e3, unit: 'ms', spread, share: bound / median })
        report({ name: `${name} (best)`, value: best * 1e3, unit: 'ms', share: bound / best })
      }
    }
  },
}
