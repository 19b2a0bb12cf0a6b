// Recordings of one's own: a folder of WAV files for each class, log-mel energies, a bidirectional LSTM.
//   node examples/recordings.mjs
import assert from 'node:assert/strict'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { data, manualSeed, models, Trainer } from 'ferrograd'

/** A WAV file of 16-bit samples. */
function wav(samples, rate) {
  const bytes = Buffer.alloc(44 + 2 * samples.length)
  bytes.write('RIFF', 0)
  bytes.writeUInt32LE(36 + 2 * samples.length, 4)
  bytes.write('WAVEfmt ', 8)
  bytes.writeUInt32LE(16, 16)
  bytes.writeUInt16LE(1, 20)
  bytes.writeUInt16LE(1, 22)
  bytes.writeUInt32LE(rate, 24)
  bytes.writeUInt32LE(2 * rate, 28)
  bytes.writeUInt16LE(2, 32)
  bytes.writeUInt16LE(16, 34)
  bytes.write('data', 36)
  bytes.writeUInt32LE(2 * samples.length, 40)
  samples.forEach((sample, i) => bytes.writeInt16LE(Math.round(32767 * sample), 44 + 2 * i))
  return bytes
}

// Tones that rise or fall, of different pitch and length, with some noise: what is said lies in the order of the frames.
const folder = await mkdtemp(join(tmpdir(), 'ferrograd-'))
const rate = 8000
let seed = 1
const noise = () => ((seed = (seed * 16807) % 2147483647) / 2147483647 - 0.5)
for (const [name, turn] of [['falling', -1], ['rising', 1]]) {
  await mkdir(join(folder, name))
  for (let i = 0; i < 40; i++) {
    const length = 1600 + 60 * (i % 20)
    let phase = 0
    const samples = Array.from({ length }, (_, t) => {
      phase += (2 * Math.PI * (900 + 15 * i + turn * 500 * (t / length - 0.5))) / rate
      return 0.4 * Math.sin(phase) + 0.1 * noise()
    })
    await writeFile(join(folder, name, `${i}.wav`), wav(samples, rate))
  }
}

const recordings = await data.wavFolder(folder, { mels: 20 })
const { train, validation: test } = await data.normalise(await data.split(recordings, { validation: 0.25, seed: 0 }))
manualSeed(0)
const model = models.biLstmTagger({ inputs: 20, hidden: 24, outputs: 2, pool: 'mean' })
const trainer = new Trainer(model, { optimizer: 'adam', lr: 0.01, loss: 'crossEntropy', metrics: ['accuracy'] })
await trainer.fit(data.loader(train, { batchSize: 10, shuffle: true, bucketByLength: true }), { epochs: 12, clipNorm: 5, verbose: false })
const { accuracy } = await trainer.evaluate(test)
console.log(`${recordings.length} recordings, ${recordings.classes.join(' or ')}: test accuracy ${(100 * accuracy).toFixed(1)} %`)
assert(accuracy >= 0.9, `accuracy ${accuracy} is below 0.9`)
await rm(folder, { recursive: true })
