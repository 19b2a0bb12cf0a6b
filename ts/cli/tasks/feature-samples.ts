// Test sequences for the report, their features drawn as pictures, with what the model takes them for.
import type { data, Tensor, Trainer } from '../../index.js'
import type { ReportSample } from '../panels.js'
import { drawn, instructive } from './classes.js'

/** A picture's columns at most; of longer sequences steps are left out. */
const COLUMNS = 256

/** Sixteen sequences of `part`, whose features are normalised, up to four of them wrongly predicted. */
export async function drawFeatures(trainer: Trainer, part: data.Dataset): Promise<ReportSample[]> {
  const shown = part.subset(drawn(part.length))
  const output = await trainer.predictProbabilities(shown)
  const guesses = instructive((await output.data()) as Float32Array, await shown.labelValues(), 16, 4)
  output.dispose()
  return Promise.all(guesses.map(async ({ index, ...guess }) => ({ ...guess, ...(await picture(shown, index)) })))
}

/** Time runs to the right, features upwards; what is two and a half deviations above the mean is black. */
async function picture(part: data.Dataset, index: number): Promise<Pick<ReportSample, 'pixels' | 'height' | 'width' | 'channels'>> {
  const { inputs, labels } = part.batch([index])
  const { features, lengths } = inputs as Record<'features' | 'lengths', Tensor>
  const [, steps, height] = features.shape as [number, number, number]
  const values = (await features.data()) as Float32Array
  for (const tensor of [features, lengths, labels]) tensor?.dispose()
  const every = Math.ceil(steps / COLUMNS)
  const width = Math.ceil(steps / every)
  const pixels = Uint8Array.from({ length: height * width }, (_, at) => {
    const [row, column] = [Math.floor(at / width), at % width]
    const value = values[column * every * height + (height - 1 - row)] as number
    return Math.round(255 * Math.min(1, Math.max(0, 0.5 - value / 5)))
  })
  return { pixels, height, width, channels: 1 }
}
