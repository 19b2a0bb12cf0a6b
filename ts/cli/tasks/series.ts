// Numbers over time, the next told from the last.
import { basename } from 'node:path'
import { data, tensor, Trainer, type train, ValueError } from '../../index.js'
import type { Bundle, Card } from '../bundle.js'
import { say, table } from '../console.js'
import { csvForm, dataSets, isFile, refuseFileOptions, unknownSource, withColumnHint } from '../files.js'
import type { Panel } from '../report.js'
import { chart, type Curve } from '../svg.js'
import { type LoadOptions, type Task, type Tested, wholes } from './task.js'

interface Series {
  name: string
  values: number[]
}

interface SeriesTested extends Tested {
  /** Of the last window to test on: what it sees, what came, what was told. */
  last: { seen: number[]; came: number[]; told: number[] }
}

/** What fits a series: a season is a year of months; three years of them are short. */
const fitting: Readonly<Record<string, Partial<Reading>>> = { airline: { season: 12 }, shampoosales: { season: 12, length: 12, horizon: 3 } }
const trainerOptions: train.TrainerOptions = { loss: 'l1', metrics: ['mse'] }

/** How a card's model reads a series: so many steps, to tell so many. */
interface Reading {
  length: number
  horizon: number
  season?: number
  column?: string
  delimiter?: string
}
const readingOf = ({ reading, config }: Card): Reading => ({ ...(reading as unknown as Reading), horizon: config.horizon as number })

export const series: Task<Series, SeriesTested> = {
  name: 'series',
  reads: 'series of numbers',
  sources: 'airline, lynx, shampoosales or a CSV file',
  example: () => 'SERIES.csv',
  options: {
    train: ['length', 'horizon', 'season', 'column', 'delimiter'],
    evaluate: ['season', 'column', 'delimiter'],
    predict: ['column', 'delimiter'],
  },
  charts: [],

  knows(card) {
    const { length, horizon, season = 1 } = readingOf(card)
    return wholes(length, horizon, season)
  },

  load,

  async plan(given, { model, data: source, validation, batchSize, column, delimiter, ...options }) {
    const { name, values } = given
    const { length = 24, horizon = 12, season } = { ...fitting[source], ...options }
    const windows = windowsOf(given, length, horizon, validation)
    const card: Card = { task: 'series', model, config: { horizon }, data: source, reading: { length, season, column, delimiter } }
    checkSeason(given, season, spanOf(windows, values.length, horizon).test)
    return {
      card,
      name,
      parts: `${values.length} steps: ${windows.train.length} windows of ${length} to train, ${windows.validation?.length ?? 0} to validate, ${windows.test.length} to test, ${horizon} steps told of each`,
      training: windows.train,
      fit: { batchSize, ...(windows.validation === undefined ? {} : { validation: windows.validation }) },
    }
  },

  trainer: () => trainerOptions,

  async test({ model, card }, given, { batchSize = 256, signal } = {}) {
    const { length, horizon, season } = readingOf(card)
    const { values } = given
    const windows = windowsOf(given, length, horizon, 0)
    const from = spanOf(windows, values.length, horizon).test
    checkSeason(given, season, from)
    const trainer = new Trainer(model, trainerOptions)
    const { loss, mse } = await trainer.evaluate(windows.test, { batchSize, ...(signal === undefined ? {} : { signal }) })
    const rmse = Math.sqrt(mse as number)
    const naive = rootMeanSquare(errorsAhead(values, from, horizon, stepsBefore(values, 1)))
    const seasonalNaive = season === undefined ? undefined : rootMeanSquare(errorsAhead(values, from, horizon, stepsBefore(values, season)))
    const seen = values.slice(-horizon - length, -horizon)
    return {
      headline: `RMSE ${figure(rmse)}`,
      rest:
        `MAE ${figure(loss)} on ${windows.test.length} windows; naive RMSE ${figure(naive)} by the last value` +
        (seasonalNaive === undefined ? '' : `, ${figure(seasonalNaive)} by ${season} steps before`),
      rows: [],
      figures: { rmse, mae: loss, naive, ...(seasonalNaive === undefined ? {} : { seasonalNaive }), windows: windows.test.length },
      last: { seen, came: values.slice(-horizon), told: await told(trainer, seen) },
    }
  },

  async drawings({ model, card }, given, { validation }) {
    const { values } = given
    const { length, horizon } = readingOf(card)
    const spans = spanOf(windowsOf(given, length, horizon, validation), values.length, horizon)
    const [name, begin, to] = validation === 0 ? ['test', spans.test, values.length] : ['validation', spans.validation, spans.test]
    // Of a long span the end, as more steps than dots of the chart cannot be told apart.
    const from = Math.max(begin, to - 400)
    const trainer = new Trainer(model, trainerOptions)
    // One forecast begins where that before it ends.
    const forecasts: number[] = []
    for (let at = from; at < to; at += horizon) forecasts.push(...(await told(trainer, values.slice(at - length, at))))
    const first = from - length
    return [(frame) => chart(`Forecasts over the ${name} span`, [
      { name: 'truth', values: values.slice(first, to) },
      { name: 'forecast', values: [...Array<number>(length).fill(NaN), ...forecasts.slice(0, to - from)] },
    ], frame, { first: first + 1 })]
  },

  async panels({ model, card }, given, { last: { seen, came, told } }) {
    const { values } = given
    const { length, horizon, season } = readingOf(card)
    const missing = seen.slice(1).map(() => NaN)
    const forecast: Panel = (x, y, size) => chart('The last test window', [
      { name: 'truth', values: [...seen, ...came] },
      { name: 'forecast', values: [...missing, seen.at(-1)!, ...told] },
    ], { x, y, width: size, height: size * 0.75 }, { first: values.length - seen.length - came.length + 1 })
    const { test } = windowsOf(given, length, horizon, 0)
    const output = await new Trainer(model, trainerOptions).predict(test)
    const all = (await output.data()) as Float32Array
    output.dispose()
    const from = spanOf({ test }, values.length, horizon).test
    const errors = (name: string, guess: Guess): Curve => ({ name, values: errorsAhead(values, from, horizon, guess) })
    const ahead: Panel = (x, y, size) => chart('RMSE by steps ahead', [
      errors('model', (origin, h) => all[(origin - from) * horizon + h] as number),
      errors('last value', stepsBefore(values, 1)),
      ...(season === undefined ? [] : [errors('season', stepsBefore(values, season))]),
    ], { x, y, width: size, height: size * 0.75 })
    return [forecast, ahead]
  },

  async predict({ model, card }, files, values) {
    const { length, horizon, ...reading } = readingOf(card)
    const named = values as { column?: string; delimiter?: string }
    const trainer = new Trainer(model, trainerOptions)
    for (const file of files.length > 0 ? files : [card.data]) {
      const { name, values: all } = await load(file, { card, column: named.column ?? reading.column, delimiter: named.delimiter ?? reading.delimiter })
      if (all.length < length) throw new ValueError(`${file} has ${all.length} steps; the model reads ${length}.`)
      const next = await told(trainer, all.slice(-length))
      if (values.json === true) say(JSON.stringify({ file, next }))
      else say(`${name}: the next ${horizon} steps\n${table(next.map((value, i) => [`  ${i + 1}`, figure(value)]))}`)
    }
  },
}

