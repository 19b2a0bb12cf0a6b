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

/** As written on the command line: `--batch-size` for batchSize. */
export const spelled = (key: string): string => `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

/** Refuses options that a model of this kind has no use for. @throws UsageError */
export function refuseForeign(command: string, values: Values, known: readonly string[], reads: string, model: string): void {
  const foreign = Object.keys(values).find((name) => !known.includes(name))
  if (foreign !== undefined) throw new UsageError(`${command}: --${foreign} has no meaning for ${reads}, which ${model} reads.`, command)
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
  ferrograd train lstm --data imdb --out reviews     train a classifier of texts
  ferrograd predict run cat.png photos/              what images show
  ferrograd predict reviews "A wonderful film."      what texts say
  ferrograd evaluate run --data digits               loss and accuracy on test data
  ferrograd doctor                                   what this machine offers, and what is missing

Each command explains itself: ferrograd train --help

Environment: FERROGRAD_NUM_THREADS  threads to compute with
             FERROGRAD_DEVICE       cpu; others are refused with the reason
             FERROGRAD_LOG          silent, error, warn, info (progress), debug
             FERROGRAD_DATA         folder with data sets (cifar10/, mnist/, imdb/, sentences/ ...)
             FERROGRAD_CACHE        folder for downloads
             FERROGRAD_TRACE=1      stack traces with errors
             NO_COLOR=1             no colours
`

const train = `Trains a model on images, texts, characters, recordings or series and writes everything to a folder.

  ferrograd train cnn --data digits --epochs 10 --seed 1 --out run
  ferrograd train resnet20 --data cifar10 --epochs 30 --augment --out run
  ferrograd train cnn --data pets --out run          pets/cat/1.png, pets/dog/1.jpg ...
  ferrograd train lstm --data imdb --out run
  ferrograd train textcnn --data reviews.csv --text-column review --label-column stars --out run
  ferrograd train tagger --data fsdd --out run
  ferrograd train forecast --data airline --out run

  Images:
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
  --augment            shifts images at random, and mirrors colour images
  --size N             height and width of images from a folder (32); cnn takes 18 and more, lenet 16, vgg 8
  --download           fetches CIFAR-10 (162 MiB) where it is not at hand

  Texts:
  lstm         word vectors, an LSTM with dropout; 4 epochs, a fifth held out
  textcnn      word vectors, filters over 3, 4 and 5 words (Kim 2014); 4 epochs in batches of 50

  --data NAME          imdb        film reviews, from $FERROGRAD_DATA/imdb or the cache; --download fetches them (80 MiB)
                       mr, subj, cr, mpqa, trec6, sst2, sst5
                                   sentences, from $FERROGRAD_DATA/sentences or the cache
                       FILE        .csv, .tsv or .jsonl, .gz too, a row a text
                       FOLDER      of .txt files, a folder for each class (or such folders below train/ and test/)
  --text-column NAME   of a file: where the text stands (text)
  --label-column NAME  where its class stands (label)
  --delimiter TEXT     what stands between its fields (',', of .tsv '\\t')
  --vocabulary N       words known at most, padding and the unknown among them (20,000)
  --length N           words of a text that are read, its last ones (200 of reviews, 64 of sentences)

  Characters:
  charrnn      two LSTM layers that learn to go on with a text; reads rows of characters, learning rate 0.002

  --data NAME|FILE     tinyshakespeare   from $FERROGRAD_DATA/tinyshakespeare or the cache
                       FILE              any text in UTF-8; its last tenth is to test on
  --length N           characters of a row (100)

  Recordings:
  tagger       a bidirectional LSTM over log-mel energies; 20 epochs, learning rate 0.005

  --data NAME|FOLDER|FILE
                       fsdd        spoken digits, from $FERROGRAD_DATA/fsdd or the cache
                       japanese-vowels, basic-motions, italy-power-demand
                                   sequences, from $FERROGRAD_DATA/sequences or the cache
                       FOLDER      of WAV files, a folder for each class (or such folders below train/ and test/)
                       FILE        .jsonl or .json, features instead of sound, a line a sequence:
                                   {"x": [[0.1, 0.2], [0.3, 0.4]], "y": "class"}, of each step its numbers
  --bands N            log-mel bands of recordings (40)

  Series:
  forecast     a GRU that tells the next steps from the last; 40 epochs in batches of 16, learning rate 0.01

  --data NAME|FILE     airline, lynx, shampoosales   from $FERROGRAD_DATA/sequences or the cache
                       FILE        .csv or .tsv, a row a step; its last fifth is to test on
  --column NAME|N      of a file: where the numbers stand, by name or number from 0 (the last column)
  --length N           steps that are seen (24)
  --delimiter TEXT     of a file: what stands between fields (',', of .tsv '\\t')
  --horizon N          steps that are told (12)
  --season N           steps of a season, as 7 of a week of days: the error is shown beside that of telling what
                       stood a season before (12 of airline and shampoosales; else beside the last value alone)

  All:
  --out DIR            gets model.safetensors, checkpoint-*.safetensors, history.jsonl, report.svg
  --epochs N           passes over the training data (10)
  --batch-size N       samples a step (32)
  --lr X               learning rate (0.001)
  --optimizer NAME     adam, adamw, sgd, rmsprop, adagrad (adam)
  --validation X       share of the training data, below 1, held out to watch training; 0 for none (0.1)
  --autocast           trains in mixed precision: products in bfloat16, weights in float32
  --seed S             same seed, same weights to the last bit (0)
  --resume             goes on from the newest checkpoint in --out
  --overwrite          begins anew where --out holds a run, stopped or finished

Ctrl-C saves a checkpoint and ends with 130, SIGTERM likewise with 143; a second signal ends at once. The whole of
training is repeatable: what was stopped and resumed ends with the same weights as what ran through.
npx does not pass SIGTERM on: where a supervisor sends it, start node_modules/.bin/ferrograd instead.
`

