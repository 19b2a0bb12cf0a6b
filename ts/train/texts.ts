// Texts as training data and as inputs: the trainer's vectorizer makes ids of them.
import { data, type nn, Tensor, ValueError } from '../index.js'
import { kindOf } from '../internal.js'
import { fromPair, isIterable, peek, type TrainingData } from './source.js'

/** Makes model inputs of texts: a `TextVectorizer`, or anything with such a method. */
export interface Vectorizer {
  /** Tensors by name, a row a text, as the model's `forward` takes them. */
  encode(texts: readonly string[]): Promise<object>
  /** Plain data, for checkpoints. */
  toJSON?(): unknown
}

/** Texts with a label each: what a trainer with a vectorizer takes, too. */
export interface TextData {
  /** The texts. */
  inputs: readonly string[]
  /** Class numbers, class names, or whatever the loss compares with. */
  labels: data.ColumnSource | readonly string[]
  /** Names of the classes, in the order of their numbers. */
  classes?: readonly string[]
}

/** Throws for what makes no ids of texts. */
export function checkVectorizer(vectorizer: unknown): void {
  if (vectorizer !== undefined && typeof (vectorizer as Partial<Vectorizer> | null)?.encode !== 'function')
    throw new ValueError(`Trainer: the vectorizer must have encode(texts), got ${kindOf(vectorizer)}.\n  new TextVectorizer() of 'ferrograd/text' has.`, { op: 'Trainer' })
}

/** Saves a model with the words that its inputs are made of, plain data, as `TextVectorizer.load` reads them back. */
export function saveWithWords(model: nn.Module, path: string, words: unknown, metadata: Record<string, string> = {}): Promise<void> {
  return model.save(path, { metadata: { ...(words === undefined ? {} : { vectorizer: JSON.stringify(words) }), ...metadata } })
}

/** Whether inputs are texts. */
export const areTexts = (inputs: unknown): inputs is readonly string[] => Array.isArray(inputs) && typeof inputs[0] === 'string'
/** Whether data's inputs are texts. */
// A data set holds no texts; asked for all its inputs, it would make them.
const isTextData = (source: object): source is TextData => !(source instanceof data.Dataset) && areTexts((source as Partial<TextData>).inputs)

/** Texts as a vectorizer encodes them, to be freed with `dispose`. */
export interface Encoded<T> {
  given: T
  dispose(): void
}

/** What the vectorizer makes of texts. @throws ValueError without one */
export async function encoded<T>(owner: string, texts: readonly string[], vectorizer: Vectorizer | undefined): Promise<Encoded<T>> {
  if (vectorizer === undefined)
    throw new ValueError(`${owner}: the inputs are texts, and the trainer has no vectorizer.\n  new Trainer(model, { vectorizer }), a TextVectorizer that was adapted or loaded.`, { op: owner })
  const inputs = await vectorizer.encode(texts)
  return {
    given: inputs as T,
    dispose: () => {
      for (const tensor of Object.values(inputs)) if (tensor instanceof Tensor) tensor.dispose()
    },
  }
}

/** Data without texts, and the samples that are still to be put together a batch. */
export interface EncodedData extends Encoded<TrainingData> {
  batchSize: number | undefined
}

/**
 * Data with ids in the place of its texts: at once where they are in memory; a stream's, samples by the `batchSize` or whole batches, as they come. Data
 * without texts stays as it is.
 * @throws as `encoded`, and ValueError where `batchSize` does not go with the stream
 */
export async function encodedData(owner: string, source: TrainingData | TextData, vectorizer: Vectorizer | undefined, batchSize: number | undefined): Promise<EncodedData> {
  const asItIs = { given: source as TrainingData, batchSize, dispose: () => {} }
  const given: object = fromPair(source as TrainingData)
  if (isTextData(given)) {
    const { given: inputs, dispose } = await encoded<object>(owner, given.inputs, vectorizer)
    return { given: { ...given, inputs } as TrainingData, batchSize, dispose }
  }
  if (vectorizer === undefined || !isIterable(given)) return asItIs
  const samples = typeof batchSize === 'number'
  if (Array.isArray(given) && samples) {
    if (!isText(given[0])) return asItIs
    const [inputs, labels] = [given.map((sample) => sample.inputs), given.map((sample) => sample.labels)]
    return encodedData(owner, { inputs, labels }, vectorizer, batchSize)
  }
  const { first, whole } = await peek(given)
  const [item] = first as unknown[]
  if (isReadText(item))
    throw new ValueError(`${owner}: the stream gives { text, label }, as data.streamTexts does, and { inputs, labels } is wanted, labels as class numbers.\n  Map each to { inputs: text, labels: classes.indexOf(label) }; data.readTexts holds all in memory and needs no mapping.`, { op: owner })
  if (!isText(item) && !isTextData(item ?? {})) return { ...asItIs, given: whole }
  if (isText(item) && !samples)
    throw new ValueError(`${owner}: the stream gives single texts, and no batchSize was given, which means whole batches.\n  Give batchSize: so many are put together.`, { op: owner })
  if (!isText(item) && samples) throw new ValueError(`${owner}: the stream gives batches of texts, and batchSize asks for single ones.\n  Leave batchSize out.`, { op: owner })
  const stream = whole as AsyncIterable<TextSample> & AsyncIterable<TextData>
  return { ...asItIs, batchSize: undefined, given: { [Symbol.asyncIterator]: () => encodedBatches(owner, samples ? together(stream, batchSize) : stream, vectorizer) } }
}

interface TextSample {
  inputs: string
  labels: unknown
}
const isReadText = (item: unknown): boolean => typeof (item as { text?: unknown } | null | undefined)?.text === 'string'
const isText = (item: unknown): item is TextSample => typeof (item as Partial<TextSample> | null | undefined)?.inputs === 'string'

/** Single texts, so many a batch. */
async function* together(stream: AsyncIterable<TextSample>, size: number): AsyncGenerator<TextData> {
  let batch: TextSample[] = []
  const whole = (): TextData => ({ inputs: batch.map(({ inputs }) => inputs), labels: (batch.some(({ labels }) => labels === undefined) ? undefined : batch.map(({ labels }) => labels)) as data.ColumnSource })
  for await (const sample of stream) {
    if (batch.push(sample) < size) continue
    yield whole()
    batch = []
  }
  if (batch.length > 0) yield whole()
}

/** Batches with ids, which are freed when the next is asked for. */
async function* encodedBatches(owner: string, batches: AsyncIterable<TextData>, vectorizer: Vectorizer): AsyncGenerator<data.Batch> {
  for await (const { inputs: texts, labels } of batches) {
    if ((labels === undefined || labels === null) && !owner.startsWith('predict'))
      throw new ValueError(`${owner}: a batch of texts has no labels.\n  Each is { inputs, labels }, a class number a text.`, { op: owner })
    const { given: inputs, dispose } = await encoded<object>(owner, texts, vectorizer)
    try {
      // What is predicted has no labels, and nobody looks at them.
      yield { inputs, labels: labels ?? new Float32Array(texts.length) }
    } finally {
      dispose()
    }
  }
}
