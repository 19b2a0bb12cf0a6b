import { ctcLoss, grad, manualSeed, noGrad, randint, randn } from 'ferrograd'
import type { Bench, Context } from '../report.js'
import { timeOp } from './timed-op.js'

export const temporal: Bench = {
  name: 'ctc loss',
  async run(context: Context) {
    manualSeed(0)
    for (const [n, t, c, s] of [[32, 150, 29, 30], [16, 300, 64, 60]] as const) {
      const x = noGrad(() => randn([n, t, c]).logSoftmax(-1))
      x.requiresGrad = true
      const targets = randint(1, c, [n, s]).to('int32')
      const name = `ctc loss / [${n}, ${t}, ${c}], ${s} labels`
      await timeOp(context, { name: `${name} / forward`, run: () => noGrad(() => ctcLoss(x, targets)), bytes: 4 * x.size })
      await timeOp(context, { name: `${name} / forward + backward`, run: () => grad(ctcLoss(x, targets), [x]), bytes: 8 * x.size })
    }
  },
}
