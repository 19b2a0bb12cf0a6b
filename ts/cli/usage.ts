// Mistakes in the command line, and the help that avoids them.
import { parseArgs, type ParseArgsConfig } from 'node:util'

/** A mistake in the command line: exit code 2. */
export class UsageError extends Error {
  constructor(message: string, command?: string) {
    super(`${message}\n  See: ${command === 'demo' ? 'npm run demo -- --help' : `ferrograd ${command === undefined ? '' : `${command} `}--help`}`)
    this.name = 'UsageError'
  }
}

type Options = NonNullable<ParseArgsConfig['options']>
/** Values by option name. */
export type Values = Record<string, string | boolean | undefined>

/** The question whether the nearest of `known` was meant. What knows is loaded when a word is wrong, as help needs no addon. */
export async function suggestion(word: string, known: readonly string[]): Promise<string> {
  const near = await import('../internal.js').then(
    ({ nearest }) => nearest(word, known),
    () => undefined,
  )
  return near === undefined ? '' : ` Did you mean '${near}'?`
}

/** Parses the arguments of a command. @throws UsageError */
export async function parse(command: string, args: readonly string[], options: Options): Promise<{ values: Values; files: string[] }> {
  const takesValue = (arg: string): boolean => arg.startsWith('--') && options[arg.slice(2)]?.type === 'string'
  // A negative number is a value, if a wrong one: what is wrong with it is said by whoever wants the number.
  const joined: string[] = []
  for (const arg of args) {
    const before = joined.at(-1)
    if (before !== undefined && takesValue(before) && /^-[\d.]/.test(arg)) joined.splice(-1, 1, `${before}=${arg}`)
    else joined.push(arg)
  }
  const dashed = joined.find((arg, i) => takesValue(arg) && joined[i + 1]?.startsWith('-') === true)
  if (dashed !== undefined) {
    const value = joined[joined.indexOf(dashed) + 1] as string
    throw new UsageError(
      `${command}: ${dashed} is followed by '${value}', which looks like an option.\n  If it is the value, write ${dashed}=${value}; if not, the value is missing.`,
      command,
    )
  }
  try {
    const { values, positionals } = parseArgs({
      args: joined,
      options: { ...options, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
      strict: true,
    })
    return { values: values as Values, files: positionals }
  } catch (error) {
    // Node's messages go on with advice on `--`, which is of no use here.
    const fault = ((error as Error).message.split(/\. /)[0] as string).replace(/\.$/, '')
    const unknown = /^Unknown option '(--[^']+)'/.exec(fault)?.[1]
    const near = unknown === undefined ? '' : await suggestion(unknown, Object.keys(options).map((name) => `--${name}`))
    throw new UsageError(`${command}: ${fault}.${near}`, command)
  }
}

/** What a number may be. */
export interface Limits {
  whole?: boolean
  /** The least, itself allowed. */
  min?: number
  /** The end, itself not allowed. */
  below?: number
  /** The reason for the limits, where they are not obvious. */
  why?: string
}

/** A number among the options. @throws UsageError */
export function number(
  command: string,
  values: Values,
  name: string,
  fallback: number,
  { whole = false, min = -Infinity, below = Infinity, why }: Limits = {},
): number {
  const text = values[name]
  if (text === undefined) return fallback
  const value = Number(text)
  const range = `${min > -Infinity ? ` of at least ${min}` : ''}${below < Infinity ? ` and below ${below}` : ''}`
  if (text === '' || !Number.isFinite(value) || (whole && !Number.isInteger(value)) || value < min || value >= below) {
    const reason = why === undefined || !Number.isFinite(value) ? '' : `: ${why}`
    throw new UsageError(`${command}: --${name} is ${whole ? 'a whole number' : 'a number'}${range}, not '${String(text)}'${reason}.`, command)
  }
  return value
}

