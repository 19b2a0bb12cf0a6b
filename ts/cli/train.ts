import { CancelledError, ValueError } from '../index.js'
import { holdsModel } from './bundle.js'
import { catalogue, modelNamed, modelNames, type ModelRow } from './catalogue.js'
import { checkSame, type EarlierRun, earlierRun, removeCheckpoints, type RunOptions } from './checkpoints.js'
import { bold, say } from './console.js'
import { defaultsOf } from './defaults.js'
import { type Interrupt, listen } from './interrupt.js'
import { givenOptions, trainOptions } from './train-options.js'
import { runTraining } from './training.js'
import { parse, refuseForeign, suggestion, UsageError, type Values } from './usage.js'

/** `ferrograd train MODEL ...`: the exit code. */
export async function trainCommand(args: readonly string[]): Promise<number> {
  try {
    return await trainModel(args)
  } catch (error) {
    const model = args.find((arg) => modelNamed(arg) !== undefined)
    throw error instanceof UsageError && model !== undefined ? error.on(model) : error
  }
}

async function trainModel(args: readonly string[]): Promise<number> {
  const { values, files } = await parse('train', args, {
    ...trainOptions,
    out: { type: 'string' },
    resume: { type: 'boolean' },
    overwrite: { type: 'boolean' },
    download: { type: 'boolean' },
  })
  const [model = '', ...rest] = files
  const row = modelNamed(model)
  if (row === undefined)
    throw new UsageError(
      `train: ${model === '' ? 'which model is missing.' : `there is no model '${model}'.${await suggestion(model, Object.keys(catalogue))}`} Write: ferrograd train cnn\n` +
        `  There are ${modelNames}.`,
      'train',
    )
  if (rest.length > 0) throw new UsageError(`train: '${rest.join(' ')}' is not understood: one model is trained, its data is named by --data.`, 'train')
  const { out } = values as { out?: string }
  if (out === undefined || out === '') throw new UsageError('train: --out DIR is missing: the folder that gets the model.', 'train')
  if (values.resume === true && values.overwrite === true)
    throw new UsageError('train: --resume goes on with the run in --out, --overwrite begins anew. Choose one of them.', 'train')
  if (values.download === true) refuseForeign('train', { download: true }, row.task.options.evaluate, row.task.reads, model)
  const given = { model, ...givenOptions(values, model, row) }
  const interrupt = listen(() => say('Saving a checkpoint ... (Ctrl-C once more ends at once)', process.stderr))
  try {
    return await train(row, out, values, given, interrupt)
  } catch (error) {
    // A checkpoint that could not be saved is no resumable stop.
    if (interrupt.code === null || !(error instanceof CancelledError)) throw error
    say(`Stopped. Go on with: ferrograd train ${model} --out ${out} --resume`, process.stderr)
    return interrupt.code
  } finally {
    interrupt.release()
  }
}

async function train(row: ModelRow, out: string, values: Values, given: Partial<RunOptions> & { model: string }, interrupt: Interrupt): Promise<number> {
  const earlier = await earlierRun(out)
  if (values.resume !== true && values.overwrite !== true) await refuseOverwriting(out, earlier)
  const resumed = values.resume === true ? earlier : null
  if (values.resume === true && earlier === null) say(`There is no checkpoint in ${out}; training begins anew.`)
  if (resumed !== null) {
    checkSame(resumed, given)
    if (given.epochs !== undefined && given.epochs < resumed.epoch)
      throw new UsageError(`train: --epochs ${given.epochs} is less than the ${resumed.epoch} epochs that the run in ${out} has trained. Give more, or leave it out.`, 'train')
    say(`Going on from ${resumed.path}.`)
  }
  const chosen: RunOptions = { data: '', ...defaultsOf(given.model), ...resumed?.options, ...given }
  const { task } = row
  if (chosen.data === '') throw new UsageError(`train: --data is missing: ${task.sources}.`, 'train')

  const data = await task.load(chosen.data, { ...chosen, download: values.download === true })
  interrupt.begin()
  if (resumed === null) await removeCheckpoints(out)
  const { test, card } = await runTraining({
    data,
    options: chosen,
    out,
    signal: interrupt.signal,
    ...(resumed === null ? {} : { resume: resumed }),
  })
  say(`${bold(`Test ${test.headline}`)}, ${test.rest}.`)
  say(`${out}: model.safetensors, history.jsonl, report.svg, checkpoints.\nNext: ferrograd predict ${out} ${task.example(card)}`)
  return 0
}

/** Hours of work are not to be lost to a command that was typed again. @throws ValueError */
async function refuseOverwriting(out: string, earlier: EarlierRun | null): Promise<void> {
  if (earlier !== null && earlier.epoch < earlier.options.epochs)
    throw new ValueError(
      `${out} holds a run that ended in epoch ${earlier.epoch + 1} of ${earlier.options.epochs}.\n` +
        `  Go on with --resume, begin anew with --overwrite, or choose another --out.`,
    )
  if (earlier !== null)
    throw new ValueError(
      `${out} holds a finished run of ${earlier.options.epochs} epochs.\n` +
        `  Train it longer with --resume --epochs ${2 * earlier.options.epochs}, begin anew with --overwrite, or choose another --out.`,
    )
  if (await holdsModel(out)) throw new ValueError(`${out} holds a trained model.\n  Replace it with --overwrite, or choose another --out.`)
}