async function load(source: string, options: LoadOptions): Promise<Series> {
  const { column, delimiter } = options
  if ((dataSets.series as readonly string[]).includes(source)) {
    refuseFileOptions(source, 'CSV files', options, ['column', 'delimiter'])
    return { name: source, values: await data.series(source as data.SeriesName) }
  }
  if (!(await isFile(source)) || /\.(jsonl?|ndjson)(\.gz)?$/i.test(source)) throw await unknownSource(source, 'series', 'a CSV file')
  const values = await withColumnHint('The column is named by --column, what stands between columns by --delimiter.', () => data.csvSeries(source, {
    ...(column === undefined ? {} : { column: /^\d+$/.test(column) ? Number(column) : column }),
    ...(/\.tsv(\.gz)?$/i.test(source) ? { delimiter: '\t' } : {}),
    ...csvForm(delimiter),
  }))
  return { name: basename(source), values }
}

/** Windows of the series; each part holds one at least. */
function windowsOf({ name, values }: Series, length: number, horizon: number, validation: number): data.Windows {
  // A window to train on, and the steps that one to test on tells, and to validate.
  const least = length + horizon * (validation === 0 ? 2 : 3)
  if (values.length < least) throw new ValueError(`${name} has ${values.length} steps; windows of ${length} + ${horizon} to train and to test on take ${least}.\n  Give a longer series, or train with a smaller --length or --horizon.`)
  const share = (of: number): number => (of === 0 ? 0 : Math.max(of, horizon / values.length))
  return data.windows(values, { length, horizon, scale: 'none', test: share(0.2), validation: share(validation) })
}

/** The numbers, from 0, of the first steps that windows to validate and to test with tell. */
function spanOf({ validation, test }: Pick<data.Windows, 'validation' | 'test'>, total: number, horizon: number): { validation: number; test: number } {
  const before = (end: number, windows: number): number => end - windows - horizon + 1
  const tested = before(total, test.length)
  return { test: tested, validation: validation === undefined ? tested : before(tested, validation.length) }
}

/** @throws ValueError where there is no season before the steps from `from` on */
function checkSeason({ name }: Series, season: number | undefined, from: number): void {
  if (season !== undefined && season > from) throw new ValueError(`--season: ${season} steps are more than the ${from} that ${name} has before those to test on.`)
}

/** What is told of the step `h` behind the first, `origin`. */
type Guess = (origin: number, h: number) => number

/** What stood `season` steps before, again and again where that is not known yet; 1 is the last value. It needs no model. */
const stepsBefore = (values: readonly number[], season: number): Guess => (origin, h) => values[origin + h - season * Math.ceil((h + 1) / season)] as number

/** Root mean square errors of the first step told, the second ..., over all windows from the step `from` on. */
function errorsAhead(values: readonly number[], from: number, horizon: number, guess: Guess): number[] {
  const windows = values.length - horizon - from + 1
  return Array.from({ length: horizon }, (_, h) => rootMeanSquare(Array.from({ length: windows }, (_, i) => (values[from + i + h] as number) - guess(from + i, h))))
}

const rootMeanSquare = (errors: readonly number[]): number => Math.sqrt(errors.reduce((sum, error) => sum + error ** 2, 0) / errors.length)

async function told(trainer: Trainer, seen: readonly number[]): Promise<number[]> {
  const output = await trainer.predict(tensor(Float32Array.from(seen), { shape: [1, seen.length, 1] }))
  const values = Array.from((await output.data()) as Float32Array)
  output.dispose()
  return values
}

const figure = (value: number): string => String(Number(value.toPrecision(4)))
