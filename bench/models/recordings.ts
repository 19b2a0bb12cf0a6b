// Recordings in $FERROGRAD_DATA as rows of features: Japanese Vowels (cepstra, as they come) and the Free Spoken Digit Dataset (log-mel energies).
import { data, type Tensor, tensor } from 'ferrograd'

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

/** 9 speakers say /ae/: 270 recordings to train on and 370 to test, 7 to 29 frames of 12 cepstra (Kudo et al. 1999). */
export async function japaneseVowels(): Promise<Split> {
  return splitOf(12, await data.sequences('japanese-vowels'))
}

/** 6 speakers say the ten digits: 2,700 recordings to train on, 300 to test (takes 0 to 4), a frame of 40 log-mel energies every 10 ms. */
export async function spokenDigits(): Promise<Split> {
  return splitOf(40, await data.fsdd())
}

/** Every feature less its mean, over its deviation, as the training part has them. */
async function splitOf(width: number, sets: data.TrainTest): Promise<Split> {
  const { train, test } = await data.normalise(sets)
  return { width, train: await recordings(train), test: await recordings(test) }
}

async function recordings(set: data.Dataset): Promise<Recording[]> {
  const found: Recording[] = []
  for (let i = 0; i < set.length; i++) {
    const { inputs, labels } = set.batch([i]) as { inputs: { features: Tensor; lengths: Tensor }; labels: Tensor }
    found.push({ label: Number(await labels.item()), frames: (await inputs.features.data()) as Float32Array })
    for (const each of [inputs.features, inputs.lengths, labels]) each.dispose()
  }
  return found
}

/** Recordings as a model takes them: the first `most` frames of each, and how many they are. */
export function padded(recordings: readonly Pick<Recording, 'frames'>[], width: number, most: number): { features: Tensor; lengths: Tensor } {
  const features = new Float32Array(recordings.length * most * width)
  const lengths = Int32Array.from(recordings, ({ frames }) => Math.min(most, frames.length / width))
  recordings.forEach(({ frames }, i) => features.set(frames.subarray(0, most * width), i * most * width))
  return { features: tensor(features, { shape: [recordings.length, most, width] }), lengths: tensor(lengths) }
}
