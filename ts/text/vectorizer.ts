import { type Tensor, tensor, train, ValueError } from '../index.js'
import { answer, check, type EncodedTexts, native, type PackedTexts, settle, type TextPipeline, type TextRows } from '../internal.js'
import { inChunks, packed, type Texts } from './chunks.js'
import { type CleanOptions, pipeline } from './clean.js'
import { counted, Vocabulary, type VocabularyOptions } from './vocabulary.js'

/** Options of {@link TextVectorizer}; the names are those of Keras' TextVectorization where it has them. */
export interface VectorizerOptions {
  /** Ids at most, those of padding and the unknown among them; no limit where left out. */
  maxTokens?: number
  /** Words that came less often are left out of the vocabulary. Default 1. */
  minCount?: number
  /** Steps of cleaning, or a function of one's own, which runs in JavaScript. Left out: lower case without punctuation, as in Keras. */
  standardize?: CleanOptions | ((text: string) => string)
  /** Where a text is cut: at whitespace, Unicode's too (the default), into characters, or not at all. */
  split?: 'whitespace' | 'character' | 'none'
  /** Ids in each row; left out, as many as the longest text of a call has. */
  outputSequenceLength?: number
  /** The side of a row that padding stands on. Default 'right'; Keras' `pad_sequences` has 'left'. */
  padding?: 'left' | 'right'
  /** The side that is cut off a text that is too long. Default 'right'; Keras' `pad_sequences` has 'left'. */
  truncation?: 'left' | 'right'
  /** The words, where they are known: then `adapt` is not needed. A list as Keras' `get_vocabulary()` gives it keeps its ids. */
  vocabulary?: Vocabulary | readonly string[]
}

/** Texts as ids: what a model with an embedding takes. */
export interface Encoded {
  /** int32 [N, T]. */
  ids: Tensor<'int32'>
  /** int32 [N]: how far each row reaches, behind its last word. Models read so many steps; padding on the left is among them, as for Keras without a mask. */
  lengths: Tensor<'int32'>
}

/** A vectorizer as plain data: its options and words. */
export interface VectorizerJSON {
  /** The options but for the words. */
  options: Omit<VectorizerOptions, 'vocabulary'>
  /** The words from id 2 on. */
  words: string[]
  /** How padding and the unknown are written, where a `Vocabulary` was given. */
  tokens?: VocabularyOptions
}

const DEFAULTS = {
  maxTokens: undefined, minCount: 1, standardize: undefined, split: 'whitespace', outputSequenceLength: undefined, padding: 'right', truncation: 'right',
  vocabulary: undefined,
} as const
const CHOICES: Readonly<Record<string, readonly unknown[]>> = {
  split: ['whitespace', 'character', 'none'], padding: ['left', 'right'], truncation: ['left', 'right'],
}
/** Least value of each number, and none where it may be left out. */
const LEAST: Readonly<Record<string, number>> = { maxTokens: 3, minCount: 1, outputSequenceLength: 1 }
const NO_STEPS: CleanOptions = { lower: false, punctuation: false }

/**
 * Texts to ids [N, T]: cleaned, split, looked up in a vocabulary that `adapt` learned, padded and cut. The words, their order and ids are those of
 * Keras' TextVectorization, but that letters and whitespace of all scripts count: Keras changes the case of ASCII's letters alone, and does not split at
 * U+00A0, U+0085, U+3000 and the like. Reading runs in Rust on threads of its own.
 */
export class TextVectorizer {
  readonly #options: ReturnType<typeof settled>
  #pipeline: TextPipeline
  #vocabulary: Vocabulary | undefined

  /** @throws ValueError for an option that makes no sense */
  constructor(options?: VectorizerOptions) {
    const { vocabulary, maxTokens = Infinity } = this.#options = settled(options)
    this.#pipeline = this.#reader()
    if (vocabulary !== undefined) {
      this.#vocabulary = vocabulary instanceof Vocabulary ? vocabulary : new Vocabulary(vocabulary)
      const { size } = this.#vocabulary
      if (size > maxTokens)
        throw new ValueError(`TextVectorizer: the vocabulary has ${size} ids, those of padding and the unknown among them; maxTokens is ${maxTokens}.\n  Raise it or leave it out, or cut the list.`, { op: 'TextVectorizer' })
      this.#pipeline.setWords(packed(this.#vocabulary.words))
    }
  }

