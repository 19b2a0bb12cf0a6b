import { CancelledError, ValueError } from '../index.js'
import { holdsModel } from './bundle.js'
import { checkSame, type EarlierRun, earlierRun, removeCheckpoints, type RunOptions } from './checkpoints.js'
import { type Classifier, classifierNamed, classifierNames, classifiers } from './classifiers.js'
import { bold, percent, say } from './console.js'
import { type Interrupt, listen } from './interrupt.js'
import { loadImages } from './sources.js'
import { runTraining } from './training.js'
import { type Limits, number, parse, suggestion, UsageError, type Values } from './usage.js'

const optimizers = ['adam', 'adamw', 'sgd', 'rmsprop', 'adagrad']

/** `ferrograd train MODEL ...`: the exit code. */
export async function trainCommand(args: readonly string[]): Promise<number> {
  const { values, files } = await parse('train', args, {
    data: { type: 'string' },
    out: { type: 'string' },
    epochs: { type: 'string' },
    'batch-size': { type: 'string' },
    lr: { type: 'string' },
    optimizer: { type: 'string' },
    validation: { type: 'string' },
    augment: { type: 'boolean' },
    autocast: { type: 'boolean' },
    size: { type: 'string' },
    seed: { type: 'string' },
    resume: { type: 'boolean' },
    overwrite: { type: 'boolean' },
    download: { type: 'boolean' },
  })
  const [model = '', ...rest] = files
  const classifier = classifierNamed(model)
  if (classifier === undefined || rest.length > 0)
    throw new UsageError(
      `train: ${model === '' ? 'which model is missing.' : `there is no model '${files.join(' ')}'.${await suggestion(files.join(' '), Object.keys(classifiers))}`} Write: ferrograd train cnn\n` +
        `  There are ${classifierNames}.`,
      'train',
    )
  const { out } = values as { out?: string }
  if (out === undefined || out === '') throw new UsageError('train: --out DIR is missing: the folder that gets the model.', 'train')
  if (values.resume === true && values.overwrite === true)
    throw new UsageError('train: --resume goes on with the run in --out, --overwrite begins anew. Choose one of them.', 'train')
  const given = { model, ...options(values, classifier) }
  const interrupt = listen(() => say('Saving a checkpoint ... (Ctrl-C once more ends at once)', process.stderr))
  try {
    return await train(out, values, given, interrupt)
  } catch (error) {
    // A checkpoint that could not be saved is no resumable stop.
    if (interrupt.code === null || !(error instanceof CancelledError)) throw error
    say(`Stopped. Go on with: ferrograd train ${model} --out ${out} --resume`, process.stderr)
    return interrupt.code
  } finally {
    interrupt.release()
  }
}

async function train(out: string, values: Values, given: Partial<RunOptions>, interrupt: Interrupt): Promise<number> {
  const earlier = await earlierRun(out)
  if (values.resume !== true && values.overwrite !== true) await refuseOverwriting(out, earlier)
  const resumed = values.resume === true ? earlier : null
  if (values.resume === true && earlier === null) say(`There is no checkpoint in ${out}; training begins anew.`)
  if (resumed !== null) {
    checkSame(resumed, given)
    say(`Going on from ${resumed.path}.`)
  }
  const chosen: RunOptions = { ...defaults, ...resumed?.options, ...given }
  if (chosen.data === '') throw new UsageError('train: --data is missing: digits, cifar10, mnist or a folder.', 'train')

  const images = await loadImages(chosen.data, { download: values.download === true, size: chosen.size })
  const [side] = images.train.inputShape as readonly number[]
  if (given.size !== undefined && given.size !== side)
    throw new UsageError(`train: --size ${given.size} is for images from a folder; those of ${images.name} have ${side} pixels a side. Leave it out.`, 'train')
  interrupt.begin()
  if (resumed === null) await removeCheckpoints(out)
  const { test } = await runTraining({
    images,
    options: chosen,
    out,
    signal: interrupt.signal,
    ...(resumed === null ? {} : { resume: resumed.path }),
  })
  say(`${bold(`Test accuracy ${percent(test.accuracy)}`)}, loss ${test.loss.toFixed(4)} on ${test.samples} images.`)
  say(`${out}: model.safetensors, history.jsonl, report.svg, checkpoints.\nNext: ferrograd predict ${out} IMAGE.png`)
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

const defaults: RunOptions = {
  model: 'cnn',
  data: '',
  epochs: 10,
  batchSize: 32,
  lr: 0.001,
  optimizer: 'adam',
  validation: 0.1,
  augment: false,
  autocast: false,
  size: 32,
  seed: 0,
}

/** The options named on the command line. */
function options(values: Values, { least }: Classifier): Partial<RunOptions> {
  const given: Partial<RunOptions> = {}
  const take = (
    name: string,
    key: 'epochs' | 'batchSize' | 'lr' | 'validation' | 'size' | 'seed',
    limits: Limits,
  ): void => {
    if (values[name] !== undefined) given[key] = number('train', values, name, 0, limits)
  }
  take('epochs', 'epochs', { whole: true, min: 1 })
  take('batch-size', 'batchSize', { whole: true, min: 1 })
  take('lr', 'lr', { min: 0, why: 'a negative rate would climb the loss instead of going down' })
  take('validation', 'validation', { min: 0, below: 1, why: 'it is the share of the training images that is held out, as in 0.1' })
  take('size', 'size', { whole: true, min: least })
  take('seed', 'seed', { whole: true })
  if (typeof values.data === 'string') given.data = values.data
  if (values.augment === true) given.augment = true
  if (values.autocast === true) given.autocast = true
  if (typeof values.optimizer === 'string') {
    if (!optimizers.includes(values.optimizer))
      throw new UsageError(`train: --optimizer is ${optimizers.join(', ')}, not '${values.optimizer}'.`, 'train')
    given.optimizer = values.optimizer
  }
  return given
}
