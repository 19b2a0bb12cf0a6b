import { join } from 'node:path'
import { FileFormatError, ValueError } from '../index.js'
import { settle } from '../internal.js'
import { type CsvColumn, csvDefaults, type CsvOptions, csvRows } from './csv.js'
import { candidates, checkFolder, namesIn } from './files.js'

/** The series that `series` knows. */
export type SeriesName = 'airline' | 'lynx' | 'shampoosales'

/** Options of `series`. */
export interface SeriesOptions {
  /** Where the CSV files lie. Default: `$FERROGRAD_DATA/sequences`, else the cache folder (`$FERROGRAD_CACHE`). */
  folder?: string
}

/** Options of `csvSeries`. */
export interface CsvSeriesOptions extends CsvOptions {
  /** The column of the series, by name or number, or several of them: a channel each. Default: the last. */
  column?: CsvColumn | readonly CsvColumn[] | undefined
}

const NAMES: readonly SeriesName[] = ['airline', 'lynx', 'shampoosales']

/**
 * A series of textbooks: passengers of an airline by month (Box & Jenkins 1976, 144 of them), lynxes trapped by year (114), sales of shampoo by month (36).
 * @throws ValueError where the file is missing, FileError for a folder that is not there
 * @example const { train, test } = data.windows(await data.series('airline'), { length: 24, horizon: 12 })
 */
export async function series(name: SeriesName, options: SeriesOptions = {}): Promise<number[]> {
  if (!NAMES.includes(name)) throw new ValueError(`series: there is no series ${JSON.stringify(name)}; there are ${NAMES.join(', ')}.\n  One of your own: data.csvSeries(file).`)
  const { folder } = settle('series', options, { folder: undefined })
  const places = candidates('sequences', folder)
  for (const place of places) if ((await namesIn(place)).includes(`${name}.csv`)) return csvSeries(join(place, `${name}.csv`))
  await checkFolder('series', folder)
  throw new ValueError(`series: ${name}.csv is not in ${places.join(', ')}.\n  Name its folder.`)
}

/**
 * A series of numbers from a column of a CSV file, or of several columns, a row a step. A first row of numbers alone is a step too, and no names, unless
 * `header: true` says so.
 * @throws FileFormatError naming the row without a number, ValueError for a column that is not there
 * @example const power = await data.csvSeries('power.csv', { column: 'kWh', delimiter: ';' })
 */
export async function csvSeries(file: string, options?: CsvSeriesOptions & { column?: CsvColumn | undefined }): Promise<number[]>
/** Of several columns: the numbers of each step. */
export async function csvSeries(file: string, options: CsvSeriesOptions & { column: readonly CsvColumn[] }): Promise<number[][]>
export async function csvSeries(file: string, options: CsvSeriesOptions = {}): Promise<number[] | number[][]> {
  const { column, ...form } = settle('csvSeries', options, { column: undefined, ...csvDefaults })
  const asked = (names: readonly string[]): readonly CsvColumn[] => (column === undefined ? [names.length - 1] : Array.isArray(column) ? column : [column as CsvColumn])
  const steps: number[][] = []
  for await (const { fields, place } of csvRows('csvSeries', file, asked, options.header === undefined ? { ...form, header: 'unless numbers' } : form)) {
    const step = fields.map((field) => (field.trim() === '' ? NaN : Number(field)))
    const wrong = step.findIndex((value) => !Number.isFinite(value))
    if (wrong >= 0) throw new FileFormatError(`csvSeries: ${place} has ${JSON.stringify(fields[wrong])} where a number is wanted.\n  Fill or drop missing values first.`)
    steps.push(step)
  }
  return Array.isArray(column) ? steps : steps.map((step) => step[0] as number)
}
