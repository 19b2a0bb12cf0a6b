// Texts as training data and as inputs: the trainer's vectorizer makes ids of them.
import { type data, Tensor, ValueError } from '../index.js'
import { kindOf } from '../internal.js'
import type { TrainingData } from './source.js'

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

/** Whether inputs are texts. */
export const areTexts = (inputs: unknown): inputs is readonly string[] => Array.isArray(inputs) && typeof inputs[0] === 'string'
/** Whether data's inputs are texts. */
export const isTextData = (source: unknown): source is TextData => areTexts((source as Partial<TextData> | null | undefined)?.inputs)

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

/** Training data with ids in the place of its texts. @throws as `encoded` */
export async function encodedData(owner: string, source: TextData, vectorizer: Vectorizer | undefined): Promise<Encoded<TrainingData>> {
  const { given, dispose } = await encoded<object>(owner, source.inputs, vectorizer)
  return { given: { ...source, inputs: given } as TrainingData, dispose }
}
