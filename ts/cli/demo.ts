// `npm run demo`: the whole job in one go, on whatever data is at hand.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { CancelledError, optim } from '../index.js'
import { holdsCifar10 } from '../data/cifar10.js'
import { withFileErrors } from '../internal.js'
import { removeCheckpoints, type RunOptions } from './checkpoints.js'
import { bold, describeError, say, table } from './console.js'
import { type Interrupt, listen } from './interrupt.js'
import { type ImageData, loadImages } from './tasks/image-sources.js'
import { runTraining } from './training.js'
import { number, parse, UsageError } from './usage.js'

/** What the demo does. */
export interface DemoOptions {
  /** A folder of CIFAR-10's binary files, or of images; 'digits' for those. Default: CIFAR-10 where it is at hand, else digits. */
  data?: string | undefined
  /** Fetches CIFAR-10 where it is not at hand. */
  download?: boolean
  /** Default 'demo'. */
  out?: string
  /** Default 8 on digits, 6 on others. */
  epochs?: number | undefined
  seed?: number
}

const usage = `Trains the CNN, measures it, and saves it.

  npm run demo                          on CIFAR-10 in $FERROGRAD_DATA or the cache, else on the digits that come along
  npm run demo -- --data FOLDER         on CIFAR-10's binary files, or a folder of images for each class
  npm run demo -- --data digits
  npm run demo -- --download            fetches CIFAR-10 (162 MiB, checksum compared) into the cache first
  npm run demo -- --epochs N --seed S --out DIR
`

/** The demo, from command line arguments: the exit code. Takes options too. */
export async function demo(given: readonly string[] | DemoOptions = {}): Promise<number> {
  const interrupt = listen(() => say('Stopping ... (Ctrl-C once more ends at once)', process.stderr))
  try {
    const options = isList(given) ? await fromArguments(given) : given
    if (options === null) {
      say(usage)
      return 0
    }
    return await runDemo(options, interrupt)
  } catch (error) {
    if (interrupt.code !== null && error instanceof CancelledError) return interrupt.code
    // Mistakes in the arguments say so themselves.
    say(`${error instanceof UsageError ? '' : 'demo: '}${describeError(error)}`, process.stderr)
    return error instanceof UsageError ? 2 : 1
  } finally {
    interrupt.release()
  }
}

async function runDemo(
  { data: source, download = false, out = 'demo', epochs, seed = 0 }: DemoOptions,
  interrupt: Interrupt,
): Promise<number> {
  const { images, name } = await chooseData(source, download)
  interrupt.begin()
  await removeCheckpoints(out)
  await withFileErrors('remove', join(out, 'report.svg'), true, () => rm(join(out, 'report.svg'), { force: true }))
  const digits = name === 'digits'
  const options: RunOptions = {
    model: 'cnn',
    data: name,
    epochs: epochs ?? (digits ? 8 : 6),
    batchSize: 32,
    lr: 0.001,
    optimizer: 'adam',
    validation: 0.1,
    augment: !digits,
    size: 32,
    seed,
  }
  const { test } = await runTraining({ data: images, options, out, signal: interrupt.signal, schedule: optim.cosineWarmup(0.05) })
  say(`\n${bold(`Test ${test.headline}`)}, ${test.rest}`)
  say(table(test.rows))
  say(`\nCurves, confusion matrix and predictions: ${join(out, 'report.svg')}`)
  say(`The model: ${join(out, 'model.safetensors')}. Use it: npx ferrograd predict ${out} IMAGE.png`)
  return 0
}

/** CIFAR-10 where it is at hand, digits otherwise, at once and saying so. */
async function chooseData(source: string | undefined, download: boolean): Promise<{ images: ImageData; name: string }> {
  if (source !== undefined) return { images: await loadImages(source), name: source }
  if (download || (await holdsCifar10(undefined))) return { images: await loadImages('cifar10', { download }), name: 'cifar10' }
  say(
    'CIFAR-10 is not at hand: training on the 1,797 handwritten digits that come with the package.\n' +
      '  For CIFAR-10: npm run demo -- --data FOLDER, or --download (162 MiB).',
  )
  return { images: await loadImages('digits'), name: 'digits' }
}

async function fromArguments(args: readonly string[]): Promise<DemoOptions | null> {
  const { values, files } = await parse('demo', args, {
    data: { type: 'string' },
    download: { type: 'boolean' },
    out: { type: 'string' },
    epochs: { type: 'string' },
    seed: { type: 'string' },
  })
  if (values.help === true) return null
  if (files.length > 0) throw new UsageError(`demo: ${files.join(' ')} is not understood.`, 'demo')
  return {
    data: values.data as string | undefined,
    download: values.download === true,
    out: (values.out as string | undefined) ?? 'demo',
    epochs: values.epochs === undefined ? undefined : number('demo', values, 'epochs', 0, { whole: true, min: 1 }),
    seed: number('demo', values, 'seed', 0, { whole: true }),
  }
}

function isList(given: readonly string[] | DemoOptions): given is readonly string[] {
  return Array.isArray(given)
}
