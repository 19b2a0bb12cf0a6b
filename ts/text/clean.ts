import { ValueError } from '../index.js'
import { native, settle, type TextPipeline, type TextSteps } from '../internal.js'
import { inChunks, type Texts } from './chunks.js'

/** The normalisation forms of Unicode Standard Annex 15, as in `String.prototype.normalize`. */
export type UnicodeForm = 'NFC' | 'NFD' | 'NFKC' | 'NFKD'

/** What to do to a text, in this order. */
export interface CleanOptions {
  /** Tags become a space, comments, scripts and styles too, entities what they stand for: those of punctuation, Latin letters, and numbers. Default false. */
  html?: boolean
  /** A Unicode normalisation form; none where left out. */
  normalize?: UnicodeForm
  /** To lower case, of all scripts; Keras knows ASCII's alone. Default true. */
  lower?: boolean
  /** Removes the 32 punctuation characters of ASCII, as Keras does. Default true. */
  punctuation?: boolean
}

const DEFAULTS = { html: false, normalize: undefined, lower: true, punctuation: true } as const
const FORMS: readonly unknown[] = ['NFC', 'NFD', 'NFKC', 'NFKD', undefined]

/** The addon's reader for `options`. */
export function pipeline(op: string, options: CleanOptions | undefined, split: TextSteps['split']): TextPipeline {
  const steps = settle<CleanOptions, typeof DEFAULTS>(op, options, DEFAULTS)
  if (!FORMS.includes(steps.normalize))
    throw new ValueError(`${op}: normalize is one of NFC, NFD, NFKC, NFKD, got ${JSON.stringify(steps.normalize)}.`, { op })
  for (const name of ['html', 'lower', 'punctuation'] as const)
    if (typeof steps[name] !== 'boolean') throw new ValueError(`${op}: ${name} must be true or false, got ${JSON.stringify(steps[name])}.`, { op })
  return new native.TextPipeline({ ...steps, split })
}

/**
 * The texts, cleaned: without HTML, in one Unicode form, in lower case, without punctuation, as the options say. In Rust, on threads of its own.
 * Halves of surrogate pairs become U+FFFD.
 * @throws ValueError for a row that is no string, naming it
 */
export async function cleanText(texts: Texts, options?: CleanOptions): Promise<string[]> {
  const reader = pipeline('cleanText', options, 'none')
  return (await inChunks('cleanText', texts, (chunk) => reader.clean(chunk))).flat()
}
