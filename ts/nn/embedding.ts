import { IndexError } from '../errors.js'
import { embedding } from '../ops/embedding.js'
import { settle } from '../options.js'
import type { Parameter, Tensor } from '../tensor.js'
import { integers, positive } from './arguments.js'
import { normalParameter, zeroRow } from './init.js'
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
  /** The vectors, [numEmbeddings, embeddingDim]. */
  weight: Parameter
  /** The id whose vector is 0 at first and gets no gradient; null for none. */
  readonly paddingIdx: number | null

  constructor(
    /** How many vectors there are: ids go from 0 to one less. */
    readonly numEmbeddings: number,
    /** How long each vector is. */
    readonly embeddingDim: number,
    options: EmbeddingOptions = {},
  ) {
    super()
    const { paddingIdx } = settle('Embedding', options, { paddingIdx: undefined })
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
  integers('Embedding', { paddingIdx: row })
  if (row >= rows || row < -rows) throw new IndexError(`Embedding: paddingIdx ${row} lies outside a table of ${rows} rows`)
  return row < 0 ? row + rows : row
}
