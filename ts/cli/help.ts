// What `--help` says. It needs no addon, so that it is there where the addon is not.
import { defaultsOf } from './defaults.js'

/** A kind of data: its models, and what the commands take of it. */
interface Kind {
  title: string
  models: Readonly<Record<string, string>>
  examples: string
  /** Options of `train`. */
  train: string
}

const kinds: readonly Kind[] = [
  {
    title: 'Images',
    models: {
      cnn: 'three convolutions, two dense layers',
      mlp: 'dense layers of 512 and 256',
      lenet: 'LeNet-5: two convolutions, three dense layers',
      vgg: 'VGG-small: six convolutions with batch normalisation',
      resnet20: 'residual, 20 layers, made for CIFAR',
      resnet56: 'residual, 56 layers, made for CIFAR',
      resnet18: 'residual, 18 layers, made for ImageNet; images of up to 64 pixels keep their size in the stem',
      resnet34: 'residual, 34 layers, made for ImageNet',
      resnet50: 'residual, 50 layers in bottlenecks, made for ImageNet',
      densenet40: 'DenseNet-BC, 40 layers, growth rate 12: each layer sees all before it',
      densenet100: 'DenseNet-BC, 100 layers, growth rate 12',
    },
    examples: `
  ferrograd train MODEL --data digits --epochs 10 --seed 1 --out run
  ferrograd train MODEL --data cifar10 --epochs 30 --augment --out run
  ferrograd train MODEL --data pets --out run        pets/cat/1.png, pets/dog/1.jpg ...`,
    train: `
  --data NAME|FOLDER   digits      1,797 handwritten digits that come with the package
                       cifar10     from $FERROGRAD_DATA/cifar10 or the cache; --download fetches it
                       mnist       from $FERROGRAD_DATA/mnist or the cache
                       FOLDER      of CIFAR-10's or MNIST's files, or with a folder of PNG or JPEG images for
                                   each class, a fifth of them to test on, or such folders below train/ and test/
  --augment            shifts images at random, and mirrors colour images
  --size N             height and width of images from a folder (32); cnn takes 18 and more, lenet 16, vgg 8
  --download           fetches CIFAR-10 (162 MiB) where it is not at hand`,
  },
  {
    title: 'Texts',
    models: {
      lstm: 'word vectors, an LSTM with dropout',
      textcnn: 'word vectors, filters over 3, 4 and 5 words (Kim 2014)',
    },
    examples: `
  ferrograd train MODEL --data imdb --out run
  ferrograd train MODEL --data reviews.csv --text-column review --label-column stars --out run
  ferrograd train MODEL --data letters --out run     letters/offer/1.txt, letters/order/2.txt ...`,
    train: `
  --data NAME|FILE|FOLDER
                       imdb        film reviews, from $FERROGRAD_DATA/imdb or the cache; --download fetches them
                       mr, subj, cr, mpqa, trec6, sst2, sst5
                                   sentences, from $FERROGRAD_DATA/sentences or the cache
                       FILE        .csv, .tsv or .jsonl, .gz too, a row a text; a fifth of them is to test on
                       FOLDER      of .txt files, a folder for each class, or such folders below train/ and test/
  --text-column NAME   column, or key of JSON lines, of the text (text)
  --label-column NAME  that of its class (label)
  --delimiter TEXT     what stands between the fields of a CSV file (',', of .tsv '\\t')
  --vocabulary N       words known at most, padding and the unknown among them (20,000)
  --length N           words of a text that are read, its last ones (200; 64 of the sentences)
  --download           fetches imdb (80 MiB) where it is not at hand`,
  },
  {
    title: 'Characters',
    models: { charrnn: 'two LSTM layers that learn to go on with a text' },
    examples: `
  ferrograd train MODEL --data tinyshakespeare --out run
  ferrograd train MODEL --data letters.txt --epochs 20 --out run`,
    train: `
  --data NAME|FILE     tinyshakespeare   from $FERROGRAD_DATA/tinyshakespeare or the cache
                       FILE              any text in UTF-8; its last tenth is to test on
  --length N           characters of a row (100)`,
  },
  {
    title: 'Recordings, and other sequences',
    models: { tagger: 'a bidirectional LSTM over log-mel energies, or features of one\'s own' },
    examples: `
  ferrograd train MODEL --data fsdd --out run
  ferrograd train MODEL --data words --out run       words/yes/1.wav, words/no/1.wav ...
  ferrograd train MODEL --data moves.jsonl --out run`,
    train: `
  --data NAME|FOLDER|FILE
                       fsdd        spoken digits, from $FERROGRAD_DATA/fsdd or the cache
                       japanese-vowels, basic-motions, italy-power-demand
                                   sequences, from $FERROGRAD_DATA/sequences or the cache
                       FOLDER      of WAV files, a folder for each class, a fifth of them to test on, or such
                                   folders below train/ and test/
                       FILE        .jsonl or .json of sequences, a fifth of them to test on:
                                   {"x": [[0.1, 0.2], [0.3, 0.4]], "y": "class"}, of each step its numbers
  --bands N            log-mel bands of recordings (40)`,
  },
  {
    title: 'Series',
    models: { forecast: 'a GRU that tells the next steps from the last' },
    examples: `
  ferrograd train MODEL --data airline --out run
  ferrograd train MODEL --data sales.csv --column sold --length 28 --horizon 7 --season 7 --out run`,
    train: `
  --data NAME|FILE     airline, lynx, shampoosales   from $FERROGRAD_DATA/sequences or the cache
                       FILE        .csv or .tsv, .gz too, a row a step; its last fifth is to test on
  --column NAME|N      of a file: where the numbers stand, by name or number from 0 (the last column)
  --delimiter TEXT     of a file: what stands between its fields (',', of .tsv '\\t')
  --length N           steps that are seen (24; 12 of shampoosales)
  --horizon N          steps that are told (12; 3 of shampoosales)
  --season N           steps of a season, as 7 where days make weeks: the error is shown beside that of telling what
                       stood a season before (12 of airline and shampoosales; else beside the last value alone)`,
  },
]

