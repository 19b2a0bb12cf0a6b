// Recordings: WAV files, log-mel energies, folders of them, and the spoken digits.
import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { data, FileError, FileFormatError, type Tensor, ValueError } from '../../ts/index.js'

const folder = await mkdtemp(join(tmpdir(), 'ferrograd-sound-'))
afterAll(() => rm(folder, { recursive: true }))

/** A WAV file of such samples, `bytes` each. */
function wav(samples: Buffer, { format = 1, channels = 1, rate = 8000, bits = 16, size = samples.length, before = Buffer.alloc(0) } = {}): Buffer {
  const header = Buffer.alloc(44 + before.length)
  header.write('RIFF', 0)
  header.write('WAVEfmt ', 8)
  header.writeUInt32LE(16, 16)
  header.writeUInt16LE(format, 20)
  header.writeUInt16LE(channels, 22)
  header.writeUInt32LE(rate, 24)
  header.writeUInt16LE(bits, 34)
  before.copy(header, 36)
  header.write('data', 36 + before.length)
  header.writeUInt32LE(size, 40 + before.length)
  return Buffer.concat([header, samples])
}
const int16 = (...values: number[]): Buffer => Buffer.from(Int16Array.from(values).buffer)

describe('readWav', () => {
  it.each<[name: string, bytes: Buffer, samples: number[]]>([
    ['16 bits', wav(int16(0, 16384, -32768)), [0, 0.5, -1]],
    ['8 bits', wav(Buffer.of(128, 192, 0), { bits: 8 }), [0, 0.5, -1]],
    ['24 bits', wav(Buffer.of(0, 0, 0, 0, 0, 64, 0, 0, 128), { bits: 24 }), [0, 0.5, -1]],
    ['32 bits', wav(Buffer.from(Int32Array.of(0, 1 << 30, -(2 ** 31)).buffer), { bits: 32 }), [0, 0.5, -1]],
    ['floats', wav(Buffer.from(Float32Array.of(0, 0.5, -1).buffer), { format: 3, bits: 32 }), [0, 0.5, -1]],
    ['doubles', wav(Buffer.from(Float64Array.of(0, 0.5, -1).buffer), { format: 3, bits: 64 }), [0, 0.5, -1]],
    ['two channels, averaged', wav(int16(16384, 0, -16384, -16384), { channels: 2 }), [0.25, -0.5]],
    ['a chunk in front, of an odd size', wav(int16(16384), { before: Buffer.from('LIST\x03\0\0\0abc\0', 'latin1') }), [0.5]],
    ['a stream whose length was not known', wav(int16(16384), { size: 0xffffffff }), [0.5]],
  ])('%s', async (_, bytes, samples) => {
    const found = await data.readWav(bytes)
    expect([[...found.samples], found.sampleRate]).toEqual([samples, 8000])
  })

  it.each<[name: string, bytes: Buffer, message: RegExp]>([
    ['text', Buffer.from('no sound'), /the bytes is no WAV file/],
    ['cut off', wav(int16(1, 2, 3)).subarray(0, 48), /ends too soon: 6 bytes of samples are announced, 4 are there/],
    ['compressed', wav(int16(1), { format: 17, bits: 4 }), /has samples of format 17 and 4 bits/],
    ['without channels', wav(int16(1), { channels: 0 }), /has 0 channels/],
    ['without samples', wav(int16(1)).subarray(0, 36), /has no samples/],
    ['an empty data chunk', wav(int16()), /the bytes has no samples/],
    ['half a sample', wav(Buffer.of(1)), /has no samples/],
    ['no number', wav(Buffer.from(Float32Array.of(0, NaN).buffer), { format: 3, bits: 32 }), /has NaN as its sample 1/],
    ['infinity', wav(Buffer.from(Float64Array.of(-Infinity, 0).buffer), { format: 3, bits: 64 }), /has -Infinity as its sample 0/],
    ['a header alone', wav(int16(1)).subarray(0, 12), /has no format/],
    ['a format that is cut off', wav(int16(1)).subarray(0, 30), /damaged format/],
  ])('refuses %s', async (_, bytes, message) => {
    await expect(data.readWav(bytes)).rejects.toThrow(FileFormatError)
    await expect(data.readWav(bytes)).rejects.toThrow(message)
  })

  it('names the file of a folder that has no samples', async () => {
    await mkdir(join(folder, 'empty', 'yes'), { recursive: true })
    await writeFile(join(folder, 'empty', 'yes', '1.wav'), wav(int16()))
    await expect(data.wavFolder(join(folder, 'empty'))).rejects.toThrow(/1\.wav has no samples/)
    await expect(data.wavFeatures([], { seconds: 0 })).rejects.toThrow('wavFeatures: seconds must be above 0, got 0.')
    await expect(data.logMel(Float32Array.of(0, NaN), { sampleRate: 8000 })).rejects.toThrow('logMel: sample 1 is NaN, expected finite numbers.')
  })

  it('names a file that is not there', async () => {
    await expect(data.readWav(join(folder, 'none.wav'))).rejects.toThrow(FileError)
  })
})