const predict = `Says what images show, or texts say, with the model of a training run.

  ferrograd predict run cat.png photos/              files, or folders of PNG and JPEG
  ferrograd predict run photos/ --top 3              the three likeliest classes of each
  ferrograd predict run photos/ --json               one JSON object a line
  ferrograd predict reviews "A wonderful film." "Boring."
  ferrograd predict reviews --file reviews.txt       a text a line; - reads the standard input

  ferrograd predict plays "ROMEO:" --length 500 --temperature 0.8 --seed 1
                                                     what a charrnn writes behind it
  ferrograd predict words yes.wav                    what recordings say, with the model of a tagger
  ferrograd predict vowels new.jsonl steps.csv       of one that was trained on features: JSON lines and JSON as in
                                                     train, y or not; a CSV file is a sequence, a row a step
  ferrograd predict sales                            the next steps of the series that was trained on
  ferrograd predict sales newer.csv --json           of another: {"file", "next": [...]}

  --top K              how many classes to print (1)
  --file FILE          texts, a line each
  --length N           characters to write (200)
  --temperature T      0 takes the likeliest character, 1 draws each as often as the model expects it (0.8)
  --seed S             the same seed writes the same; left out, each call writes anew
  --column, --delimiter
                       of another series, where they are not those of training
  --json               {"file" or "text", "class", "probability", "classes": [{"class", "probability"} ...]},
                       of a charrnn {"prompt", "text"}
`

const evaluate = `Measures a trained model on test data.

  ferrograd evaluate run --data cifar10
  ferrograd evaluate run --data pets --json

  --data NAME|FOLDER   as in train, where it is left out what training read; of a folder without test/ the fifth
                       that training leaves out
  --column, --text-column, --label-column, --delimiter, --season
                       as in train, where they are not those of training
  --all                all images of the folder, those trained on too
  --batch-size N       samples at a time (256)
  --json               last line: {"accuracy", "loss", "samples", "classes": {NAME: accuracy ...}}
`

const doctor = `Shows versions, processor, vector instructions, threads, memory and CUDA, and what is missing.

  ferrograd doctor
  ferrograd doctor --json
`

/** Help by command; '' for all of them. */
export const help: Readonly<Record<string, string>> = { '': general, train, predict, evaluate, doctor }
