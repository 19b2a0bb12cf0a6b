// Rows of CSV files, by csv-parse, which is loaded when a file is first read.
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { FerrogradError, FileFormatError, ValueError } from '../index.js'
import { nearest } from '../internal.js'
import { pieces } from './text-file.js'

/** How a CSV file is written. */
export interface CsvOptions {
  /** What stands between fields (','). */
  delimiter?: string
  /** What encloses a field with delimiters, line breaks or itself in it ('"'); false where quotes are letters like others, as in the TSV files of GLUE. */
  quote?: string | false | null
  /** Whether the first row names the columns (true); else they are numbered from 0. */
  header?: boolean
  /** What the file is in ('utf-8'): also an encoding with a byte a letter, such as 'windows-1252'. */
  encoding?: string
}

/** Defaults of `CsvOptions`. */
export const csvDefaults = { delimiter: ',', quote: '"', header: true, encoding: 'utf-8' } as const

/** A column, by its name or by its number from 0. */
export type CsvColumn = string | number

/** One row: the fields of the columns asked for, and where it stands. */
export interface CsvRow {
  fields: string[]
  /** For messages: "row 3 (line 4) of reviews.csv". */
  place: string
}

/** The most letters of one row: a quote that nothing closes must not read the rest of a large file into memory. */
const LONGEST = 1 << 24

const isNumber = (field: string): boolean => field.trim() !== '' && Number.isFinite(Number(field))

/** What csv-parse calls them, and how we say it. */
const FAULTS: Readonly<Record<string, string>> = {
  CSV_QUOTE_NOT_CLOSED: 'has a quote that nothing closes',
  CSV_INVALID_CLOSING_QUOTE: 'has letters behind a closing quote',
  INVALID_OPENING_QUOTE: 'has a quote within a field that does not begin with one',
  CSV_RECORD_INCONSISTENT_FIELDS_LENGTH: 'has more or fewer fields than the first row',
  CSV_MAX_RECORD_SIZE: `has more than ${LONGEST} letters, which a quote that nothing closes may be the reason of`,
}

/**
 * The rows of a CSV file (RFC 4180), of each the fields of `columns`; empty lines are left out. Read piece by piece.
 * @throws FileFormatError naming the row that is wrong, ValueError for a column that is not there, naming those that are; as `pieces`
 */
export async function* csvRows(
  operation: string, path: string, columns: (names: readonly string[]) => readonly CsvColumn[],
  form: Omit<CsvOptions, 'header'> & { header?: boolean | 'unless numbers' } = {},
): AsyncGenerator<CsvRow, void, undefined> {
  const { delimiter, quote: given, header: named, encoding } = { ...csvDefaults, ...form }
  let header = named !== false
  const quote = given === false ? null : given
  if (quote !== null && !(typeof quote === 'string' && /^[^\r\n]$/.test(quote)))
    throw new ValueError(`${operation}: quote is one letter such as '"', or false for none, got ${JSON.stringify(quote)}.`, { op: operation })
  if (typeof delimiter !== 'string' || delimiter === '' || /[\r\n]/.test(delimiter) || (quote !== null && delimiter.includes(quote)))
    throw new ValueError(`${operation}: delimiter is a text such as ',' or '\\t', got ${JSON.stringify(delimiter)}.`, { op: operation })
  const { parse } = await import('csv-parse')
  const parser = parse({ delimiter, quote, escape: quote, info: true, skip_empty_lines: true, max_record_size: LONGEST })
  async function* texts(): AsyncGenerator<string, void, undefined> {
    for await (const { text } of pieces(operation, path, encoding)) yield text
  }
  const fed = pipeline(Readable.from(texts()), parser)
  // Whoever reads the parser sees the error.
  fed.catch(() => {})
  let chosen: number[] | null = null
  let row = 0
  try {
    for await (const { record, info } of parser as AsyncIterable<{ record: string[]; info: { lines: number } }>) {
      if (row === 0 && named === 'unless numbers') header = !record.every(isNumber)
      const place = `row ${header ? row : row + 1} (line ${info.lines}) of ${path}`
      row++
      if (chosen === null) {
        const names = header ? record : record.map((_, i) => String(i))
        chosen = columns(names).map((column) => numberOf(operation, path, names, column))
        if (header) continue
      }
      yield { fields: chosen.map((i) => record[i] as string), place }
    }
  } catch (error) {
    // The parser runs ahead of what was read: it counts for itself.
    const { code = '', lines, records = 0 } = error as { code?: string; lines?: number; records?: number }
    if (error instanceof FerrogradError || FAULTS[code] === undefined) throw error
    throw new FileFormatError(`${operation}: row ${header ? records : records + 1} (line ${lines}) of ${path} ${FAULTS[code]}.\n  A field with '${delimiter}', quotes or line breaks stands in quotes, quotes in it doubled: "a ""b"" c". Where quotes are letters like others, say quote: false.`, { op: operation, cause: error })
  } finally {
    parser.destroy()
    await fed.catch(() => {})
  }
  if (row === 0 || (header && row === 1)) throw new FileFormatError(`${operation}: ${path} ${row === 0 ? 'is empty' : 'has no rows below its header'}.`, { op: operation })
}

function numberOf(operation: string, path: string, names: readonly string[], column: CsvColumn): number {
  const found = typeof column === 'number' && !names.includes(String(column)) ? column : names.indexOf(String(column))
  if (Number.isInteger(found) && found >= 0 && found < names.length) return found
  const near = typeof column === 'string' ? nearest(column, names) : undefined
  throw new ValueError(`${operation}: ${path} has no column ${JSON.stringify(column)}.${near === undefined ? '' : ` Did you mean '${near}'?`}\n  There ${names.length === 1 ? 'is' : 'are'} ${names.join(', ')}.`, { op: operation })
}
