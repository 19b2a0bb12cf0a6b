import { run } from './native/run.js'
import { unscoped } from './scope.js'
import type { Tensor } from './tensor.js'

/**
 * The gradient of an embedding's weight as the rows it has: `indices` int32 [places] ascending, then the number of rows in places left over, and
 * `values` [places, features]. It means the dense matrix with zeros elsewhere, bit for bit; optimizers take it as it is, and whoever reads `.grad`
 * finds the matrix. PyTorch's `sparse: true` means something else to Adam: rows without a gradient are left alone there.
 */
export class RowGradient {
  constructor(readonly indices: Tensor, readonly values: Tensor, readonly rows: number) {}

  /** The matrix, [rows, features]; it belongs to no scope. */
  dense(): Tensor {
    return unscoped(() => run.embeddingGradDense(this.indices, this.values, this.rows))
  }

  dispose(): void {
    this.indices.dispose()
    this.values.dispose()
  }
}

/** Whether `ids` are so few that a list of rows is the smaller thing: a question of shapes alone. */
export function fewRows(ids: Tensor, rows: number): boolean {
  return 2 * ids.size <= rows
}