const common = (model: string): string => {
  const { epochs, batchSize, lr, optimizer, validation, seed } = defaultsOf(model)
  return `
  --out DIR            gets model.safetensors, checkpoint-*.safetensors, history.jsonl, report.svg
  --epochs N           passes over the training data (${epochs})
  --batch-size N       samples a step (${batchSize})
  --lr X               learning rate (${lr})
  --optimizer NAME     adam, adamw, sgd, rmsprop, adagrad (${optimizer})
  --validation X       share of the training data, below 1, held out to watch training; 0 for none (${validation})
  --autocast           trains in mixed precision: products in bfloat16, weights in float32
  --seed S             same seed, same weights to the last bit (${seed})
  --resume             goes on from the newest checkpoint in --out, with the options that the run began with
  --overwrite          begins anew where --out holds a run, stopped or finished

Ctrl-C saves a checkpoint and ends with 130, SIGTERM likewise with 143; a second signal ends at once. The whole of
training is repeatable: what was stopped and resumed ends with the same weights as what ran through.
npx does not pass SIGTERM on: where a supervisor sends it, start node_modules/.bin/ferrograd instead.
`
}

const listed = ({ title, models }: Kind): string => `  ${title}:\n${Object.entries(models).map(([name, about]) => `  ${name.padEnd(13)}${about}`).join('\n')}`

/** Of one model, or of all. */
function train(model: string): string {
  const kind = kinds.find(({ models }) => Object.hasOwn(models, model))
  if (kind !== undefined) return `${model}: ${kind.models[model]}\n${kind.examples.replaceAll('MODEL', model)}\n${kind.train}\n${common(model)}`
  return `Trains a model and writes everything to a folder.

  ferrograd train MODEL --data NAME|FOLDER|FILE --out DIR
  ferrograd train MODEL --help                       the data of a model, and its options

${kinds.map(listed).join('\n\n')}

Options of all models; of some the values in brackets are other ones, as their own help shows:
${common('')}`
}

