// Chains of element-by-element ops whose operands broadcast: op by op, and captured, where they run as one; in turns.
import { compile, device, noGrad, randn, scope, type Tensor } from 'ferrograd'
import { inTurns } from '../in-turns.js'
import type { Bench, Context } from '../report.js'

interface Case { name: string; shape: readonly number[]; run: (x: Tensor) => Tensor }

const row = (n: number): Tensor => randn([n])

function cases(): Case[] {
  const [bias, scale, wide, mean, deviation] = [row(512), row(512), row(4096), randn([4096, 1]), randn([4096, 1]).square().add(1)]
  return [
    { name: 'bias, gelu, scale', shape: [1024, 512], run: (x) => x.add(bias).gelu().mul(scale) },
    { name: 'bias, relu, scale', shape: [4096, 4096], run: (x) => x.add(wide).relu().mul(wide) },
    { name: 'normalise by columns', shape: [4096, 512], run: (x) => x.sub(mean).div(deviation).mul(scale).add(bias) },
    { name: 'layer norm by hand', shape: [4096, 512], run: (x) => {
      const centred = x.sub(x.mean(-1, { keepdim: true }))
      const variance = centred.square().mean(-1, { keepdim: true })
      return centred.mul(variance.add(1e-5).rsqrt()).mul(scale).add(bias)
    } },
    { name: 'squared error', shape: [4096, 512], run: (x) => x.sub(bias).square().mean() },
  ]
}

export const chains: Bench = {
  name: 'chains',
  async run({ peak, report }: Context) {
    for (const { name, shape, run } of cases()) {
      const x = randn(shape)
      const captured = compile(run)
      // At the least x is read and, but for a sum, as much written.
      const bytes = 4 * (x.size + noGrad(() => scope(() => run(x).size)))
      const repeat = Math.ceil(2 ** 22 / x.size)
      const work = (step: (x: Tensor) => Tensor) => async (): Promise<void> => {
        noGrad(() => { for (let i = 0; i < repeat; i++) scope(() => { step(x) }) })
        await device.sync()
      }
      const timings = await inTurns({ eager: work(run), captured: work(captured) }, { rounds: 100, repeat })
      for (const [kind, { median, spread }] of Object.entries(timings))
        report({ name: `chains / ${name} of [${shape.join(', ')}] / ${kind}`, value: median * 1e3, unit: 'ms', spread, share: bytes / (peak.triadGBs * 1e9) / median })
      captured.dispose()
    }
  },
}
