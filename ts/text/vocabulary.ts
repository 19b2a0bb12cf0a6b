import { IndexError, ValueError } from '../index.js'
import { kindOf, settle } from '../internal.js'

/** Options of {@link Vocabulary}. */
export interface VocabularyOptions {
  /** How padding is written. Default ''. */
  padToken?: string
  /** How a word outside the vocabulary is written. Default '[UNK]'. */
  oovToken?: string
}

const DEFAULTS = { padToken: '', oovToken: '[UNK]' } as const

/** Lists that hold each word once, as counting gives them: they need no look for words that are there twice. */
export const counted: WeakSet<readonly string[]> = new WeakSet()

/**
 * Words and their ids: 0 is padding, 1 every word that is not here, then the words in their order, as in Keras' TextVectorization. A list that begins with how
 * these two are written, '' and '[UNK]', has them already: what Keras' `get_vocabulary()` gives keeps its ids.
 */
export class Vocabulary {
  /** The id of padding. */
  static readonly PAD: number = 0
  /** The id of words that are not in the vocabulary. */
  static readonly OOV: number = 1
  /** The words from id 2 on. */
  readonly words: readonly string[]
  readonly #special: readonly [string, string]
  #ids: ReadonlyMap<string, number> | undefined

  /** @throws ValueError for what is no list, and for a word that is there twice, is written as padding or is no string */
  constructor(words: readonly string[], options?: VocabularyOptions) {
    if (!Array.isArray(words)) throw new ValueError(`Vocabulary: takes a list of words, got ${kindOf(words)}.`, { op: 'Vocabulary' })
    const { padToken, oovToken } = settle<VocabularyOptions, typeof DEFAULTS>('Vocabulary', options, DEFAULTS)
    this.#special = [padToken, oovToken]
    const known = counted.has(words)
    this.words = !known && words[0] === padToken && words[1] === oovToken ? words.slice(2) : [...words]
    if (known) return
    this.#ids = idsOf(this.words)
    const padding = this.#ids.get(padToken)
    if (padding !== undefined)
      throw new ValueError(`Vocabulary: word ${padding - 2} is ${JSON.stringify(padToken)}, which padding is written as.\n  Leave it out, or begin the list with ${JSON.stringify(padToken)} and ${JSON.stringify(oovToken)}.`, { op: 'Vocabulary' })
  }

  /** How padding and words outside the vocabulary are written. */
  get tokens(): Required<VocabularyOptions> {
    return { padToken: this.#special[0], oovToken: this.#special[1] }
  }

  /** Words, and the two ids of padding and the unknown: the rows that an embedding needs. */
  get size(): number {
    return this.words.length + 2
  }

  /** The word's id; that of the unknown for others. */
  idOf(word: string): number {
    this.#ids ??= idsOf(this.words)
    return this.#ids.get(word) ?? Vocabulary.OOV
  }

  /** The word with this id. @throws IndexError for an id outside 0 to `size` - 1 */
  wordOf(id: number): string {
    const word = this.#special[id] ?? this.words[id - 2]
    if (word === undefined) throw new IndexError(`Vocabulary: there is no id ${id}; ids run from 0 to ${this.size - 1}.`, { op: 'Vocabulary' })
    return word
  }

  /** The words of `ids`, padding left out, a space between them. @throws IndexError for an id outside 0 to `size` - 1 */
  decode(ids: Iterable<number>): string {
    return [...ids].filter((id) => id !== Vocabulary.PAD).map((id) => this.wordOf(id)).join(' ')
  }
}

function idsOf(words: readonly string[]): ReadonlyMap<string, number> {
  const ids = new Map<string, number>()
  words.forEach((word, i) => {
    if (typeof word !== 'string') throw new ValueError(`Vocabulary: word ${i} must be a string, got ${kindOf(word)}.`, { op: 'Vocabulary' })
    if (ids.has(word))
      throw new ValueError(`Vocabulary: ${JSON.stringify(word)} is there twice, as word ${ids.get(word)! - 2} and ${i}.\n  Give each word once: [...new Set(words)].`, { op: 'Vocabulary' })
    ids.set(word, i + 2)
  })
  return ids
}
