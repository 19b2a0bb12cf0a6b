// Images in classes.
import { CheckpointError, data, Trainer, ValueError } from '../../index.js'
import type { Bundle, Card } from '../bundle.js'
import type { ImageConfig } from '../classifiers.js'
import { confusionMatrix, imagePredictions } from '../panels.js'
import { UsageError } from '../usage.js'
import { accuracyChart, type ClassesTested, classTraining, sayClasses, testClasses, topOf } from './classes.js'
import { drawSamples } from './image-samples.js'
import { type ImageData, loadAll, loadImages } from './image-sources.js'
import { type Task, wholes } from './task.js'

const configOf = (card: Card): ImageConfig => card.config as unknown as ImageConfig
const trainerOf = ({ model }: Bundle): Trainer => new Trainer(model, classTraining)

export const images: Task<ImageData, ClassesTested> = {
  name: 'images',
  reads: 'images',
  sources: 'digits, cifar10, mnist or a folder',
  example: () => 'IMAGE.png',
  options: { train: ['augment', 'size'], evaluate: ['all', 'download'], predict: ['top'] },
  charts: [accuracyChart],

  knows(card) {
    const { inChannels, classes, imageSize } = configOf(card)
    return wholes(inChannels, classes, imageSize) && card.classes?.length === classes
  },

  async load(source, { download = false, size: wanted, all = false, card }) {
    const { inChannels, imageSize } = card === undefined ? {} as Partial<ImageConfig> : configOf(card)
    const options = { download, size: imageSize ?? wanted ?? 32, channels: (inChannels ?? 3) as 1 | 3, classes: card?.classes }
    const loaded = all ? { name: source, test: await loadAll(source, options) } : await loadImages(source, options)
    const [side] = loaded.test.inputShape as readonly number[]
    if (wanted !== undefined && wanted !== side)
      throw new UsageError(`train: --size ${wanted} is for images from a folder; those of ${loaded.name} have ${side} pixels a side. Leave it out.`, 'train')
    return { train: loaded.test, ...loaded }
  },

  async plan(images, { model, data: source, validation, seed, batchSize, augment = false }) {
    const [side, , channels] = images.train.inputShape as readonly number[] as [number, number, number]
    const parts: { train: data.Dataset; validation?: data.Dataset } =
      validation === 0 ? { train: images.train } : await data.split(images.train, { validation, seed })
    const normalised = await data.normalise<{ train: data.Dataset; validation?: data.Dataset } & Record<string, data.Dataset>>({ ...parts })
    const classes = images.train.classes ?? []
    const card: Card = {
      task: 'images',
      model,
      config: { inChannels: channels, classes: images.train.classes?.length ?? 10, imageSize: side },
      classes,
      normalisation: normalised.train.normalisation,
      data: source,
    }
    checkFits(card, images.test)
    return {
      card,
      name: images.name,
      parts: `${parts.train.length} images to train, ${parts.validation?.length ?? 0} to validate, ${images.test.length} to test`,
      training: new data.DataLoader(normalised.train, { batchSize, shuffle: true, seed, ...(augment ? { augment: augmentation(side, channels) } : {}) }),
      fit: normalised.validation === undefined ? {} : { validation: normalised.validation },
    }
  },

  trainer: () => classTraining,

  async test(bundle, { test }, { batchSize, signal } = {}) {
    const { card } = bundle
    checkFits(card, test)
    return testClasses(trainerOf(bundle), test.withNormalisation(card.normalisation), { classes: card.classes ?? [], samples: test.length, noun: 'images', batchSize, signal })
  },

  async panels(bundle, { test }, { confusion }) {
    const classes = bundle.card.classes ?? []
    return [confusionMatrix(confusion, classes), imagePredictions(await drawSamples(trainerOf(bundle), test.withNormalisation(bundle.card.normalisation)), classes)]
  },

  async predict(bundle, paths, values) {
    const { card } = bundle
    if (paths.length === 0) throw new UsageError('predict: which images is missing: PNG or JPEG files, or folders of them.', 'predict')
    topOf(values)
    const files = await data.imageFiles([...paths])
    const { imageSize: side, inChannels: channels } = configOf(card)
    if (channels !== 1 && channels !== 3)
      throw new ValueError(`the model was trained on images of ${channels} channels, which files do not have.`)
    const images = data.dataset({
      inputs: await data.readImages(files, { size: side, channels }),
      inputShape: [side, side, channels],
      labels: new Int32Array(files.length),
      scale: 1 / 255,
      normalisation: card.normalisation,
    })
    const output = await trainerOf(bundle).predictProbabilities(images)
    sayClasses('file', files, (await output.data()) as Float32Array, card.classes ?? [], values)
  },
}

/** Shifts by an eighth of the image; a mirrored digit would be another sign, so that only colour images are mirrored. */
function augmentation(side: number, channels: number): data.AugmentSettings {
  return { flip: channels === 3, pad: Math.max(1, Math.round(side / 8)) }
}

/** Whether data has the shape a model was trained on. @throws CheckpointError */
function checkFits(card: Card, dataset: data.Dataset): void {
  const config = configOf(card)
  const shape = dataset.inputShape as readonly number[]
  const wanted = [config.imageSize, config.imageSize, config.inChannels]
  if (String(shape) !== String(wanted))
    throw new CheckpointError(
      `the images are [${shape.join(', ')}], the model was trained on [${wanted.join(', ')}].\n  Give data of that kind.`,
    )
  const classes = dataset.classes?.length ?? config.classes
  if (classes !== config.classes) throw new CheckpointError(`the data has ${classes} classes, the model knows ${config.classes}.`)
}
