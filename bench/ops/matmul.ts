import { noGrad, randn } from 'ferrograd'
import type { Bench, Context } from '../report.js'
import { timeOp } from './timed-op.js'

/** m, k, n: cubes, then the products of a Transformer's layers, a dense head, and one row against a matrix. */
const sizes: [number, number, number][] = [
  [128, 128, 128], [256, 256, 256], [512, 512, 512], [1024, 1024, 1024], [2048, 768, 768], [32, 1024, 64], [1, 768, 3072],
]

export const matmul: Bench = {
  name: 'matmul',
  async run(context: Context) {
    for (const [m, k, n] of sizes) {
      const a = randn([m, k])
      const b = randn([k, n])
      await timeOp(context, { name: `matmul / ${m}x${k}x${n}`, run: () => noGrad(() => a.matmul(b)), flops: 2 * m * k * n, bytes: 4 * (m * k + k * n + m * n) })
    }
  },
}
