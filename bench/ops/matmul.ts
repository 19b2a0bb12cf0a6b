// Products of matrices, in float32 and bfloat16. Operands change from call to call, as they do beside the peers.
import { noGrad, randn, type Tensor } from 'ferrograd'
import type { Bench, Context } from '../report.js'
import { products } from '../shapes.js'
import { timeOp } from './timed-op.js'

const ROTATED = 4
/** Of matrices that one row is multiplied by: more than caches hold. */
const ROTATED_FOR_ONE_ROW = 16

export const matmul: Bench = {
  name: 'matmul',
  async run(context: Context) {
    for (const { name, m, k, n, transposeA, transposeB, fixedB } of products) {
      for (const dtype of ['float32', 'bfloat16'] as const) {
        const operand = (rows: number, columns: number, transposed = false): Tensor =>
          transposed ? randn([columns, rows]).to(dtype).transpose(0, 1) : randn([rows, columns]).to(dtype)
        const copies = m === 1 ? ROTATED_FOR_ONE_ROW : ROTATED
        const a = Array.from({ length: ROTATED }, () => operand(m, k, transposeA))
        const b = Array.from({ length: fixedB ? 1 : copies }, () => operand(k, n, transposeB))
        let turn = 0
        const run = (): Tensor => {
          turn++
          return noGrad(() => a[turn % a.length]!.matmul(b[turn % b.length]!))
        }
        const size = dtype === 'float32' ? 4 : 2
        const bytes = size * (m * k + k * n + m * n)
        const footprint = m === 1 ? size * k * n * b.length : undefined
        await timeOp(context, { name: `matmul / ${name}${dtype === 'float32' ? '' : '-bf16'}`, run, flops: 2 * m * k * n, dtype, bytes, footprint })
        for (const tensor of [...a, ...b]) tensor.dispose()
      }
    }
  },
}
