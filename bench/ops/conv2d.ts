import { grad, nn, noGrad, randn } from 'ferrograd'
import type { Bench, Context } from '../report.js'
import { timeOp } from './timed-op.js'

/** The CNN's three layers at batch 32, and three of a ResNet at batch 16: side, channels in, channels out, padding. */
const layers: [string, number, number, number, number, number][] = [
  ['cnn layer 1', 32, 32, 3, 32, 0], ['cnn layer 2', 32, 15, 32, 64, 0], ['cnn layer 3', 32, 6, 64, 64, 0],
  ['56x56x64', 16, 56, 64, 64, 1], ['28x28x128', 16, 28, 128, 128, 1], ['14x14x256', 16, 14, 256, 256, 1],
]

export const convolution: Bench = {
  name: 'conv2d',
  async run(context: Context) {
    for (const [name, batch, side, cin, cout, padding] of layers) {
      const layer = new nn.Conv2d(cin, cout, 3, { padding })
      const x = randn([batch, side, side, cin], { requiresGrad: true })
      const outSide = side + 2 * padding - 2
      const flops = 2 * batch * outSide * outSide * cout * 9 * cin
      await timeOp(context, { name: `conv2d / ${name} / forward`, run: () => noGrad(() => layer.forward(x)), flops })
      const inputs = [x, ...layer.parameters()]
      await timeOp(context, { name: `conv2d / ${name} / forward + backward`, run: () => grad(layer.forward(x).sum(), inputs), flops: 3 * flops })
    }
  },
}
