import { loadBundle } from './bundle.js'
import { parse, refuseForeign, UsageError } from './usage.js'

/** `ferrograd predict DIR INPUTS...`: the exit code. */
export async function predictCommand(args: readonly string[]): Promise<number> {
  const {
    values,
    files: [folder, ...inputs],
  } = await parse('predict', args, {
    json: { type: 'boolean' },
    top: { type: 'string' },
    file: { type: 'string' },
    length: { type: 'string' },
    temperature: { type: 'string' },
    seed: { type: 'string' },
    column: { type: 'string' },
    delimiter: { type: 'string' },
  })
  if (folder === undefined) throw new UsageError('predict: the folder of a training run is missing.', 'predict')
  const { row, ...bundle } = await loadBundle(folder)
  refuseForeign('predict', values, ['json', ...row.task.options.predict], row.task.reads, bundle.card.model)
  await row.task.predict(bundle, inputs, values)
  return 0
}
