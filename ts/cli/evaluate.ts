import { loadBundle } from './bundle.js'
import { say, table } from './console.js'
import { readOptions } from './train-options.js'
import { number, parse, refuseForeign, UsageError } from './usage.js'

/** `ferrograd evaluate DIR --data ...`: the exit code. */
export async function evaluateCommand(args: readonly string[]): Promise<number> {
  const {
    values,
    files: [folder, ...rest],
  } = await parse('evaluate', args, {
    data: { type: 'string' },
    all: { type: 'boolean' },
    json: { type: 'boolean' },
    'batch-size': { type: 'string' },
    download: { type: 'boolean' },
    season: { type: 'string' },
    column: { type: 'string' },
    'text-column': { type: 'string' },
    'label-column': { type: 'string' },
    delimiter: { type: 'string' },
  })
  if (folder === undefined) throw new UsageError('evaluate: the folder of a training run is missing.', 'evaluate')
  if (rest.length > 0) throw new UsageError(`evaluate: '${rest.join(' ')}' is not understood: one training run is measured, other data is named by --data.`, 'evaluate')
  const batchSize = number('evaluate', values, 'batch-size', 256, { whole: true, min: 1 })
  const { row, ...loaded } = await loadBundle(folder)
  const { task } = row
  refuseForeign('evaluate', values, ['data', 'json', 'batch-size', ...task.options.evaluate], task.reads, loaded.card.model)
  // Files are read as they were to train, but for what is named here.
  const card = { ...loaded.card, reading: { ...loaded.card.reading, ...readOptions('evaluate', values, task.options.evaluate) } }
  const source = typeof values.data === 'string' ? values.data : card.data
  const data = await task.load(source, { ...card.reading, card, download: values.download === true, all: values.all === true })
  const { headline, rest: more, rows, figures } = await task.test({ ...loaded, card }, data, { batchSize })
  say(`${source}: ${headline}, ${more}`)
  if (rows.length > 0) say(table(rows))
  if (values.json === true) say(JSON.stringify(figures))
  return 0
}
