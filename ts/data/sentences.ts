import { join } from 'node:path'
import { FileFormatError, ValueError } from '../index.js'
import { settle } from '../internal.js'
import { candidates, checkFolder, namesIn } from './files.js'
import type { Texts } from './imdb.js'
import { pieces } from './text-file.js'

/** The sets that `sentences` knows. */
export type SentenceSet = 'mr' | 'subj' | 'cr' | 'mpqa' | 'trec6' | 'sst2' | 'sst5'

/** Options of `sentences`. */
export interface SentencesOptions {
  /** Where the files lie, gzipped or not. Default: `$FERROGRAD_DATA/sentences`, else the cache folder (`$FERROGRAD_CACHE`). */
  folder?: string
}

/** A set of sentences. */
export interface Sentences {
  /** Sentences to train on. */
  train: Texts
  /** Sentences to test on. */
  test: Texts
  /** Sentences to choose by, where the set has such a part. */
  validation?: Texts
  /** Names of the classes, in the order of their numbers. */
  classes: string[]
}

const SETS: readonly SentenceSet[] = ['mr', 'subj', 'cr', 'mpqa', 'trec6', 'sst2', 'sst5']
/** The parts of a set, by what their files' names begin with. */
const PARTS = { train: /^train/, test: /^test/, validation: /^dev/ }

/**
 * A set of labelled sentences of those that Kim (2014) took: film reviews (MR; Pang & Lee 2005), subjective or objective (Subj), customer reviews (CR),
 * opinions (MPQA), questions by the kind of their answer (TREC, 6 classes), and the Stanford Sentiment Treebank in 2 and 5 classes. Files `NAME-train*.tsv` and
 * `NAME-test*.tsv` (and `NAME-dev*.tsv`), a line each of label, tab, text.
 * @throws ValueError where files are missing, FileError for a folder that is not there, FileFormatError naming the line for a damaged one
 * @example const { train, test, classes } = await data.sentences('mr')
 */
export async function sentences(name: SentenceSet, options: SentencesOptions = {}): Promise<Sentences> {
  if (!SETS.includes(name)) throw new ValueError(`sentences: there is no set ${JSON.stringify(name)}; there are ${SETS.join(', ')}.`)
  const { folder } = settle('sentences', options, { folder: undefined })
  const places = candidates('sentences', folder)
  for (const place of places) {
    const names = (await namesIn(place)).filter((file) => file.startsWith(`${name}-`) && /\.tsv(\.gz)?$/.test(file))
    const of = (part: keyof typeof PARTS): string | undefined => names.find((file) => PARTS[part].test(file.slice(name.length + 1)))
    const [train, test, validation] = [of('train'), of('test'), of('validation')]
    if (train === undefined || test === undefined) continue
    const rows = await Promise.all([train, test, ...(validation === undefined ? [] : [validation])].map((file) => lines(join(place, file))))
    const classes = [...new Set(rows[0]!.map(({ label }) => label))].sort()
    const [first, second, third] = rows.map((part) => numbered(part, classes))
    return { train: first!, test: second!, ...(third === undefined ? {} : { validation: third }), classes }
  }
  await checkFolder('sentences', folder)
  throw new ValueError(`sentences: ${name}-train*.tsv.gz and ${name}-test*.tsv.gz are not in ${places.join(', ')}.\n  Name their folder; each line is a label, a tab and a sentence.`)
}

interface Row { label: string; text: string; place: string }

async function lines(path: string): Promise<Row[]> {
  const rows: Row[] = []
  for await (const { text, line: first } of pieces('sentences', path)) {
    text.split('\n').forEach((line, i) => {
      if (line.trim() === '') return
      const tab = line.indexOf('\t')
      const place = `line ${first + i} of ${path}`
      if (tab < 1) throw new FileFormatError(`sentences: ${place} has no label before a tab.\n  A line is a label, a tab and a sentence.`)
      rows.push({ label: line.slice(0, tab), text: line.slice(tab + 1).trimEnd(), place })
    })
  }
  return rows
}

function numbered(rows: readonly Row[], classes: readonly string[]): Texts {
  const number = new Map(classes.map((name, i) => [name, i]))
  const labels = rows.map(({ label, place }) => {
    const found = number.get(label)
    if (found === undefined) throw new FileFormatError(`sentences: ${place} has the label ${JSON.stringify(label)}, which no training sentence has.`)
    return found
  })
  return { texts: rows.map(({ text }) => text), labels }
}