const general = `Ferrograd trains and runs neural networks inside Node.

  ferrograd train cnn --data digits --out run           a classifier of images
  ferrograd train lstm --data imdb --out reviews        one of texts
  ferrograd train tagger --data fsdd --out words        one of recordings, or of other sequences
  ferrograd train charrnn --data plays.txt --out plays  what goes on with a text
  ferrograd train forecast --data sales.csv --out sales what tells the next steps of a series
  ferrograd predict run cat.png photos/                 what images show
  ferrograd predict reviews "A wonderful film."         what texts say
  ferrograd evaluate run                                loss and accuracy on test data
  ferrograd doctor                                      what this machine offers, and what is missing
  ferrograd --version

Each command explains itself, and train each model: ferrograd train --help, ferrograd train cnn --help

Environment: FERROGRAD_NUM_THREADS  threads to compute with
             FERROGRAD_DEVICE       cpu; others are refused with the reason
             FERROGRAD_LOG          silent, error, warn, info (progress), debug
             FERROGRAD_DATA         folder with data sets (cifar10/, mnist/, imdb/, sentences/ ...)
             FERROGRAD_CACHE        folder for downloads
             FERROGRAD_TRACE=1      stack traces with errors
             NO_COLOR=1             no colours

Exit codes: 0, 1 for a failure, 2 for a mistake in the command line, 130 after Ctrl-C, 143 after SIGTERM.
`

const predict = `Says what the model of a training run makes of files or texts.

  ferrograd predict DIR INPUT...                        DIR is what --out was, or its model.safetensors

  Images:
  ferrograd predict run cat.png photos/                 PNG and JPEG files, or folders of them
  ferrograd predict run photos/ --top 3 --json

  Texts:
  ferrograd predict reviews "A wonderful film." "Boring."
  ferrograd predict reviews --file reviews.txt          a text a line; - reads the standard input

  Characters:
  ferrograd predict plays "ROMEO:" --length 500 --temperature 0.8 --seed 1
                                                        what the model writes behind it

  Recordings, and other sequences:
  ferrograd predict words yes.wav more/                 WAV files, or folders of them
  ferrograd predict moves new.jsonl steps.csv           of a model of features: .jsonl and .json as train reads them,
                                                        "y" left out; a .csv file is a sequence, a row a step

  Series:
  ferrograd predict sales                               the next steps of the series that was trained on
  ferrograd predict sales newer.csv                     of another

  --json               an object a line: {"file" or "text", "class", "probability",
                       "classes": [{"class", "probability"} ...]}, of characters
                       {"prompt", "text"}, of a series {"file", "next": [...]}
  --top K              of images, texts and recordings: the K likeliest classes of each (1)
  --file FILE          of texts: a text a line
  --length N           of characters: how many are written (200)
  --temperature T      of characters: 0 takes the likeliest one, 1 draws each as often as the model expects it (0.8)
  --seed S             of characters: the same seed writes the same; left out, each call writes anew
  --delimiter TEXT     of CSV files of series and features: what stands between fields (as in training, else ',')
  --column NAME|N      of a series: where the numbers stand (as in training)
`

const evaluate = `Measures the model of a training run on test data.

  ferrograd evaluate DIR                                on the test part of the data that it was trained on
  ferrograd evaluate DIR --data cifar10                 on that of other data
  ferrograd evaluate DIR --data pets --json

  --data SOURCE        as train takes it; of folders and files without a test part of their own the fifth (of
                       characters the tenth) that training leaves out
  --batch-size N       samples at a time (256)
  --json               last line: {"accuracy", "loss", "samples", "classes": {NAME: accuracy ...}}, of characters
                       {"bitsPerCharacter", "perplexity", "loss", "accuracy", "characters"}, of a series
                       {"rmse", "mae", "naive", "seasonalNaive", "windows"}
  --all                of images: all of the folder, those trained on too
  --download           fetches cifar10 or imdb where it is not at hand
  --text-column, --label-column, --column, --delimiter
                       of files: as in train, where they are not those of training
  --season N           of a series: as in train
`

const doctor = `Shows versions, processor, vector instructions, threads, memory and CUDA, and what is missing.

  ferrograd doctor
  ferrograd doctor --json
`

const pages: Readonly<Record<string, string>> = { '': general, predict, evaluate, doctor }

/** Help on a command, of `train` on a model too where one is among `words`. Without a command, or with one that is not known, on all. */
export function helpOn(command = '', words: readonly string[] = []): string {
  if (command === 'train') return train(words.find((word) => kinds.some(({ models }) => Object.hasOwn(models, word))) ?? '')
  return (Object.hasOwn(pages, command) ? pages[command] : general) as string
}
