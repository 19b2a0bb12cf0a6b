import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { ValueError } from '../index.js'
import { settle, withFileErrors } from '../internal.js'
import { type Dataset, dataset } from './dataset.js'
import { logMel } from './log-mel.js'
import { ragged } from './ragged.js'
import { turns } from './turn.js'
import { readWav } from './wav.js'

/** Options of `wavFolder` and `wavFeatures`. */
export interface WavOptions {
  /** Log-mel bands (40). */
  mels?: number
  /** Seconds that are read of each recording; all where left out. */
  seconds?: number | undefined
}

/** Options of `wavFolder`. */
export interface WavFolderOptions extends WavOptions {
  /** Class names, and so their numbers. Default: the names of the folders, sorted. */
  classes?: readonly string[] | undefined
}

const DEFAULTS = { mels: 40, seconds: undefined } as const

/** The log-mel energies of WAV files, [frames, mels] each, as `logMel` makes them. @throws as `readWav`; ValueError where sample rates differ */
export async function wavFeatures(files: readonly string[], options: WavOptions = {}): Promise<Float32Array[]> {
  const { mels, seconds } = settle('wavFeatures', options, DEFAULTS)
  if (seconds !== undefined && !(seconds > 0)) throw new ValueError(`wavFeatures: seconds must be above 0, got ${String(seconds)}.`, { op: 'wavFeatures' })
  const found: Float32Array[] = []
  const turn = turns()
  let rate = 0
  for (const file of files) {
    const { samples, sampleRate } = await readWav(file)
    if (rate !== 0 && sampleRate !== rate)
      throw new ValueError(`wavFeatures: ${file} has ${sampleRate} samples a second, the files before it ${rate}.\n  Bring all to one rate, for example: ffmpeg -i INPUT -ar ${rate} OUTPUT.wav`, { op: 'wavFeatures' })
    rate = sampleRate
    found.push(await logMel(seconds === undefined ? samples : samples.subarray(0, Math.max(1, Math.round(seconds * sampleRate))), { sampleRate, mels }))
    await turn()
  }
  return found
}

/**
 * Recordings in a folder for each class: `path/yes/1.wav`, `path/no/2.wav`, as log-mel energies: inputs { features [N, T, mels], lengths [N] }, T that of the
 * batch's longest.
 * @throws ValueError for a folder without classes or recordings; as `readWav`
 * @example const speech = await data.wavFolder('recordings')
 */
export async function wavFolder(path: string, options: WavFolderOptions = {}): Promise<Dataset> {
  const { classes: named, mels, seconds } = settle('wavFolder', options, { ...DEFAULTS, classes: undefined })
  const entries = await withFileErrors('wavFolder', path, false, () => readdir(path, { withFileTypes: true }))
  const classes = named ?? entries.filter((entry) => entry.isDirectory()).map(({ name }) => name).sort()
  if (classes.length === 0) throw new ValueError(`wavFolder: ${path} holds no folders.\n  Put the recordings of each class in a folder of its own: ${join(path, 'yes', '1.wav')}.`, { op: 'wavFolder' })
  const files: string[] = []
  const labels: number[] = []
  for (const [label, name] of classes.entries()) {
    const folder = join(path, name)
    const names = (await withFileErrors('wavFolder', folder, false, () => readdir(folder))).filter((file) => /\.wav$/i.test(file)).sort()
    if (names.length === 0) throw new ValueError(`wavFolder: the folder ${folder} holds no WAV files.`, { op: 'wavFolder' })
    files.push(...names.map((file) => join(folder, file)))
    labels.push(...names.map(() => label))
  }
  const features = ragged(await wavFeatures(files, { mels, seconds }), { stepShape: [mels] })
  return dataset({ inputs: { features }, labels: Int32Array.from(labels), classes })
}