  /** The words and ids. @throws ValueError before `adapt`, where none were given */
  get vocabulary(): Vocabulary {
    if (this.#vocabulary === undefined)
      throw new ValueError('TextVectorizer: has no vocabulary yet.\n  await vectorizer.adapt(texts), or give { vocabulary: words }.', { op: 'TextVectorizer' })
    return this.#vocabulary
  }

  /**
   * Learns the vocabulary: the words of `texts`, the most frequent first; of equally frequent ones the last in byte order first, as in Keras.
   * Texts may be a stream larger than memory. @throws ValueError naming the row that is no string
   */
  async adapt(texts: Texts): Promise<this> {
    const { maxTokens, minCount } = this.#options
    // A reader of its own: two calls at a time do not mix, and until this one is done the words are those that were there.
    const reader = this.#reader()
    await inChunks('TextVectorizer.adapt', texts, (chunk) => reader.count(chunk), this.#standardize)
    const { text, units } = await reader.learn(minCount, maxTokens === undefined ? 2 ** 31 - 3 : maxTokens - 2)
    let from = 0
    const words = Array.from(units, (length) => text.slice(from, from += length))
    counted.add(words)
    this.#vocabulary = new Vocabulary(words)
    this.#pipeline = reader
    return this
  }

  /**
   * The ids of `texts` and their lengths. An empty text is a row of padding with length 0.
   * @throws ValueError naming the row that is no string, or before `adapt`
   */
  async encode(texts: Texts): Promise<Encoded> {
    const { outputSequenceLength: length, padding } = this.#options
    void this.vocabulary
    // What was disposed of since the last op makes room.
    native.flush()
    const { rows, lengths } = length !== undefined && Array.isArray(texts) ? await this.#intoRows(texts as string[], length) : await this.#thenRows(texts)
    rows.tensor()
    const ids = answer() as Tensor<'int32'>
    const ends = padding === 'left' ? lengths.map((count) => (count === 0 ? 0 : ids.shape[1]!)) : lengths
    return { ids, lengths: tensor(ends, { transfer: true }) as Tensor<'int32'> }
  }

  /** The ids of each text, as many as it has: neither padded nor cut. @throws as `encode` */
  async encodeRagged(texts: Texts): Promise<Int32Array[]> {
    const parts = await this.#read('TextVectorizer.encodeRagged', texts, undefined)
    return parts.flatMap(({ ids, lengths }) => {
      let from = 0
      return Array.from(lengths, (count) => ids.subarray(from, from += count))
    })
  }

  /** Plain data that `TextVectorizer.fromJSON` takes. @throws ValueError where `standardize` is a function, which no file holds */
  toJSON(): VectorizerJSON {
    const { vocabulary: _, standardize, ...options } = this.#options
    if (typeof standardize === 'function')
      throw new ValueError('TextVectorizer: standardize is a function, which cannot be saved.\n  Use its steps, as in { standardize: { html: true } }, or save vectorizer.vocabulary.words.', { op: 'TextVectorizer' })
    const given = Object.entries({ ...options, standardize }).filter(([, value]) => value !== undefined)
    return { options: Object.fromEntries(given) as VectorizerJSON['options'], words: [...this.vocabulary.words], tokens: this.vocabulary.tokens }
  }

  /** The vectorizer that `toJSON` described. @throws ValueError for anything else */
  static fromJSON(json: VectorizerJSON): TextVectorizer {
    if (typeof json !== 'object' || json === null || !Array.isArray(json.words))
      throw new ValueError("TextVectorizer.fromJSON: takes what toJSON() gave, an object with 'options' and 'words'.", { op: 'TextVectorizer.fromJSON' })
    const { padToken = '', oovToken = '[UNK]' } = json.tokens ?? {}
    return new TextVectorizer({ ...json.options, vocabulary: new Vocabulary([padToken, oovToken, ...json.words], json.tokens) })
  }

  /**
   * The vectorizer beside the weights in a file: of a checkpoint that a `Trainer` with a vectorizer wrote, or of what
   * `model.save(path, { metadata: { vectorizer: JSON.stringify(vectorizer) } })` wrote.
   * @throws FileError for a file that cannot be read, ValueError for one without a vectorizer
   */
  static async load(path: string): Promise<TextVectorizer> {
    const { metadata } = await train.inspectSafetensors(path)
    const json = fromMetadata(metadata)
    if (json === null)
      throw new ValueError(`TextVectorizer.load: there is no vectorizer in ${path}.\n  Save it with model.save(path, { metadata: { vectorizer: JSON.stringify(vectorizer) } }), or give the Trainer { vectorizer } for its checkpoints.`, { op: 'TextVectorizer.load' })
    return TextVectorizer.fromJSON(json)
  }

  /** Where number and length of the rows are known, the ids are written where they stay. */
  async #intoRows(texts: readonly string[], length: number): Promise<{ rows: TextRows; lengths: Int32Array }> {
    const { padding, truncation } = this.#options
    const fixed = [...texts]
    const [reader, rows] = [this.#pipeline, new native.TextRows(fixed.length, length)]
    try {
      rows.check()
      check()
      const write = (chunk: PackedTexts): Promise<Int32Array> => reader.encodeRows(chunk, rows, padding === 'left', truncation === 'left')
      return { rows, lengths: joined(await inChunks('TextVectorizer.encode', fixed, write, this.#standardize)) }
    } catch (error) {
      rows.close()
      throw error
    }
  }

  /** Else all texts are read before there are rows. */
  async #thenRows(texts: Texts): Promise<{ rows: TextRows; lengths: Int32Array }> {
    const { outputSequenceLength: length, padding } = this.#options
    const parts = await this.#read('TextVectorizer.encode', texts, length)
    const lengths = joined(parts.map((part) => part.lengths))
    const columns = length ?? lengths.reduce((most, count) => Math.max(most, count), 0)
    return { rows: await native.textRows(parts, columns, padding === 'left'), lengths }
  }

  async #read(op: string, texts: Texts, length: number | undefined): Promise<EncodedTexts[]> {
    const { truncation } = this.#options
    void this.vocabulary
    const reader = this.#pipeline
    return inChunks(op, texts, (chunk) => reader.encode(chunk, length, truncation === 'left'), this.#standardize)
  }

  /** The user's function, where there is one. */
  get #standardize(): ((text: string) => string) | undefined {
    const { standardize } = this.#options
    return typeof standardize === 'function' ? standardize : undefined
  }

  #reader(): TextPipeline {
    const { standardize, split } = this.#options
    return pipeline('TextVectorizer', typeof standardize === 'function' ? NO_STEPS : standardize, split)
  }
}

/** What a file says of a vectorizer; null for nothing. */
function fromMetadata({ vectorizer, checkpoint }: Readonly<Record<string, string>>): VectorizerJSON | null {
  try {
    if (vectorizer !== undefined) return JSON.parse(vectorizer) as VectorizerJSON
    return (JSON.parse(checkpoint ?? '{}') as { model?: { vectorizer?: VectorizerJSON } }).model?.vectorizer ?? null
  } catch {
    return null
  }
}

function settled(given: VectorizerOptions | undefined) {
  const options = settle<VectorizerOptions, typeof DEFAULTS>('TextVectorizer', given, DEFAULTS)
  const wrong = (fault: string): ValueError => new ValueError(`TextVectorizer: ${fault}`, { op: 'TextVectorizer' })
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = options[name as keyof VectorizerOptions]
    if (!choices.includes(value)) throw wrong(`${name} is one of ${choices.join(', ')}, got ${JSON.stringify(value)}.`)
  }
  for (const [name, least] of Object.entries(LEAST)) {
    const value = options[name as keyof VectorizerOptions]
    if (value !== undefined && !(Number.isSafeInteger(value) && (value as number) >= least && (value as number) < 2 ** 31))
      throw wrong(`${name} must be a whole number from ${least} to 2^31 - 1, got ${JSON.stringify(value)}.`)
  }
  return options
}

function joined(parts: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}
