// Inputs given as a record of columns.
import { type DType, tensor, type Tensor, ValueError } from '../index.js'
import { type Column, type ColumnSource, isTensor, toColumn } from './column.js'
import type { Numbers } from './nested.js'
import { Ragged } from './ragged.js'
import { range } from './random.js'

/** Columns by name. */
export type Columns = Record<string, Column>

/** Whether inputs are a record of columns, not one column. */
export function isRecord(value: unknown): value is Record<string, ColumnSource> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value) && !isTensor(value) && !(value instanceof Ragged)
}

/** How far the rows of a `Ragged` reach in a batch: `Ragged.ends`, which depends on the others where padding stands on the left. */
class Ends implements Column {
  readonly shape: readonly number[] = []
  readonly dtype: DType = 'int32'
  readonly #rows: Ragged

  constructor(rows: Ragged) {
    this.#rows = rows
  }

  get length(): number {
    return this.#rows.length
  }

  gather(indices: Int32Array): Tensor {
    return tensor(this.#rows.ends(indices), { transfer: true })
  }

  async values(): Promise<Numbers> {
    return this.#rows.ends(range(this.length))
  }
}

/**
 * The columns of a record, and beside rows of unequal length how far they reach: `lengths`, or a name each (`sourceLengths`, `targetLengths`) where
 * there are several, and for a `target`, whose length is not that of what is read. Those that the user gave stay.
 */
export function columnsOf(record: Record<string, ColumnSource>): Columns {
  const columns = Object.fromEntries(Object.entries(record).map(([name, column]) => [name, toColumn(column, `inputs.${name}`)]))
  const ragged = Object.entries(columns).filter((entry): entry is [string, Ragged] => entry[1] instanceof Ragged)
  for (const [name, rows] of ragged) columns[ragged.length === 1 && name !== 'target' ? 'lengths' : `${name}Lengths`] ??= new Ends(rows)
  return columns
}

/** The one column of floats of unequal length, which statistics are of. @throws ValueError where there is none, or more */
export function sequencesOf(columns: Columns, owner: string): [name: string, column: Ragged] {
  const found = Object.entries(columns).filter((entry): entry is [string, Ragged] => entry[1] instanceof Ragged && entry[1].dtype.startsWith('float'))
  if (found.length !== 1)
    throw new ValueError(`${owner}: inputs given as a record have no common channels, but for one column of data.ragged floats. Normalise each before.`)
  return found[0] as [string, Ragged]
}
