import { noGrad, randn, type Tensor } from 'ferrograd'
import type { Bench, Context } from '../report.js'
import { timeOp } from './timed-op.js'

export const pointwise: Bench = {
  name: 'pointwise',
  async run(context: Context) {
    const x = randn([4096, 4096])
    const y = randn([4096, 4096])
    const row = randn([4096])
    const bytes = 8 * x.size
    const cases: [string, number, () => Tensor][] = [
      ['add', 1.5 * bytes, () => x.add(y)], ['mul by a row', bytes, () => x.mul(row)], ['add a number', bytes, () => x.add(1)],
      ['relu', bytes, () => x.relu()], ['exp', bytes, () => x.exp()], ['tanh', bytes, () => x.tanh()], ['gelu', bytes, () => x.gelu()],
      ['copy of the transpose', bytes, () => x.transpose(0, 1).contiguous()],
    ]
    for (const [name, moved, run] of cases) await timeOp(context, { name: `pointwise / ${name} of [4096, 4096]`, run: () => noGrad(run), bytes: moved })
  },
}
