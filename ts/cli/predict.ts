import { data, ValueError } from '../index.js'
import { loadBundle } from './bundle.js'
import { percent, say, table } from './console.js'
import { trainerFor } from './measure.js'
import { number, parse, UsageError } from './usage.js'

/** A class and how likely it is. */
interface Guess {
  class: string
  probability: number
}

/** `ferrograd predict DIR FILES...`: the exit code. */
export async function predictCommand(args: readonly string[]): Promise<number> {
  const {
    values,
    files: [folder, ...paths],
  } = await parse('predict', args, { top: { type: 'string' }, json: { type: 'boolean' } })
  if (folder === undefined) throw new UsageError('predict: the folder of a training run is missing.', 'predict')
  if (paths.length === 0) throw new UsageError('predict: which images is missing: PNG or JPEG files, or folders of them.', 'predict')
  const top = number('predict', values, 'top', 1, { whole: true, min: 1 })
  const { model, card } = await loadBundle(folder)
  const files = await data.imageFiles(paths)
  const { imageSize: side, inChannels: channels } = card.config
  if (channels !== 1 && channels !== 3)
    throw new ValueError(`the model was trained on images of ${channels} channels, which files do not have.`)
  const pixels = await data.readImages(files, { size: side, channels })
  const images = data.dataset({
    inputs: pixels,
    inputShape: [side, side, channels],
    labels: new Int32Array(files.length),
    scale: 1 / 255,
    normalisation: card.normalisation,
  })
  const output = await trainerFor(model).predictProbabilities(images)
  const probabilities = (await output.data()) as Float32Array
  const classes = card.classes.length
  const rows = files.map((file, i) => {
    const guesses = Array.from(probabilities.subarray(i * classes, (i + 1) * classes), (probability, j): Guess => ({
      class: card.classes[j] as string,
      probability,
    }))
    return { file, guesses: guesses.sort((a, b) => b.probability - a.probability).slice(0, top) }
  })
  if (values.json === true) for (const { file, guesses } of rows) say(JSON.stringify({ file, ...guesses[0], classes: guesses }))
  else say(table(rows.map(({ file, guesses }) => [file, ...guesses.flatMap((guess) => [guess.class, percent(guess.probability)])])))
  return 0
}
