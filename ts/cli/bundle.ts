// A trained model in a file: weights, and beside them what is needed to use them.
import { join } from 'node:path'
import { CheckpointError, type data, type nn, train } from '../index.js'
import { TextVectorizer } from '../text/index.js'
import { modelNamed, type ModelRow } from './catalogue.js'
import { earlierRun } from './checkpoints.js'
import { isFile, isFolder } from './files.js'

/** What a saved model says of itself. */
export interface Card {
  /** The name of a task; older files, which are of images, do without. */
  task?: string
  /** The model's name in the catalogue. */
  model: string
  /** What its `make` was given. */
  config: Readonly<Record<string, unknown>>
  classes?: readonly string[]
  normalisation?: data.Normalisation | undefined
  /** What it was trained on, as given to --data. */
  data: string
  /** How files were read, for `evaluate` and `predict`. */
  reading?: Readonly<Record<string, unknown>>
}

/** A model with its card, and what makes ids of its texts. */
export interface Bundle {
  model: nn.Module
  card: Card
  vectorizer?: TextVectorizer | undefined
}

const file = 'model.safetensors'

/** Writes DIR/model.safetensors, durably. */
export async function saveBundle(folder: string, { model, card, vectorizer }: Bundle): Promise<string> {
  const path = join(folder, file)
  const words: Record<string, string> = vectorizer === undefined ? {} : { vectorizer: JSON.stringify(vectorizer) }
  await model.save(path, { metadata: { model: card.model, card: JSON.stringify(card), ...words } })
  return path
}

/** Whether a folder holds what `saveBundle` wrote. */
export function holdsModel(folder: string): Promise<boolean> {
  return isFile(join(folder, file))
}

/** Reads what `saveBundle` wrote; `path` is its folder or the file. @throws CheckpointError for other files */
export async function loadBundle(path: string): Promise<Bundle & { row: ModelRow }> {
  const weights = (await isFolder(path)) ? join(path, file) : path
  if ((await isFile(weights)) && !weights.endsWith('.safetensors'))
    throw new CheckpointError(`${path} is no training run.\n  Give the folder that --out was, or its ${file}, first.`)
  const { metadata } = await train.inspectSafetensors(weights).catch(async (error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
    const stopped = await earlierRun(path).catch(() => null)
    const wayOut = stopped === null ? `Train first: ferrograd train cnn --data digits --out ${path}` : `Its training was stopped; go on with: ferrograd train ${stopped.options.model} --out ${path} --resume`
    throw new CheckpointError(`there is no ${weights}.\n  ${wayOut}`, { cause: error })
  })
  const card = parseCard(metadata.card, weights)
  const row = modelNamed(card.model) as ModelRow
  const model = row.make(card.config as never)
  await model.load(weights)
  const vectorizer = metadata.vectorizer === undefined ? undefined : await TextVectorizer.load(weights)
  return { model: model.eval(), card, vectorizer, row }
}

function parseCard(text: string | undefined, path: string): Card {
  try {
    const card = JSON.parse(text ?? '') as Card
    const task = modelNamed(card.model)?.task
    const { classes = [] } = card
    if (task !== undefined && (card.task ?? 'images') === task.name && Array.isArray(classes) && classes.every((name) => typeof name === 'string') && task.knows(card)) return card
  } catch {
    // Said below.
  }
  throw new CheckpointError(
    `${path} holds weights, but not what they belong to.\n  Give the folder or the model.safetensors that 'ferrograd train' wrote.`,
  )
}
