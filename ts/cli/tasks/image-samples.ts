// Test images for the report, with what the model takes them for.
import type { data, Trainer } from '../../index.js'
import type { ReportSample } from '../panels.js'
import { drawn, instructive } from './classes.js'

/** Sixteen test images, up to four of them wrongly predicted. */
export async function drawSamples(trainer: Trainer, test: data.Dataset): Promise<ReportSample[]> {
  const part = test.subset(drawn(test.length))
  const output = await trainer.predictProbabilities(part)
  const probabilities = (await output.data()) as Float32Array
  output.dispose()
  const [height, width, channels] = part.inputShape as readonly number[] as [number, number, number]
  const values = await part.inputValues()
  const size = height * width * channels
  // Stored values times the scale are 0 to 1.
  const toByte = (value: number | bigint): number => Math.min(255, Math.max(0, Math.round(Number(value) * part.scale * 255)))
  return instructive(probabilities, await part.labelValues(), 16, 4).map(({ index, ...rest }) => ({
    ...rest,
    height,
    width,
    channels,
    pixels: Uint8Array.from(values.subarray(index * size, (index + 1) * size) as ArrayLike<number>, toByte),
  }))
}
