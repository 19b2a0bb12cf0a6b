import { join } from 'node:path'
import { FileFormatError, ValueError } from '../index.js'
import { settle } from '../internal.js'
import { csvRows } from './csv.js'
import { type Dataset, dataset } from './dataset.js'
import { candidates, checkFolder, namesIn, readBytes } from './files.js'
import { logMel } from './log-mel.js'
import { ragged } from './ragged.js'
import type { TrainTest } from './train-test.js'
import { turns } from './turn.js'

/** Options of `fsdd`. */
export interface FsddOptions {
  /** Where index.csv and audio.i16.gz lie. Default: `$FERROGRAD_DATA/fsdd`, else the cache folder (`$FERROGRAD_CACHE`). */
  folder?: string
  /** Log-mel bands (40). */
  mels?: number
}

const SAMPLE_RATE = 8000
const COLUMNS = ['digit', 'split', 'offset', 'samples'] as const

/**
 * The Free Spoken Digit Dataset (Jackson 2016): six people say the ten digits, 2,700 recordings to train on and 300 to test (takes 0 to 4), as log-mel
 * energies every 10 ms. Inputs { features [N, T, mels], lengths [N] }, T that of the batch's longest; labels are the digits. From one file of 16-bit samples at 8 kHz and an
 * index of CSV rows (digit, split, offset, samples).
 * @throws ValueError where files are missing, FileError for a folder that is not there, FileFormatError naming the row for a damaged one
 * @example const { train, test } = await data.normalise(await data.fsdd())
 */
export async function fsdd(options: FsddOptions = {}): Promise<TrainTest> {
  const { folder, mels } = settle('fsdd', options, { folder: undefined, mels: 40 })
  const places = candidates('fsdd', folder)
  for (const place of places) {
    const names = await namesIn(place)
    const audio = names.find((name) => /^audio\.i16(\.gz)?$/.test(name))
    if (names.includes('index.csv') && audio !== undefined) return read(join(place, 'index.csv'), join(place, audio), mels)
  }
  await checkFolder('fsdd', folder)
  throw new ValueError(`fsdd: index.csv and audio.i16.gz are not in ${places.join(', ')}.\n  Name their folder; one of your own recordings: data.wavFolder(folder).`)
}

async function read(index: string, audio: string, mels: number): Promise<TrainTest> {
  const bytes = await readBytes(audio)
  const samples = new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length - (bytes.length % 2)))
  const parts: Record<'train' | 'test', { rows: Float32Array[]; labels: number[] }> = { train: { rows: [], labels: [] }, test: { rows: [], labels: [] } }
  const turn = turns()
  for await (const { fields, place } of csvRows('fsdd', index, () => COLUMNS)) {
    const [digit, part, offset, count] = [Number(fields[0]), fields[1], Number(fields[2]), Number(fields[3])] as [number, string, number, number]
    const whole = [digit, offset, count].every((n) => Number.isInteger(n) && n >= 0)
    if (!whole || count === 0 || digit > 9 || (part !== 'train' && part !== 'test') || offset + count > samples.length)
      throw new FileFormatError(`fsdd: ${place} names no digit, split and samples of ${audio}, which has ${samples.length}.`, { op: 'fsdd' })
    const wave = Float32Array.from(samples.subarray(offset, offset + count), (sample) => sample / 32768)
    parts[part].rows.push(await logMel(wave, { sampleRate: SAMPLE_RATE, mels }))
    parts[part].labels.push(digit)
    await turn()
  }
  const set = ({ rows, labels }: { rows: Float32Array[]; labels: number[] }): Dataset =>
    dataset({ inputs: { features: ragged(rows, { stepShape: [mels] }) }, labels: Int32Array.from(labels), classes: Array.from('0123456789') })
  return { train: set(parts.train), test: set(parts.test) }
}
