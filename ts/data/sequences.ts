import { join } from 'node:path'
import { FileFormatError, ValueError } from '../index.js'
import { settle } from '../internal.js'
import { type Dataset, dataset } from './dataset.js'
import { candidates, checkFolder, namesIn } from './files.js'
import { jsonLines } from './jsonl.js'
import { ragged } from './ragged.js'
import type { TrainTest } from './train-test.js'

/** The sets that `sequences` knows. */
export type SequenceSet = 'japanese-vowels' | 'basic-motions' | 'italy-power-demand'

/** Options of `sequences`. */
export interface SequencesOptions {
  /** Where the JSON lines lie, gzipped or not. Default: `$FERROGRAD_DATA/sequences`, else the cache folder (`$FERROGRAD_CACHE`). */
  folder?: string
}

/** Names of the classes, in the order of their numbers. */
const CLASSES: Readonly<Record<SequenceSet, readonly string[]>> = {
  'japanese-vowels': Array.from({ length: 9 }, (_, i) => `speaker ${i + 1}`),
  'basic-motions': ['Standing', 'Running', 'Walking', 'Badminton'],
  'italy-power-demand': ['October to March', 'April to September'],
}

/**
 * A labelled set of sequences by its official split. 'japanese-vowels': 9 speakers say /ae/, 270 + 370 sequences of 7 to 29 frames of 12 cepstra (Kudo et al.
 * 1999); 'basic-motions': 4 motions, 40 + 40 of 100 steps of 6 channels; 'italy-power-demand': a day's demand by the hour, of two seasons, 67 + 1,029 of 24
 * steps. Inputs { features [N, T, F], lengths [N] }, T that of the batch's longest. Files `NAME-train.jsonl` and `NAME-test.jsonl`, lines {"y": class, "x": [steps]}.
 * @throws ValueError where files are missing, FileError for a folder that is not there, FileFormatError naming the line for a damaged one
 * @example const { train, test } = await data.normalise(await data.sequences('japanese-vowels'))
 */
export async function sequences(name: SequenceSet, options: SequencesOptions = {}): Promise<TrainTest> {
  if (!Object.hasOwn(CLASSES, name)) throw new ValueError(`sequences: there is no set ${JSON.stringify(name)}; there are ${Object.keys(CLASSES).join(', ')}.`)
  const { folder } = settle('sequences', options, { folder: undefined })
  const places = candidates('sequences', folder)
  for (const place of places) {
    const names = await namesIn(place)
    const [train, test] = ['train', 'test'].map((part) => names.find((file) => file === `${name}-${part}.jsonl` || file === `${name}-${part}.jsonl.gz`))
    if (train !== undefined && test !== undefined) return { train: await read(join(place, train), CLASSES[name]), test: await read(join(place, test), CLASSES[name]) }
  }
  await checkFolder('sequences', folder)
  throw new ValueError(`sequences: ${name}-train.jsonl.gz and ${name}-test.jsonl.gz are not in ${places.join(', ')}.\n  Name their folder.`)
}

async function read(path: string, classes: readonly string[]): Promise<Dataset> {
  const rows: number[][][] = []
  const labels: number[] = []
  for await (const { value, place } of jsonLines('sequences', path)) {
    const { x, y } = (value ?? {}) as { x?: number[][]; y?: number }
    const channels = rows[0]?.[0]?.length ?? x?.[0]?.length
    if (!Array.isArray(x) || !x.every((step) => Array.isArray(step) && step.length === channels && step.every(Number.isFinite)))
      throw new FileFormatError(`sequences: ${place} has no x of steps of ${channels ?? 1} numbers.`)
    if (!Number.isInteger(y) || (y as number) < 0 || (y as number) >= classes.length)
      throw new FileFormatError(`sequences: ${place} has the class ${JSON.stringify(y)}; classes are 0 to ${classes.length - 1}.`)
    rows.push(x)
    labels.push(y as number)
  }
  return dataset({ inputs: { features: ragged(rows) }, labels: Int32Array.from(labels), classes })
}
