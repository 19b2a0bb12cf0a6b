import { IndexError, ValueError } from '../errors.js'
import { embedding } from '../ops/embedding.js'
import type { Parameter, Tensor } from '../tensor.js'
import { normalParameter, zeroRow } from './init.js'
import { positive } from './linear.js'
import { Module } from './module.js'

/** Options of `Embedding`. */
export interface EmbeddingOptions {
  /** The row of this id starts at zero and gets no gradient; a negative one counts from the end. */
  paddingIdx?: number
}

/**
 * A table of vectors, one an id: ids (int32) [...] -> [..., embeddingDim]; weight [numEmbeddings, embeddingDim], standard normal at first.
 * An id outside the table is a late error: what is computed from it rejects when read. PyTorch: `nn.Embedding`.
 */
export class Embedding extends Module {
  weight: Parameter
  readonly paddingIdx: number | null

  constructor(readonly numEmbeddings: number, readonly embeddingDim: number, { paddingIdx }: EmbeddingOptions = {}) {
    super()
    positive('Embedding', { numEmbeddings, embeddingDim })
    this.paddingIdx = paddingIdx === undefined ? null : checkedRow(paddingIdx, numEmbeddings)
    this.weight = normalParameter([numEmbeddings, embeddingDim], 1)
    if (this.paddingIdx !== null) zeroRow(this.weight, this.paddingIdx)
  }

  forward(ids: Tensor): Tensor {
    return embedding(this.weight, ids, this.paddingIdx === null ? {} : { paddingIdx: this.paddingIdx })
  }

  override extraRepr(): string {
    return `${this.numEmbeddings}, ${this.embeddingDim}${this.paddingIdx === null ? '' : `, paddingIdx=${this.paddingIdx}`}`
  }
}

function checkedRow(row: number, rows: number): number {
  if (!Number.isInteger(row)) throw new ValueError(`Embedding: paddingIdx must be an integer, not ${row}`)
  if (row >= rows || row < -rows) throw new IndexError(`Embedding: paddingIdx ${row} lies outside a table of ${rows} rows`)
  return row < 0 ? row + rows : row
}
