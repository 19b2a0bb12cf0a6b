// Inputs given as a record of columns.
import { ValueError } from '../index.js'
import { ArrayColumn, type Column, type ColumnSource, isTensor, toColumn } from './column.js'
import { Ragged } from './ragged.js'

/** Columns by name. */
export type Columns = Record<string, Column>

/** Whether inputs are a record of columns, not one column. */
export function isRecord(value: unknown): value is Record<string, ColumnSource> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value) && !isTensor(value) && !(value instanceof Ragged)
}

/**
 * The columns of a record, and beside rows of unequal length how long they are: `lengths`, or a name each (`sourceLengths`, `targetLengths`) where
 * there are several. Those that the user gave stay.
 */
export function columnsOf(record: Record<string, ColumnSource>): Columns {
  const columns = Object.fromEntries(Object.entries(record).map(([name, column]) => [name, toColumn(column, `inputs.${name}`)]))
  const ragged = Object.entries(columns).filter((entry): entry is [string, Ragged] => entry[1] instanceof Ragged)
  for (const [name, { lengths }] of ragged) columns[ragged.length === 1 ? 'lengths' : `${name}Lengths`] ??= new ArrayColumn(lengths, lengths.length, [])
  return columns
}

/** The one column of floats of unequal length, which statistics are of. @throws ValueError where there is none, or more */
export function sequencesOf(columns: Columns, owner: string): [name: string, column: Ragged] {
  const found = Object.entries(columns).filter((entry): entry is [string, Ragged] => entry[1] instanceof Ragged && entry[1].dtype.startsWith('float'))
  if (found.length !== 1)
    throw new ValueError(`${owner}: inputs given as a record have no common channels, but for one column of data.ragged floats. Normalise each before.`)
  return found[0] as [string, Ragged]
}
