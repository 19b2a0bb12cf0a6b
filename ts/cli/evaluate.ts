import { loadBundle, checkFits } from './bundle.js'
import { percent, say, table } from './console.js'
import { accuracyByClass, measure } from './measure.js'
import { loadAll, loadImages } from './sources.js'
import { number, parse, UsageError } from './usage.js'

/** `ferrograd evaluate DIR --data ...`: the exit code. */
export async function evaluateCommand(args: readonly string[]): Promise<number> {
  const {
    values,
    files: [folder, ...rest],
  } = await parse('evaluate', args, {
    data: { type: 'string' },
    all: { type: 'boolean' },
    json: { type: 'boolean' },
    'batch-size': { type: 'string' },
    download: { type: 'boolean' },
  })
  if (folder === undefined || rest.length > 0) throw new UsageError('evaluate: give the folder of one training run.', 'evaluate')
  const batchSize = number('evaluate', values, 'batch-size', 256, { whole: true, min: 1 })
  const { model, card } = await loadBundle(folder)
  const source = typeof values.data === 'string' ? values.data : card.data
  const { inChannels: channels, imageSize: size } = card.config
  const options = { download: values.download === true, size, channels: channels as 1 | 3, classes: card.classes }
  const raw = values.all === true ? await loadAll(source, options) : (await loadImages(source, options)).test
  checkFits(card, raw)
  const { loss, accuracy, confusion, samples } = await measure(model, raw.withNormalisation(card.normalisation), batchSize)
  const byClass = accuracyByClass(confusion)
  say(`${source}: accuracy ${percent(accuracy)}, loss ${loss.toFixed(4)} on ${samples} images`)
  say(table(card.classes.map((name, i) => [`  ${name}`, percent(byClass[i] ?? NaN)])))
  if (values.json === true) {
    const classes = Object.fromEntries(card.classes.map((name, i) => [name, Number.isFinite(byClass[i]) ? byClass[i] : null]))
    say(JSON.stringify({ accuracy, loss, samples, classes }))
  }
  return 0
}
