// Recordings, and other sequences of features, in classes.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CheckpointError, data, Trainer, type train, ValueError } from '../../index.js'
import { withFileErrors } from '../../internal.js'
import type { Bundle, Card } from '../bundle.js'
import { isFolder, unknownSource } from '../files.js'
import { confusionMatrix } from '../panels.js'
import { UsageError } from '../usage.js'
import { accuracyChart, type ClassesTested, classTraining, sayClasses, testClasses, topOf } from './classes.js'
import { type Task, wholes } from './task.js'

/** What the data says of a model for sequences. */
export interface SequenceConfig {
  /** Features of a step. */
  inputs: number
  classes: number
}

interface Sequences extends data.TrainTest {
  name: string
  noun: string
  /** Whether WAV files give the same features. */
  sound: boolean
}

const MELS = 40
const sets: readonly string[] = ['japanese-vowels', 'basic-motions', 'italy-power-demand']
/** The share of a folder without test/ that training leaves out; its seed is fixed, so that `evaluate` finds the same recordings. */
const heldOut = { validation: 0.2, seed: 0 }
const configOf = (card: Card): SequenceConfig => card.config as unknown as SequenceConfig
const trainerOptions: train.TrainerOptions = classTraining
const trainerOf = ({ model }: Bundle): Trainer => new Trainer(model, trainerOptions)

export const recordings: Task<Sequences, ClassesTested> = {
  name: 'recordings',
  reads: 'recordings',
  sources: 'fsdd, japanese-vowels, basic-motions, italy-power-demand or a folder of WAV files',
  example: 'RECORDING.wav',
  options: { train: [], evaluate: [], predict: ['top'] },
  charts: [accuracyChart],

  knows(card) {
    const { inputs, classes } = configOf(card)
    return wholes(inputs, classes) && card.classes?.length === classes
  },

  load: (source, { card }) => load(source, card?.classes),

  async plan({ train: all, test, name, noun, sound }, { model, data: source, validation, seed, batchSize }) {
    const parts: { train: data.Dataset; validation?: data.Dataset } = validation === 0 ? { train: all } : await data.split(all, { validation, seed })
    const normalised = await data.normalise<{ train: data.Dataset; validation?: data.Dataset } & Record<string, data.Dataset>>({ ...parts })
    const classes = all.classes ?? []
    const card: Card = { task: 'recordings', model, config: { inputs: featuresOf(all), classes: classes.length }, classes, normalisation: normalised.train.normalisation, data: source, reading: { sound } }
    return {
      card,
      name,
      parts: `${parts.train.length} ${noun} to train, ${parts.validation?.length ?? 0} to validate, ${test.length} to test`,
      training: new data.DataLoader(normalised.train, { batchSize, shuffle: true, seed, bucketByLength: true }),
      fit: { clipNorm: 5, ...(normalised.validation === undefined ? {} : { validation: normalised.validation }) },
    }
  },

  trainer: () => trainerOptions,

  async test(bundle, { test, noun }, { batchSize, signal } = {}) {
    const { card } = bundle
    if (String(test.classes) !== String(card.classes) || featuresOf(test) !== configOf(card).inputs)
      throw new CheckpointError(`the data has ${featuresOf(test)} features and the classes ${(test.classes ?? []).join(', ')}; the model knows ${configOf(card).inputs} and ${(card.classes ?? []).join(', ')}.\n  Give data of that kind.`)
    return testClasses(trainerOf(bundle), test.withNormalisation(card.normalisation), { classes: card.classes ?? [], samples: test.length, noun, batchSize, signal })
  },

  async panels({ card }, _, { confusion }) {
    return [confusionMatrix(confusion, card.classes ?? [])]
  },

  async predict(bundle, paths, values) {
    const { card } = bundle
    if (paths.length === 0) throw new UsageError('predict: which recordings is missing: WAV files, or folders of them.', 'predict')
    topOf(values)
    if (card.reading?.sound !== true) throw new ValueError(`the model was trained on ${card.data}, whose features are not those of WAV files.\n  Measure it: ferrograd evaluate DIR`)
    const files = (await Promise.all(paths.map(filesAt))).flat()
    const features = data.ragged(await data.wavFeatures(files, { mels: configOf(card).inputs }), { stepShape: [configOf(card).inputs] })
    const rows = data.dataset({ inputs: { features }, labels: new Int32Array(files.length), normalisation: card.normalisation })
    const output = await trainerOf(bundle).predictProbabilities(rows)
    sayClasses('file', files, (await output.data()) as Float32Array, card.classes ?? [], values)
  },
}

const featuresOf = ({ inputShape }: data.Dataset): number => (inputShape as Record<string, readonly number[]>).features?.[1] ?? 1

async function load(source: string, classes: readonly string[] | undefined): Promise<Sequences> {
  if (source === 'fsdd') return { name: 'spoken digits', noun: 'recordings', sound: true, ...(await data.fsdd()) }
  if (sets.includes(source)) return { name: source, noun: 'sequences', sound: false, ...(await data.sequences(source as data.SequenceSet)) }
  if (!(await isFolder(source))) throw unknownSource(source, ['fsdd', ...sets], 'a folder of WAV files')
  const common = { name: source, noun: 'recordings', sound: true }
  const options = { mels: MELS, classes }
  if ((await isFolder(join(source, 'train'))) && (await isFolder(join(source, 'test')))) {
    const train = await data.wavFolder(join(source, 'train'), options)
    return { ...common, train, test: await data.wavFolder(join(source, 'test'), { ...options, classes: train.classes }) }
  }
  const all = await data.wavFolder(source, options)
  if (Math.round(heldOut.validation * all.length) < 1)
    throw new ValueError(`--data: ${source} holds ${all.length} recordings, of which no fifth can be left out to test.\n  Add some, or give recordings to test on of their own: the folders train/ and test/.`)
  const { train, validation: test } = await data.split(all, heldOut)
  return { ...common, train, test }
}

async function filesAt(path: string): Promise<string[]> {
  const stats = await withFileErrors('predict', path, false, () => stat(path))
  if (!stats.isDirectory()) return [path]
  const found = (await readdir(path)).filter((name) => /\.wav$/i.test(name)).sort()
  if (found.length === 0) throw new ValueError(`the folder ${path} holds no WAV files.`)
  return found.map((name) => join(path, name))
}
