// Numbers over time, the next told from the last.
import { basename } from 'node:path'
import { data, tensor, Trainer, type train, ValueError } from '../../index.js'
import type { Bundle, Card } from '../bundle.js'
import { say, table } from '../console.js'
import { isFile, unknownSource } from '../files.js'
import type { Panel } from '../report.js'
import { chart } from '../svg.js'
import { type Task, type Tested, wholes } from './task.js'

interface Series {
  name: string
  values: number[]
}

interface SeriesTested extends Tested {
  /** Of the last window to test on: what it sees, what came, what was told. */
  last: { seen: number[]; came: number[]; told: number[] }
}

const names: readonly string[] = ['airline', 'lynx', 'shampoosales']
const trainerOptions: train.TrainerOptions = { loss: 'l1', metrics: ['mse'] }

/** How a card's model reads a series: so many steps, to tell so many. */
const readingOf = ({ reading, config }: Card): { length: number; horizon: number; column?: string } => ({ ...(reading as { length: number; column?: string }), horizon: config.horizon as number })

export const series: Task<Series, SeriesTested> = {
  name: 'series',
  reads: 'series of numbers',
  sources: 'airline, lynx, shampoosales or a CSV file',
  example: 'SERIES.csv',
  options: { train: ['length', 'horizon', 'column'], evaluate: [], predict: [] },
  charts: [],

  knows(card) {
    const { length, horizon } = readingOf(card)
    return wholes(length, horizon)
  },

  load: (source, { column }) => load(source, column),

  async plan(given, { model, data: source, validation, batchSize, length = 24, horizon = 12, column }) {
    const { name, values } = given
    const windows = windowsOf(given, length, horizon, validation)
    const card: Card = { task: 'series', model, config: { horizon }, data: source, reading: { length, ...(column === undefined ? {} : { column }) } }
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
    const { length, horizon } = readingOf(card)
    const { values } = given
    const { test } = windowsOf(given, length, horizon, 0)
    const trainer = new Trainer(model, trainerOptions)
    const { loss, mse } = await trainer.evaluate(test, { batchSize, ...(signal === undefined ? {} : { signal }) })
    // Whoever says that all will be as it was one horizon ago needs no model.
    const start = values.length - test.length - length - horizon + 1
    const misses = Array.from({ length: test.length }, (_, i) => Array.from({ length: horizon }, (_, h) => values[start + i + length + h]! - values[start + i + length + h - Math.min(horizon, length)]!)).flat()
    const [rmse, naive] = [Math.sqrt(mse as number), Math.sqrt(misses.reduce((sum, miss) => sum + miss ** 2, 0) / misses.length)]
    const seen = values.slice(-horizon - length, -horizon)
    return {
      headline: `root mean square error ${figure(rmse)}`,
      rest: `mean absolute error ${figure(loss)}, on ${test.length} windows; as ${Math.min(horizon, length)} steps before: ${figure(naive)}`,
      rows: [],
      figures: { rmse, mae: loss, naive, windows: test.length },
      last: { seen, came: values.slice(-horizon), told: await told(trainer, seen) },
    }
  },

  async panels(_, __, { last: { seen, came, told } }) {
    const missing = seen.slice(1).map(() => NaN)
    const forecast: Panel = (x, y, size) => chart('The last steps: as they came, and as they were told', [
      { name: 'came', values: [...seen, ...came] },
      { name: 'told', values: [...missing, seen.at(-1)!, ...told] },
    ], { x, y, width: size, height: size * 0.75 })
    return [forecast]
  },

  async predict({ model, card }, files, values) {
    const { length, horizon, column } = readingOf(card)
    const trainer = new Trainer(model, trainerOptions)
    for (const file of files.length > 0 ? files : [card.data]) {
      const { name, values: all } = await load(file, column)
      if (all.length < length) throw new ValueError(`${file} has ${all.length} steps; the model reads ${length}.`)
      const next = await told(trainer, all.slice(-length))
      if (values.json === true) say(JSON.stringify({ file, next }))
      else say(`${name}: the next ${horizon} steps\n${table(next.map((value, i) => [`  ${i + 1}`, figure(value)]))}`)
    }
  },
}

async function load(source: string, column: string | undefined): Promise<Series> {
  if (names.includes(source)) return { name: source, values: await data.series(source as data.SeriesName) }
  if (!(await isFile(source))) throw unknownSource(source, names, 'a CSV file')
  const values = await data.csvSeries(source, {
    ...(column === undefined ? {} : { column: /^\d+$/.test(column) ? Number(column) : column }),
    ...(/\.tsv(\.gz)?$/i.test(source) ? { delimiter: '\t' } : {}),
  })
  return { name: basename(source), values }
}

/** Windows of the series; each part holds one at least. */
function windowsOf({ name, values }: Series, length: number, horizon: number, validation: number): data.Windows {
  // A window to train on, and the steps that one to test on tells, and to validate.
  const least = length + horizon * (validation === 0 ? 2 : 3)
  if (values.length < least) throw new ValueError(`${name} has ${values.length} steps; windows of ${length} + ${horizon} to train and to test on take ${least}.\n  Take a smaller --length or --horizon.`)
  const share = (of: number): number => (of === 0 ? 0 : Math.max(of, horizon / values.length))
  return data.windows(values, { length, horizon, scale: 'none', test: share(0.2), validation: share(validation) })
}

async function told(trainer: Trainer, seen: readonly number[]): Promise<number[]> {
  const output = await trainer.predict(tensor(Float32Array.from(seen), { shape: [1, seen.length, 1] }))
  const values = Array.from((await output.data()) as Float32Array)
  output.dispose()
  return values
}

const figure = (value: number): string => String(Number(value.toPrecision(4)))
