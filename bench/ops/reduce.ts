import { noGrad, randn, type Tensor } from 'ferrograd'
import type { Bench, Context } from '../report.js'
import { timeOp } from './timed-op.js'

export const reductions: Bench = {
  name: 'reduce',
  async run(context: Context) {
    const x = randn([4096, 4096])
    const bytes = 4 * x.size
    const cases: [string, number, () => Tensor][] = [
      ['sum of all', bytes, () => x.sum()], ['sum over rows', bytes, () => x.sum([0])], ['sum over columns', bytes, () => x.sum([1])],
      ['max over columns', bytes, () => x.amax([1])], ['softmax over columns', 2 * bytes, () => x.softmax(-1)],
    ]
    for (const [name, moved, run] of cases) await timeOp(context, { name: `reduce / ${name} of [4096, 4096]`, run: () => noGrad(run), bytes: moved })
  },
}
