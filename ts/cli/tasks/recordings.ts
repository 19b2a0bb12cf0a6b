// Recordings, and other sequences of features, in classes.
import { readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { CheckpointError, data, FileFormatError, Trainer, type train, ValueError } from '../../index.js'
import { withFileErrors } from '../../internal.js'
import type { Bundle, Card } from '../bundle.js'
import { dataSets, isFile, isFolder, refuseFileOptions, unknownSource } from '../files.js'
import { confusionMatrix, imagePredictions } from '../panels.js'
import { UsageError } from '../usage.js'
import { accuracyChart, type ClassesTested, classTraining, sayClasses, testClasses, topOf } from './classes.js'
import { drawFeatures } from './feature-samples.js'
import { readSequences, sequenceFile, type SequenceRow } from './sequence-files.js'
import { type LoadOptions, type Task, wholes } from './task.js'

/** What the data says of a model for sequences. */
export interface SequenceConfig {
  /** Features of a step. */
  inputs: number
  classes: number
}

interface Sequences extends data.TrainTest {
  name: string
  noun: string
  /** Samples a second of WAV files that give the same features; missing where the features are other ones. */
  sampleRate?: number
}

const sets: readonly string[] = dataSets.sequences.filter((name) => name !== 'fsdd')
/** The share of a folder without test/ that training leaves out; its seed is fixed, so that `evaluate` finds the same recordings. */
const heldOut = { validation: 0.2, seed: 0 }
const configOf = (card: Card): SequenceConfig => card.config as unknown as SequenceConfig
const trainerOptions: train.TrainerOptions = classTraining
const trainerOf = ({ model }: Bundle): Trainer => new Trainer(model, trainerOptions)

export const recordings: Task<Sequences, ClassesTested> = {
  name: 'recordings',
  reads: 'recordings',
  sources: 'fsdd, japanese-vowels, basic-motions, italy-power-demand, a folder of WAV files, or a JSON lines file of features',
  example: ({ reading }) => (reading?.sampleRate === undefined ? 'SEQUENCES.jsonl' : 'RECORDING.wav'),
  options: { train: ['bands'], evaluate: [], predict: ['top', 'delimiter'] },
  charts: [accuracyChart],

  knows(card) {
    const { inputs, classes } = configOf(card)
    return wholes(inputs, classes) && card.classes?.length === classes
  },

  load,

  async plan({ train: all, test, name, noun, sampleRate }, { model, data: source, validation, seed, batchSize }) {
    const parts: { train: data.Dataset; validation?: data.Dataset } = validation === 0 ? { train: all } : await data.split(all, { validation, seed })
    const normalised = await data.normalise<{ train: data.Dataset; validation?: data.Dataset } & Record<string, data.Dataset>>({ ...parts })
    const classes = all.classes ?? []
    const card: Card = { task: 'recordings', model, config: { inputs: featuresOf(all), classes: classes.length }, classes, normalisation: normalised.train.normalisation, data: source, reading: sampleRate === undefined ? {} : { sampleRate, bands: featuresOf(all) } }
    return {
      card,
      name,
      parts: `${parts.train.length} ${noun} to train, ${parts.validation?.length ?? 0} to validate, ${test.length} to test`,
      training: new data.DataLoader(normalised.train, { batchSize, shuffle: true, seed, bucketByLength: true }),
      fit: { clipNorm: 5, ...(normalised.validation === undefined ? {} : { validation: normalised.validation }) },
    }
  },

  trainer: () => trainerOptions,

  async test(bundle, { test, noun, sampleRate }, { batchSize, signal } = {}) {
    const { card } = bundle
    if (sampleRate !== card.reading?.sampleRate) throw new CheckpointError(`the data is ${heardAt(sampleRate)}; the model was trained on ${heardAt(card.reading?.sampleRate)}.\n  Give data of that kind.`)
    if (String(test.classes) !== String(card.classes) || featuresOf(test) !== configOf(card).inputs)
      throw new CheckpointError(`the data has ${featuresOf(test)} features and the classes ${(test.classes ?? []).join(', ')}; the model knows ${configOf(card).inputs} and ${(card.classes ?? []).join(', ')}.\n  Give data of that kind.`)
    return testClasses(trainerOf(bundle), test.withNormalisation(card.normalisation), { classes: card.classes ?? [], samples: test.length, noun, batchSize, signal })
  },

  async panels(bundle, { test, noun }, { confusion }) {
    const { classes = [], normalisation } = bundle.card
    const samples = await drawFeatures(trainerOf(bundle), test.withNormalisation(normalisation))
    return [confusionMatrix(confusion, classes), imagePredictions(samples, classes, `Predictions on test ${noun}: features over time`)]
  },

  async predict(bundle, paths, values) {
    const { card } = bundle
    const { inputs } = configOf(card)
    const rate = card.reading?.sampleRate as number | undefined
    if (paths.length === 0) throw new UsageError(`predict: which ${rate === undefined ? 'sequences is missing: .jsonl, .json or .csv files of features' : 'recordings is missing: WAV files'}, or folders of them.`, 'predict')
    topOf(values)
    const files = (await Promise.all(paths.map((path) => filesAt(path, rate === undefined ? sequenceFile : /\.wav$/i)))).flat()
    const rows: { name: string; features: Float32Array }[] = []
    for (const file of files) {
      if (sequenceFile.test(file)) {
        for (const { name, steps } of await readSequences(file, inputs, values.delimiter as string | undefined)) rows.push({ name, features: Float32Array.from(steps.flat()) })
      } else rows.push({ name: file, features: await heard(file, card) })
    }
    const features = data.ragged(rows.map(({ features }) => features), { stepShape: [inputs] })
    const output = await trainerOf(bundle).predictProbabilities(data.dataset({ inputs: { features }, labels: new Int32Array(rows.length), normalisation: card.normalisation }))
    sayClasses('file', rows.map(({ name }) => name), (await output.data()) as Float32Array, card.classes ?? [], values)
  },
}

const featuresOf = ({ inputShape }: data.Dataset): number => (inputShape as Record<string, readonly number[]>).features?.[1] ?? 1

async function load(source: string, options: LoadOptions): Promise<Sequences> {
  const { card, bands = 40 } = options
  const mels = card === undefined ? bands : configOf(card).inputs
  const classes = card?.classes
  if (source === 'fsdd') return { name: 'spoken digits', noun: 'recordings', sampleRate: 8000, ...(await data.fsdd({ mels })) }
  if (!sets.includes(source) && (await isFolder(source))) return wavs(source, { mels, classes })
  refuseFileOptions(source, 'recordings', options, ['bands'])
  if (sets.includes(source)) return { name: source, noun: 'sequences', ...(await data.sequences(source as data.SequenceSet)) }
  if (!(await isFile(source)) || !/\.(json|jsonl|ndjson|gz)$/i.test(source)) throw await unknownSource(source, 'sequences', 'a folder of WAV files', ', or a .jsonl or .json file of features')
  const rows = await readSequences(source, card === undefined ? undefined : configOf(card).inputs)
  const labels = labelsOf(rows, classes)
  const all = data.dataset({ inputs: { features: data.ragged(rows.map(({ steps }) => steps)) }, ...labels })
  return { name: basename(source), noun: 'sequences', ...(await parts(source, all, 'sequences')) }
}

async function wavs(source: string, options: data.WavFolderOptions): Promise<Sequences> {
  const common = { name: source, noun: 'recordings' }
  if ((await isFolder(join(source, 'train'))) && (await isFolder(join(source, 'test')))) {
    const train = await data.wavFolder(join(source, 'train'), options)
    const test = await data.wavFolder(join(source, 'test'), { ...options, classes: train.classes })
    const [sampleRate, tested] = [await rateOf(join(source, 'train'), train.classes), await rateOf(join(source, 'test'), train.classes)]
    if (tested !== sampleRate) throw new ValueError(`--data: the recordings in ${join(source, 'test')} have ${tested} samples a second, those in train/ ${sampleRate}.\n  Bring all to one rate, for example: ffmpeg -i INPUT -ar ${sampleRate} OUTPUT.wav`)
    return { ...common, sampleRate, train, test }
  }
  const all = await data.wavFolder(source, options)
  return { ...common, sampleRate: await rateOf(source, all.classes), ...(await parts(source, all, 'recordings')) }
}

/** All but a fifth to train on, and that to test on. */
async function parts(source: string, all: data.Dataset, noun: string): Promise<data.TrainTest> {
  if (Math.round(heldOut.validation * all.length) < 1)
    throw new ValueError(`--data: ${source} holds ${all.length} ${noun}, of which no fifth can be left out to test.\n  Add some${noun === 'recordings' ? ', or give recordings to test on of their own: the folders train/ and test/' : ''}.`)
  const { train, validation: test } = await data.split(all, heldOut)
  return { train, test }
}

/** The sample rate of a folder that `data.wavFolder` has read, and so of all its recordings. */
async function rateOf(folder: string, [first = '']: readonly string[] = []): Promise<number> {
  const [file] = await filesAt(join(folder, first), /\.wav$/i)
  return (await data.readWav(file as string)).sampleRate
}

const heardAt = (rate: unknown): string => (rate === undefined ? 'no recordings' : `recordings of ${String(rate)} samples a second`)

/** Class numbers and names; where the classes are known, a label is one of their names or numbers. @throws FileFormatError naming the sequence without a class */
function labelsOf(rows: readonly SequenceRow[], known: readonly string[] | undefined): { labels: Int32Array; classes: readonly string[] } {
  const names = rows.map(({ label, name }) => {
    if ((typeof label === 'string' && label !== '') || Number.isFinite(label) || typeof label === 'boolean') return String(label)
    throw new FileFormatError(`${name} has no class.\n  Name it as y: {"x": [...], "y": "class"}.`)
  })
  const classes = known ?? [...new Set(names)].sort((a, b) => Number(a) - Number(b) || (a < b ? -1 : 1))
  const labels = names.map((name, i) => {
    const found = classes.indexOf(name)
    const number = found < 0 && /^\d+$/.test(name) ? Number(name) : found
    if (number >= 0 && number < classes.length) return number
    throw new FileFormatError(`${rows[i]!.name} has the class ${JSON.stringify(rows[i]!.label)}, which the model does not know.\n  It knows ${classes.join(', ')}.`)
  })
  return { labels: Int32Array.from(labels), classes }
}

/** Log-mel energies of a WAV file, as the model reads them. @throws ValueError where they would be of other frequencies */
async function heard(file: string, card: Card): Promise<Float32Array> {
  const rate = card.reading?.sampleRate
  const mels = configOf(card).inputs
  if (rate === undefined) throw new ValueError(`${file}: the model was trained on ${card.data}, whose features are not those of WAV files.\n  Give .jsonl, .json or .csv files of ${mels} features a step.`)
  const { samples, sampleRate } = await data.readWav(file)
  if (sampleRate !== rate)
    throw new ValueError(`${file} has ${sampleRate} samples a second; the model was trained on ${String(rate)}.\n  Bring it to that rate, for example: ffmpeg -i INPUT -ar ${String(rate)} OUTPUT.wav`)
  return data.logMel(samples, { sampleRate, mels })
}

async function filesAt(path: string, wanted: RegExp): Promise<string[]> {
  const stats = await withFileErrors('predict', path, false, () => stat(path))
  if (!stats.isDirectory()) return [path]
  const found = (await readdir(path)).filter((name) => wanted.test(name)).sort()
  if (found.length === 0) throw new ValueError(`the folder ${path} holds no ${wanted === sequenceFile ? 'files of features' : 'WAV files'}.`)
  return found.map((name) => join(path, name))
}
