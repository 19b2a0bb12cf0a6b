// Recordings in $FERROGRAD_DATA as rows of features: Japanese Vowels (cepstra, as they come) and the Free Spoken Digit Dataset (log-mel energies).
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { arange, concat, scope, type Tensor, tensor } from 'ferrograd'

/** One recording: its frames, one behind the other. */
export interface Recording {
  label: number
  frames: Float32Array
}
export interface Split {
  /** Features of a frame. */
  width: number
  train: Recording[]
  test: Recording[]
}

async function bytesOf(...path: string[]): Promise<Buffer> {
  const root = process.env.FERROGRAD_DATA
  if (root === undefined) throw new Error('this bench reads $FERROGRAD_DATA, which is not set')
  const bytes = await readFile(join(root, ...path))
  return path.at(-1)!.endsWith('.gz') ? gunzipSync(bytes) : bytes
}

/** 9 speakers say /ae/: 270 recordings to train on and 370 to test, 7 to 29 frames of 12 cepstra (Kudo et al. 1999). */
export async function japaneseVowels(): Promise<Split> {
  const [train, test] = await Promise.all(['train', 'test'].map(async (part) => {
    const lines = (await bytesOf('sequences', `japanese-vowels-${part}.jsonl.gz`)).toString().trim().split('\n')
    return lines.map((line) => JSON.parse(line) as { y: number; x: number[][] }).map(({ x, y }) => ({ label: y, frames: Float32Array.from(x.flat()) }))
  }))
  return standardised({ width: 12, train: train!, test: test! })
}

const [RATE, WINDOW, HOP, MELS] = [8000, 200, 80, 40]

/** 6 speakers say the ten digits: 2,700 recordings to train on, 300 to test (takes 0 to 4), a frame of 40 log-mel energies every 10 ms. */
export async function spokenDigits(): Promise<Split> {
  const audio = await bytesOf('fsdd', 'audio.i16.gz')
  const samples = new Int16Array(audio.buffer, audio.byteOffset, audio.length / 2)
  const rows = (await bytesOf('fsdd', 'index.csv')).toString().trim().split('\n').slice(1).map((line) => line.split(','))
  const split: Split = { width: MELS, train: [], test: [] }
  const [waves, mels] = [fourier(), filters()]
  for (const [, digit, , , part, offset, length] of rows) {
    const wave = Float32Array.from(samples.subarray(Number(offset), Number(offset) + Number(length)), (v) => v / 32768)
    split[part as 'train' | 'test'].push({ label: Number(digit), frames: scope(() => logMel(wave, waves, mels).dataSync() as Float32Array) })
  }
  return standardised(split)
}

/** log of the energy in each mel band, [frames, MELS]. */
function logMel(wave: Float32Array, waves: Tensor, mels: Tensor): Tensor {
  const count = Math.max(1, Math.floor((wave.length - WINDOW) / HOP) + 1)
  const frames = Float32Array.from({ length: count * WINDOW }, (_, i) => wave[Math.floor(i / WINDOW) * HOP + (i % WINDOW)] ?? 0)
  const spectrum = tensor(frames, { shape: [count, WINDOW] }).matmul(waves).square()
  const half = spectrum.shape[1]! / 2
  return spectrum.slice(1, 0, half).add(spectrum.slice(1, half)).matmul(mels).add(1e-6).log()
}

const BINS = 129

/** Hann's window times cosines and sines of 256 points: [WINDOW, 2 BINS]. A product with it is the Fourier transform. */
function fourier(): Tensor {
  const time = arange(WINDOW).cast('float32').unsqueeze(1)
  const angle = time.mul(arange(BINS).cast('float32')).mul((2 * Math.PI) / 256)
  const window = time.mul((2 * Math.PI) / WINDOW).cos().mul(-0.5).add(0.5)
  return concat([angle.cos(), angle.sin()], 1).mul(window)
}

/** Triangles that lie evenly on the mel scale from 20 Hz up: [BINS, MELS]. */
function filters(): Tensor {
  const mel = (hertz: number): number => 2595 * Math.log10(1 + hertz / 700)
  const [low, high] = [mel(20), mel(RATE / 2)]
  const corners = Array.from({ length: MELS + 2 }, (_, i) => 700 * (10 ** ((low + ((high - low) * i) / (MELS + 1)) / 2595) - 1))
  const band = (hertz: number, m: number): number => {
    const [from, top, to] = corners.slice(m, m + 3) as [number, number, number]
    return Math.max(0, Math.min((hertz - from) / (top - from), (to - hertz) / (to - top)))
  }
  return tensor(Float32Array.from({ length: BINS * MELS }, (_, i) => band((Math.floor(i / MELS) * RATE) / 256, i % MELS)), { shape: [BINS, MELS] })
}

/** Every feature less its mean, over its deviation, as the training part has them. */
function standardised({ width, train, test }: Split): Split {
  const stats = Array.from({ length: width }, () => ({ count: 0, sum: 0, squares: 0 }))
  for (const { frames } of train) frames.forEach((v, i) => {
    const own = stats[i % width]!
    own.count++
    own.sum += v
    own.squares += v * v
  })
  const scales = stats.map(({ count, sum, squares }) => ({ mean: sum / count, std: Math.sqrt(squares / count - (sum / count) ** 2) }))
  const scaled = (recordings: Recording[]): Recording[] =>
    recordings.map(({ label, frames }) => ({ label, frames: frames.map((v, i) => (v - scales[i % width]!.mean) / scales[i % width]!.std) }))
  return { width, train: scaled(train), test: scaled(test) }
}

/** Recordings as a model takes them: the first `most` frames of each, and how many they are. */
export function padded(recordings: readonly Pick<Recording, 'frames'>[], width: number, most: number): { features: Tensor; lengths: Tensor } {
  const features = new Float32Array(recordings.length * most * width)
  const lengths = Int32Array.from(recordings, ({ frames }) => Math.min(most, frames.length / width))
  recordings.forEach(({ frames }, i) => features.set(frames.subarray(0, most * width), i * most * width))
  return { features: tensor(features, { shape: [recordings.length, most, width] }), lengths: tensor(lengths) }
}
