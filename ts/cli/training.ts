// Training a model on images, from data to report: what `ferrograd train` and the demo share.
import { join } from 'node:path'
import { data, manualSeed, type nn, type optim, train } from '../index.js'
import { makeFolder } from '../internal.js'
import { type Card, checkFits, saveBundle } from './bundle.js'
import type { RunOptions } from './checkpoints.js'
import { type Classifier, classifierNamed } from './classifiers.js'
import { percent, say } from './console.js'
import { type Measured, measure, trainerFor } from './measure.js'
import { renderReport } from './report.js'
import { drawSamples } from './samples.js'
import type { ImageData } from './sources.js'

/** A training run. */
export interface TrainingJob {
  images: ImageData
  options: RunOptions
  out: string
  signal: AbortSignal
  /** The checkpoint to go on from. */
  resume?: string
  /** A learning rate schedule. */
  schedule?: optim.ScheduleFactory
}

/** What training gave. */
export interface TrainingResult {
  model: nn.Module
  card: Card
  history: train.History
  test: Measured
}

/**
 * Trains with a held-out share of the training part (none for 0), measures on the test part, and writes model, history, checkpoints and report to the
 * output folder.
 * @throws CancelledError when `signal` aborts; a checkpoint was saved then, and the model too where training had ended
 */
export async function runTraining({ images, options, out, signal, resume, schedule }: TrainingJob): Promise<TrainingResult> {
  const { epochs, batchSize, seed, lr, optimizer, validation, augment, autocast } = options
  await makeFolder('--out', out)
  const [side, , channels] = images.train.inputShape as readonly number[] as [number, number, number]
  const parts: { train: data.Dataset; validation?: data.Dataset } =
    validation === 0 ? { train: images.train } : await data.split(images.train, { validation, seed })
  const normalised = await data.normalise<{ train: data.Dataset; test: data.Dataset; validation?: data.Dataset } & Record<string, data.Dataset>>({
    ...parts,
    test: images.test,
  })
  const card: Card = {
    model: options.model,
    config: { inChannels: channels, classes: images.train.classes?.length ?? 10, imageSize: side },
    classes: images.train.classes ?? [],
    normalisation: normalised.train.normalisation,
    data: options.data,
  }
  checkFits(card, normalised.test)
  manualSeed(seed)
  const { make, title } = classifierNamed(options.model) as Classifier
  const model = make(card.config)
  const count = model.parameters().reduce((sum, { size }) => sum + size, 0)
  say(
    `${images.name}: ${parts.train.length} images to train, ${parts.validation?.length ?? 0} to validate, ${images.test.length} to test; ` +
      `${count.toLocaleString('en')} parameters.`,
  )
  const loader = new data.DataLoader(normalised.train, {
    batchSize,
    shuffle: true,
    seed,
    ...(augment ? { augment: augmentation(side, channels) } : {}),
  })
  const history = await trainerFor(model, { optimizer, lr, ...(autocast ? { autocast: 'bfloat16' } : {}) }).fit(loader, {
    epochs,
    ...(normalised.validation === undefined ? {} : { validation: normalised.validation }),
    seed,
    signal,
    checkpointDir: out,
    metadata: { card, run: options },
    callbacks: [new train.JsonlLogger(join(out, 'history.jsonl'))],
    ...(resume === undefined ? {} : { resume }),
    ...(schedule === undefined ? {} : { schedule }),
  })
  await saveBundle(out, { model: model.eval(), card })
  const test = await measure(model, normalised.test, undefined, signal)
  const report = renderReport({
    history: history.epochs,
    confusion: test.confusion,
    classes: card.classes,
    samples: await drawSamples(model, normalised.test),
    title: `${title} on ${images.name}`,
    subtitle: [
      `test accuracy ${percent(test.accuracy)}, loss ${test.loss.toFixed(3)}`,
      `${count.toLocaleString('en')} parameters`,
      `${history.epochs.length} epochs`,
      `seed ${seed}`,
    ].join(' · '),
  })
  await train.writeDurably(join(out, 'report.svg'), (write) => write(Buffer.from(report)))
  return { model, card, history, test }
}

/** Shifts by an eighth of the image; a mirrored digit would be another sign, so that only colour images are mirrored. */
function augmentation(side: number, channels: number): data.AugmentSettings {
  return { flip: channels === 3, pad: Math.max(1, Math.round(side / 8)) }
}
