// Labelled texts by name.
import { data } from '../../index.js'
import type { CleanOptions } from '../../text/index.js'
import { unknownSource } from '../files.js'
import type { LoadOptions } from './task.js'

/** Texts to train and to test on. */
export interface TextParts {
  name: string
  /** What a text is called: reviews, sentences. */
  noun: string
  train: data.Texts
  test: data.Texts
  validation?: data.Texts
  classes: readonly string[]
  /** How words are cleaned, how often one must come to be known, and how many of a text are kept. */
  cleaning: CleanOptions
  minCount: number
  usualLength: number
}

const sentenceSets = { mr: 'MR', subj: 'Subj', cr: 'CR', mpqa: 'MPQA', trec6: 'TREC', sst2: 'SST-2', sst5: 'SST-5' } as const
const names = ['imdb', ...Object.keys(sentenceSets)]

/** Loads `imdb` or a set of sentences. @throws ValueError where there is no such thing */
export async function loadTexts(source: string, _options: LoadOptions): Promise<TextParts> {
  if (source === 'imdb') return { name: 'IMDB', noun: 'reviews', classes: ['negative', 'positive'], cleaning: { html: true }, minCount: 1, usualLength: 200, ...(await data.imdb()) }
  if (Object.hasOwn(sentenceSets, source)) {
    const set = source as data.SentenceSet
    return { name: sentenceSets[set], noun: 'sentences', cleaning: { punctuation: false }, minCount: 2, usualLength: 64, ...(await data.sentences(set)) }
  }
  throw unknownSource(source, names, 'a file')
}
