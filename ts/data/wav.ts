import { readFile } from 'node:fs/promises'
import { FileFormatError } from '../index.js'
import { withFileErrors } from '../internal.js'

/** A recording. */
export interface Recording {
  /** In ±1, its channels averaged. */
  samples: Float32Array
  /** Samples a second. */
  sampleRate: number
}

type Read = (view: DataView, at: number) => number
/** Formats by number: 1 for whole numbers, 3 for floats; how a sample of so many bits is read. */
const SAMPLES: Readonly<Record<string, Read>> = {
  '1 8': (view, at) => (view.getUint8(at) - 128) / 128,
  '1 16': (view, at) => view.getInt16(at, true) / 32768,
  '1 24': (view, at) => (view.getUint16(at, true) + view.getInt8(at + 2) * 65536) / 8388608,
  '1 32': (view, at) => view.getInt32(at, true) / 2147483648,
  '3 32': (view, at) => view.getFloat32(at, true),
  '3 64': (view, at) => view.getFloat64(at, true),
}
/** "The format stands further on", in WAVE_FORMAT_EXTENSIBLE. */
const EXTENSIBLE = 0xfffe

/**
 * A WAV file, or its bytes: PCM of 8, 16, 24 or 32 bits, or floats of 32 or 64. Python: `soundfile.read`, `torchaudio.load`.
 * @throws FileFormatError for other files, other encodings, files that end too soon, and those without samples or with some that are no numbers; FileError
 */
export async function readWav(file: string | Uint8Array): Promise<Recording> {
  return typeof file === 'string' ? wavOf(await withFileErrors('readWav', file, false, () => readFile(file)), file) : wavOf(file, 'the bytes')
}

function wavOf(bytes: Uint8Array, name: string): Recording {
  const wrong = (fault: string, way = 'Convert it to a WAV file of 16 bits, for example: ffmpeg -i INPUT -c:a pcm_s16le OUTPUT.wav'): FileFormatError =>
    new FileFormatError(`readWav: ${name} ${fault}.\n  ${way}`, { op: 'readWav' })
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const tag = (at: number): string => String.fromCharCode(...bytes.subarray(at, at + 4))
  if (bytes.length < 12 || tag(0) !== 'RIFF' || tag(8) !== 'WAVE') throw wrong('is no WAV file')
  let format: { read: Read; bytes: number; channels: number; sampleRate: number } | null = null
  for (let at = 12; at + 8 <= bytes.length; ) {
    const [kind, size, start] = [tag(at), view.getUint32(at + 4, true), at + 8]
    if (kind === 'fmt ') {
      if (size < 16 || start + size > bytes.length) throw wrong('has a damaged format')
      const [given, channels, sampleRate, bits] = [view.getUint16(start, true), view.getUint16(start + 2, true), view.getUint32(start + 4, true), view.getUint16(start + 14, true)]
      const coding = given === EXTENSIBLE && size >= 26 ? view.getUint16(start + 24, true) : given
      const read = SAMPLES[`${coding} ${bits}`]
      if (read === undefined) throw wrong(`has samples of format ${coding} and ${bits} bits; PCM of 8, 16, 24 or 32 bits and floats of 32 or 64 are read`)
      if (channels === 0 || sampleRate === 0) throw wrong(`has ${channels} channels and ${sampleRate} samples a second`)
      format = { read, bytes: bits / 8, channels, sampleRate }
    } else if (kind === 'data') {
      if (format === null) throw wrong('has samples before their format')
      // Whoever streams a file does not know its length, and writes the largest.
      const end = size === 0xffffffff ? bytes.length : start + size
      if (end > bytes.length) throw wrong(`ends too soon: ${size} bytes of samples are announced, ${bytes.length - start} are there`)
      const samples = averaged(view, start, end, format)
      if (samples.length === 0) throw wrong('has no samples', 'Leave it out, or record it again.')
      const bad = samples.findIndex((sample) => !Number.isFinite(sample))
      if (bad >= 0) throw wrong(`has ${samples[bad]} as its sample ${bad}`, 'Leave it out, or write it again as whole numbers.')
      return { samples, sampleRate: format.sampleRate }
    }
    // Chunks begin at even places.
    at = start + size + (size % 2)
  }
  throw wrong(format === null ? 'has no format' : 'has no samples')
}

function averaged(view: DataView, start: number, end: number, { read, bytes, channels }: { read: Read; bytes: number; channels: number }): Float32Array {
  const samples = new Float32Array(Math.floor((end - start) / (bytes * channels)))
  for (let i = 0, at = start; i < samples.length; i++) {
    let sum = 0
    for (let channel = 0; channel < channels; channel++, at += bytes) sum += read(view, at)
    samples[i] = sum / channels
  }
  return samples
}
