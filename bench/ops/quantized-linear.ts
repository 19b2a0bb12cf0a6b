// Products of bytes for quantised inference. The weights stay, as they do in a model that is served.
import { noGrad, quantizedLinear, randint, randn, type Tensor } from 'ferrograd'
import type { Bench, Context } from '../report.js'
import { timeOp } from './timed-op.js'

const SHAPES = [[1024, 1024, 1024], [32, 128, 512], [1, 3072, 768]] as const

export const quantized: Bench = {
  name: 'quantized linear',
  async run(context: Context) {
    for (const [rows, outputs, features] of SHAPES) {
      const x = randint(0, 255, [rows, features]).to('uint8')
      const weight = randint(-127, 127, [outputs, features]).to('int8')
      const scale = randn([outputs])
      const run = (): Tensor => noGrad(() => quantizedLinear(x, weight, scale, { xScale: 0.1, xZeroPoint: 128 }))
      const bytes = rows * features + outputs * features + 4 * rows * outputs
      await timeOp(context, { name: `quantized linear / ${rows}x${outputs}x${features}`, run, flops: 2 * rows * outputs * features, dtype: 'int8', bytes })
      for (const tensor of [x, weight, scale]) tensor.dispose()
    }
  },
}
