import { grad, nn, noGrad, randn } from 'ferrograd'
import type { Bench, Context } from '../report.js'
import { timeOp } from './timed-op.js'

export const pooling: Bench = {
  name: 'pool2d',
  async run(context: Context) {
    const x = randn([32, 30, 30, 32], { requiresGrad: true })
    for (const [name, layer] of [['max', new nn.MaxPool2d(2)], ['average', new nn.AvgPool2d(2)]] as const) {
      const bytes = 4 * (x.size + x.size / 4)
      await timeOp(context, { name: `pool2d / ${name} 2x2 of [32, 30, 30, 32] / forward`, run: () => noGrad(() => layer.forward(x)), bytes })
      await timeOp(context, { name: `pool2d / ${name} 2x2 of [32, 30, 30, 32] / forward + backward`, run: () => grad(layer.forward(x).sum(), [x]), bytes: 2 * bytes })
    }
  },
}
