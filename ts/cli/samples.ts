// Test images for the report, with what the model takes them for.
import { type data, type nn } from '../index.js'
import { trainerFor } from './measure.js'
import type { ReportSample } from './report.js'

/** How many images a report shows, and how many of them may be mistakes. */
const shown = 16
const mistakes = 4

/** Sixteen images of `part`: the first of it, but up to four wrongly predicted ones among them, for these teach most. */
export async function drawSamples(model: nn.Module, part: data.Dataset): Promise<ReportSample[]> {
  const trainer = trainerFor(model)
  const output = await trainer.predictProbabilities(part)
  const [probabilities, truths] = [(await output.data()) as Float32Array, await part.labelValues()]
  output.dispose()
  const classes = probabilities.length / part.length
  const guesses = Array.from({ length: part.length }, (_, i) => {
    const row = probabilities.subarray(i * classes, (i + 1) * classes)
    const predicted = row.indexOf(row.reduce((a, b) => Math.max(a, b)))
    return { index: i, truth: Number(truths[i]), predicted, probability: row[predicted] as number }
  })
  const wrong = guesses.filter(({ truth, predicted }) => truth !== predicted).slice(0, mistakes)
  const right = guesses.filter(({ truth, predicted }) => truth === predicted).slice(0, shown - wrong.length)
  const [height, width, channels] = part.inputShape as readonly number[] as [number, number, number]
  const values = await part.inputValues()
  const size = height * width * channels
  // Stored values times the scale are 0 to 1.
  const toByte = (value: number | bigint): number => Math.min(255, Math.max(0, Math.round(Number(value) * part.scale * 255)))
  return [...right, ...wrong]
    .sort((a, b) => a.index - b.index)
    .map(({ index, ...rest }) => ({
      ...rest,
      height,
      width,
      channels,
      pixels: Uint8Array.from(values.subarray(index * size, (index + 1) * size) as ArrayLike<number>, toByte),
    }))
}
