import { record } from '../autograd.js'
import { ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { fewRows, RowGradient } from '../row-gradient.js'
import type { Tensor } from '../tensor.js'
import { tracked } from './support.js'

/**
 * Rows of `weight` [rows, features] by `ids` [...]: [..., features]. The row `paddingIdx` (negative counts from the end) gets no gradient.
 * An id out of range is a late IndexError. PyTorch: `F.embedding(ids, weight)`.
 * @throws ValueError for a paddingIdx that is no row
 */
export function embedding(weight: Tensor, ids: Tensor, { paddingIdx }: { paddingIdx?: number | null } = {}): Tensor {
  const y = run.embedding(weight, ids)
  const rows = weight.shape[0]!
  const padding = paddingIdx === undefined || paddingIdx === null ? -1 : paddingIdx < 0 ? paddingIdx + rows : paddingIdx
  if (padding < -1 || padding >= rows || (padding === -1 && typeof paddingIdx === 'number')) {
    throw new ValueError(`embedding: paddingIdx ${paddingIdx} is no row of a weight with ${rows} rows.`, { op: 'embedding' })
  }
  if (!tracked(weight)) return y
  return record(y, {
    op: 'embedding',
    inputs: [weight],
    saved: [ids],
    backward: (dy, ids) => [
      Object.assign(() => embeddingGradient(dy, ids!, rows, padding), {
        rows: fewRows(ids!, rows) ? () => rowGradient(dy, ids!, rows, padding) : undefined,
      }),
    ],
  })
}

/** The rows of {@link embeddingGradient} that are not zeros. */
function rowGradient(dy: Tensor, ids: Tensor, rows: number, padding: number): RowGradient {
  const [indices, values] = run.embeddingGradRows(dy, ids, rows, padding) as [Tensor, Tensor]
  return new RowGradient(indices, values, rows)
}

/** dy added up in the rows it came from. */
function embeddingGradient(dy: Tensor, ids: Tensor, rows: number, padding: number): Tensor {
  const dw = run.embeddingGrad(dy, ids, rows, padding)
  if (!tracked(dy)) return dw
  return record(dw, {
    op: 'embeddingGradient',
    inputs: [dy],
    saved: [ids],
    backward: (ddw, ids) => [
      () => {
        const y = embedding(ddw, ids!)
        return padding < 0 ? y : y.mul(ids!.ne(padding).unsqueeze(-1))
      },
    ],
  })
}
