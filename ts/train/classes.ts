// Class names as labels: each name has the number that it had in training, whatever names a data set happens to hold.
import { data, ValueError } from '../index.js'
import { fromPair, type TrainingData } from './source.js'

/** What the trainer knows of its classes: null where it was trained on data that did not name them, undefined where it was not trained. */
export type Classes = readonly string[] | null | undefined

type Named = data.DatasetSource & { labels: readonly string[] }

function isNamed(source: unknown): source is Named {
  if (typeof source !== 'object' || source === null || source instanceof data.Dataset || !('inputs' in source && 'labels' in source)) return false
  return Array.isArray(source.labels) && typeof source.labels[0] === 'string'
}

/** Training data, its named labels numbered: as in the training before where that knew them all, else in the order of the names. */
export function numberedAnew(source: TrainingData, known: Classes): TrainingData {
  const given = fromPair(source)
  if (!isNamed(given)) return source
  const same = given.labels.every((name) => known?.includes(name))
  return data.dataset({ ...given, classes: given.classes ?? (same ? (known ?? undefined) : undefined) })
}

/**
 * Data to measure on, its named labels numbered as in training.
 * @throws ValueError for a name that training did not know, and for data that gives the classes other numbers
 */
export function numberedAs(owner: string, source: TrainingData, known: Classes): TrainingData {
  const given: unknown = fromPair(source)
  if (known === undefined || typeof given !== 'object' || given === null) return source
  if (known === null) {
    if (!isNamed(given)) return source
    throw new ValueError(`${owner}: the labels are names, but the training data did not name its classes.\n  Give class numbers, or train on names, or on data with classes: { inputs, labels, classes: ['cat', 'dog'] }.`)
  }
  const listed = `${known.slice(0, 20).join(', ')}${known.length > 20 ? ', ...' : ''}`
  const { classes: own } = given as { classes?: readonly string[] }
  if (own !== undefined && own.some((name, i) => known[i] !== name)) {
    throw new ValueError(
      `${owner}: the data counts its classes as ${own.slice(0, 20).join(', ')}, the model was trained on ${listed}.\n` +
        '  Give the data the classes of training, in their order: { classes: train.classes }.',
    )
  }
  if (!isNamed(given)) return source
  const unknown = given.labels.find((name) => !known.includes(name))
  if (unknown !== undefined) throw new ValueError(`${owner}: the label '${String(unknown)}' is none of the classes that the model was trained on: ${listed}.`)
  return data.dataset({ ...given, classes: known })
}