describe('logMel', () => {
  const golden = JSON.parse(readFileSync(new URL('../golden/log-mel.json', import.meta.url), 'utf8')) as { rate: number; cases: { mels: number; low: number; energies: number[][] }[] }
  const samples = Float32Array.from({ length: 1500 }, (_, i) => Math.sin(0.001 * i * (1 + i / 200)) * (i < 1200 ? 0.8 : 0))

  it.each(golden.cases)("is torchaudio's: $mels bands from $low Hz", async ({ mels, low, energies }) => {
    const found = await data.logMel(samples, { sampleRate: golden.rate, mels, low, window: 32 })
    expect(found.length).toBe(energies.flat().length)
    energies.flat().forEach((want, i) => expect(Math.abs(found[i]! - want), `number ${i}`).toBeLessThan(2e-4))
  })

  it('has one frame for what is shorter, and refuses what makes no sense', async () => {
    expect((await data.logMel(new Float32Array(10), { sampleRate: 8000 })).length).toBe(40)
    await expect(data.logMel(samples, {} as data.LogMelOptions)).rejects.toThrow(/sampleRate must be a positive number/)
    await expect(data.logMel(samples, { sampleRate: 8000, low: 4000 })).rejects.toThrow(ValueError)
    await expect(data.logMel([1] as never, { sampleRate: 8000 })).rejects.toThrow(/Float32Array/)
  })
})

describe('wavFolder', () => {
  it('has a class a folder, and features of as many frames as each recording has', async () => {
    for (const name of ['no', 'yes']) await mkdir(join(folder, 'words', name), { recursive: true })
    const tone = (length: number, pitch: number): Buffer => wav(int16(...Array.from({ length }, (_, i) => Math.round(9000 * Math.sin(i * pitch)))))
    await writeFile(join(folder, 'words', 'yes', 'a.wav'), tone(1000, 0.3))
    await writeFile(join(folder, 'words', 'no', 'b.wav'), tone(600, 0.1))
    const set = await data.wavFolder(join(folder, 'words'), { mels: 12 })
    const { inputs, labels } = set.batch([0, 1]) as { inputs: { features: Tensor; lengths: Tensor }; labels: Tensor }
    expect([set.classes, inputs.features.shape, await inputs.lengths.tolist(), await labels.tolist()]).toEqual([['no', 'yes'], [2, 11, 12], [6, 11], [0, 1]])
    await writeFile(join(folder, 'words', 'yes', 'c.wav'), wav(int16(1), { rate: 16000 }))
    await expect(data.wavFolder(join(folder, 'words'))).rejects.toThrow(/c\.wav has 16000 samples a second, the files before it 8000/)
    await expect(data.wavFolder(folder, { classes: ['words'] })).rejects.toThrow(/holds no WAV files/)
    await expect(data.wavFolder(join(folder, 'words', 'no'))).rejects.toThrow(/holds no folders/)
  })
})

describe('fsdd', () => {
  it.runIf(process.env.FERROGRAD_DATA !== undefined)('reads the spoken digits by their split', async () => {
    const { train, test } = await data.fsdd()
    expect([train.length, test.length, test.inputShape]).toEqual([2700, 300, expect.objectContaining({ features: [expect.any(Number), 40] })])
  }, 60_000)

  it('names the row that is wrong, and what is missing', async () => {
    await writeFile(join(folder, 'audio.i16'), int16(...Array<number>(500).fill(100)))
    await writeFile(join(folder, 'index.csv'), 'name,digit,split,offset,samples\na,3,train,0,300\nb,4,test,200,300\n')
    const { train, test } = await data.fsdd({ folder })
    expect([train.length, test.length]).toEqual([1, 1])
    expect((await data.fsdd({ folder, mels: 13 })).train.inputShape).toMatchObject({ features: [expect.any(Number), 13] })
    await writeFile(join(folder, 'index.csv'), 'name,digit,split,offset,samples\na,3,train,0,300\nb,4,test,201,300\n')
    await expect(data.fsdd({ folder })).rejects.toThrow(/row 2 \(line 3\) of .*index\.csv names no digit, split and samples/)
    await expect(data.fsdd({ folder: join(folder, 'words') })).rejects.toThrow(/index\.csv and audio\.i16\.gz are not in/)
  })
})
