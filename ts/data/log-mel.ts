import { ValueError } from '../index.js'
import { settle } from '../internal.js'

/** Options of `logMel`. */
export interface LogMelOptions {
  /** Samples a second. */
  sampleRate: number
  /** Bands (40). */
  mels?: number
  /** Milliseconds of a frame (25). */
  window?: number
  /** Milliseconds from one frame to the next (10). */
  hop?: number
  /** Where the lowest band begins, in Hz (20). */
  low?: number
}

/** Added to the energies, whose logarithm would have no end in silence. */
const FLOOR = 1e-6

/**
 * The logarithm of the energy in bands that lie evenly on the mel scale (2595 log10(1 + f / 700)), frame by frame: [frames, mels] in one array, frames from the
 * first sample on without padding; a recording shorter than a frame is one, filled with zeros. Hann's window, the next power of two as the transform's size, triangles of height 1
 * from `low` to half the sample rate. torchaudio: `MelSpectrogram(center=False, power=2, norm=None, mel_scale='htk')`, plus 1e-6, `log`; it fills a window that is no power of
 * two with zeros on both sides, not behind, which moves the frames.
 * @throws ValueError for options that make no sense and samples that are no numbers
 */
export async function logMel(samples: Float32Array, options: LogMelOptions): Promise<Float32Array> {
  const { sampleRate, mels, window, hop, low } = settle('logMel', options, { sampleRate: 0, mels: 40, window: 25, hop: 10, low: 20 })
  for (const [name, value] of Object.entries({ sampleRate, window, hop })) if (!(Number.isFinite(value) && value > 0)) throw new ValueError(`logMel: ${name} must be a positive number, got ${String(value)}.`, { op: 'logMel' })
  if (!Number.isInteger(mels) || mels < 1) throw new ValueError(`logMel: mels must be a positive integer, got ${String(mels)}.`, { op: 'logMel' })
  if (!(low >= 0 && low < sampleRate / 2)) throw new ValueError(`logMel: low lies below half the sample rate, ${sampleRate / 2} Hz, got ${String(low)}.`, { op: 'logMel' })
  if (!(samples instanceof Float32Array)) throw new ValueError('logMel: samples are a Float32Array, as readWav gives them.', { op: 'logMel' })
  const bad = samples.findIndex((sample) => !Number.isFinite(sample))
  if (bad >= 0) throw new ValueError(`logMel: sample ${bad} is ${samples[bad]}, expected finite numbers.`, { op: 'logMel' })
  const [length, step] = [Math.max(2, Math.round((window * sampleRate) / 1000)), Math.max(1, Math.round((hop * sampleRate) / 1000))]
  const size = 2 ** Math.ceil(Math.log2(length))
  const { default: FFT } = await import('fft.js')
  const fft = new FFT(size)
  const spectrum = fft.createComplexArray()
  const hann = Float64Array.from({ length }, (_, i) => 0.5 - 0.5 * Math.cos((2 * Math.PI * i) / length))
  const bands = triangles(mels, sampleRate, size, low)
  const frames = Math.max(1, Math.floor((samples.length - length) / step) + 1)
  const frame = new Array<number>(size).fill(0)
  const found = new Float32Array(frames * mels)
  for (let t = 0; t < frames; t++) {
    for (let i = 0; i < length; i++) frame[i] = (samples[t * step + i] ?? 0) * hann[i]!
    fft.realTransform(spectrum, frame)
    bands.forEach(({ first, weights }, m) => {
      let energy = 0
      weights.forEach((weight, i) => { energy += weight * (spectrum[2 * (first + i)]! ** 2 + spectrum[2 * (first + i) + 1]! ** 2) })
      found[t * mels + m] = Math.log(energy + FLOOR)
    })
  }
  return found
}

/** The weights of each band and the bin of the first. */
function triangles(mels: number, sampleRate: number, size: number, low: number): { first: number; weights: number[] }[] {
  const mel = (hertz: number): number => 2595 * Math.log10(1 + hertz / 700)
  const [from, to] = [mel(low), mel(sampleRate / 2)]
  const corners = Array.from({ length: mels + 2 }, (_, i) => 700 * (10 ** ((from + ((to - from) * i) / (mels + 1)) / 2595) - 1))
  return Array.from({ length: mels }, (_, m) => {
    const [begin, top, end] = corners.slice(m, m + 3) as [number, number, number]
    const all = Array.from({ length: size / 2 + 1 }, (_, bin) => {
      const hertz = (bin * sampleRate) / size
      return Math.max(0, Math.min((hertz - begin) / (top - begin), (end - hertz) / (end - top)))
    })
    const first = Math.max(0, all.findIndex((weight) => weight > 0))
    const last = all.findLastIndex((weight) => weight > 0)
    return { first, weights: all.slice(first, last + 1) }
  })
}
