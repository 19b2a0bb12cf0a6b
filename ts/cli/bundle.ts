// A trained model in a file: weights, and beside them what is needed to use them.
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { CheckpointError, type data, type nn, train } from '../index.js'
import { type Classifier, classifierNamed, type ImageConfig } from './classifiers.js'

/** What a saved model says of itself. */
export interface Card {
  /** The model's name among `classifiers`. */
  model: string
  config: ImageConfig
  classes: readonly string[]
  normalisation?: data.Normalisation | undefined
  /** What it was trained on, as given to --data. */
  data: string
}

/** A model with its card. */
export interface Bundle {
  model: nn.Module
  card: Card
}

const file = 'model.safetensors'

/** Writes DIR/model.safetensors, durably. */
export async function saveBundle(folder: string, { model, card }: Bundle): Promise<string> {
  const path = join(folder, file)
  await model.save(path, { metadata: { model: card.model, card: JSON.stringify(card) } })
  return path
}

/** Whether a folder holds what `saveBundle` wrote. */
export function holdsModel(folder: string): Promise<boolean> {
  return stat(join(folder, file)).then(
    () => true,
    () => false,
  )
}

/** Reads what `saveBundle` wrote; `path` is its folder or the file. @throws CheckpointError for other files */
export async function loadBundle(path: string): Promise<Bundle> {
  const isFolder = await stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  )
  const weights = isFolder ? join(path, file) : path
  const { metadata } = await train.inspectSafetensors(weights).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    throw new CheckpointError(`there is no ${weights}.\n  Train first: ferrograd train cnn --data digits --out ${path}`, { cause: error })
  })
  const card = parseCard(metadata.card, weights)
  const model = (classifierNamed(card.model) as Classifier).make(card.config)
  await model.load(weights)
  return { model: model.eval(), card }
}

function parseCard(text: string | undefined, path: string): Card {
  const fail = (): never => {
    throw new CheckpointError(
      `${path} holds weights, but not what they belong to.\n  Give the folder or the model.safetensors that 'ferrograd train' wrote.`,
    )
  }
  if (text === undefined) return fail()
  try {
    const card = JSON.parse(text) as Card
    const { inChannels, classes, imageSize } = card.config
    const whole = [inChannels, classes, imageSize].every((value) => Number.isInteger(value) && value >= 1 && value <= 1 << 16)
    if (
      classifierNamed(card.model) !== undefined &&
      whole &&
      Array.isArray(card.classes) &&
      card.classes.length === classes &&
      card.classes.every((name) => typeof name === 'string')
    )
      return card
  } catch {
    // Said below.
  }
  return fail()
}

/** Whether data has the shape a model was trained on. @throws CheckpointError */
export function checkFits({ config }: Card, dataset: data.Dataset): void {
  const shape = dataset.inputShape as readonly number[]
  const wanted = [config.imageSize, config.imageSize, config.inChannels]
  if (String(shape) !== String(wanted))
    throw new CheckpointError(
      `the images are [${shape.join(', ')}], the model was trained on [${wanted.join(', ')}].\n  Give data of that kind.`,
    )
  const classes = dataset.classes?.length ?? config.classes
  if (classes !== config.classes) throw new CheckpointError(`the data has ${classes} classes, the model knows ${config.classes}.`)
}