const general = `Ferrograd trains and runs neural networks inside Node.

  ferrograd train cnn --data digits --out run        train an image classifier
  ferrograd predict run cat.png photos/              what images show
  ferrograd evaluate run --data digits               loss and accuracy on test data
  ferrograd doctor                                   what this machine offers, and what is missing

Each command explains itself: ferrograd train --help

Environment: FERROGRAD_NUM_THREADS  threads to compute with
             FERROGRAD_DEVICE       cpu; others are refused with the reason
             FERROGRAD_LOG          silent, error, warn, info (progress), debug
             FERROGRAD_DATA         folder with data sets (cifar10/, mnist/)
             FERROGRAD_CACHE        folder for downloads
             FERROGRAD_TRACE=1      stack traces with errors
             NO_COLOR=1             no colours
`

const train = `Trains a model on images and writes everything to a folder.

  ferrograd train cnn --data digits --epochs 10 --seed 1 --out run
  ferrograd train resnet20 --data cifar10 --epochs 30 --augment --out run
  ferrograd train cnn --data pets --out run          pets/cat/1.png, pets/dog/1.jpg ...

  cnn          three convolutions, two dense layers
  mlp          dense layers of 512 and 256
  lenet        LeNet-5: two convolutions, three dense layers
  vgg          VGG-small: six convolutions with batch normalisation
  resnet20, resnet56             residual, made for CIFAR
  resnet18, resnet34, resnet50   residual, made for ImageNet; images of up to 64 pixels keep their size in the stem
  densenet40, densenet100        DenseNet-BC, growth rate 12: each layer sees all before it

  --data NAME|FOLDER   digits      1,797 handwritten digits that come with the package
                       cifar10     from $FERROGRAD_DATA/cifar10 or the cache; --download fetches it
                       mnist       from $FERROGRAD_DATA/mnist
                       FOLDER      of CIFAR-10's or MNIST's files, or with a folder of PNG or JPEG
                                   images for each class (or such folders below train/ and test/)
  --out DIR            gets model.safetensors, checkpoint-*.safetensors, history.jsonl, report.svg
  --epochs N           passes over the training data (10)
  --batch-size N       images a step (32)
  --lr X               learning rate (0.001)
  --optimizer NAME     adam, adamw, sgd, rmsprop, adagrad (adam)
  --validation X       share of the training data, below 1, held out to watch training; 0 for none (0.1)
  --augment            shifts images at random, and mirrors colour images
  --autocast           trains in mixed precision: products in bfloat16, weights in float32
  --size N             height and width of images from a folder (32); cnn takes 18 and more, lenet 16, vgg 8
  --seed S             same seed, same weights to the last bit (0)
  --resume             goes on from the newest checkpoint in --out
  --overwrite          begins anew where --out holds a run, stopped or finished
  --download           fetches CIFAR-10 (162 MiB) where it is not at hand

Ctrl-C saves a checkpoint and ends with 130, SIGTERM likewise with 143; a second signal ends at once. The whole of
training is repeatable: what was stopped and resumed ends with the same weights as what ran through.
npx does not pass SIGTERM on: where a supervisor sends it, start node_modules/.bin/ferrograd instead.
`

const predict = `Says what images show, with the model of a training run.

  ferrograd predict run cat.png photos/              files, or folders of PNG and JPEG
  ferrograd predict run photos/ --top 3              the three likeliest classes of each
  ferrograd predict run photos/ --json               one JSON object a line

  --top K              how many classes to print (1)
  --json               {"file", "class", "probability", "classes": [{"class", "probability"} ...]}
`

const evaluate = `Measures a trained model on test data.

  ferrograd evaluate run --data cifar10
  ferrograd evaluate run --data pets --json

  --data NAME|FOLDER   as in train; of a folder without test/ the fifth that training leaves out
  --all                all images of the folder, those trained on too
  --batch-size N       images at a time (256)
  --json               last line: {"accuracy", "loss", "samples", "classes": {NAME: accuracy ...}}
`

const doctor = `Shows versions, processor, vector instructions, threads, memory and CUDA, and what is missing.

  ferrograd doctor
  ferrograd doctor --json
`

/** Help by command; '' for all of them. */
export const help: Readonly<Record<string, string>> = { '': general, train, predict, evaluate, doctor }
