import { grad, nn, noGrad, randn } from 'ferrograd'
import type { Bench, Context } from '../report.js'
import { convolutionFlops, convolutions, outSide } from '../shapes.js'
import { timeOp } from './timed-op.js'

export const convolution: Bench = {
  name: 'conv2d',
  async run(context: Context) {
    for (const shape of convolutions) {
      const { name, batch, side, cin, cout, padding } = shape
      const layer = new nn.Conv2d(cin, cout, 3, { padding, bias: false })
      const { weight } = layer
      const x = randn([batch, side, side, cin], { requiresGrad: true })
      const dy = randn([batch, outSide(shape), outSide(shape), cout])
      const flops = convolutionFlops(shape)
      await timeOp(context, { name: `conv2d / ${name}-forward`, run: () => noGrad(() => layer.forward(x)), flops })
      // One graph, kept: each run is one gradient of it.
      const y = layer.forward(x)
      for (const [pass, leaf] of [['data', x], ['weights', weight]] as const) {
        await timeOp(context, { name: `conv2d / ${name}-${pass}`, run: () => grad(y, leaf, { gradOutputs: [dy], retainGraph: true }), flops })
      }
      for (const tensor of [x, weight, dy, y]) tensor.dispose()
    }
  },
}
