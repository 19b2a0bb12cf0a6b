// Labelled texts by name, or from files of one's own.
import { basename, join } from 'node:path'
import { data, ValueError } from '../../index.js'
import { range, seeded, shuffle } from '../../data/random.js'
import type { CleanOptions } from '../../text/index.js'
import { csvForm, dataSets, isFile, isFolder, refuseFileOptions, unknownSource, withColumnHint } from '../files.js'
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

/** Loads `imdb`, a set of sentences, a file or a folder. @throws ValueError where there is no such thing */
export async function loadTexts(source: string, options: LoadOptions): Promise<TextParts> {
  if ((dataSets.texts as readonly string[]).includes(source) || (await isFolder(source))) refuseFileOptions(source, 'CSV files and JSON lines', options, ['textColumn', 'labelColumn', 'delimiter'])
  if (/\.(jsonl|ndjson)(\.gz)?$/i.test(source)) refuseFileOptions(source, 'CSV files', options, ['delimiter'])
  if (source === 'imdb') return { name: 'IMDB', noun: 'reviews', classes: ['negative', 'positive'], cleaning: { html: true }, minCount: 1, usualLength: 200, ...(await data.imdb({ download: options.download === true })) }
  if (Object.hasOwn(sentenceSets, source)) {
    const set = source as data.SentenceSet
    return { name: sentenceSets[set], noun: 'sentences', cleaning: { punctuation: false }, minCount: 2, usualLength: 64, ...(await data.sentences(set)) }
  }
  if (!(await isFile(source)) && !(await isFolder(source))) throw await unknownSource(source, 'texts', 'a CSV, TSV or JSON lines file', ', or a folder of texts')
  return own(source, options)
}

/** The share of texts without a part of their own to test on that training leaves out; the seed is fixed, so that `evaluate` finds the same texts. */
const HELD_OUT = 0.2

/** A CSV, TSV or JSON lines file, or a folder with a sub-folder a class, of which a fifth is to test on, or with such folders in train/ and test/. */
async function own(source: string, { textColumn: text = 'text', labelColumn: label = 'label', delimiter }: LoadOptions): Promise<TextParts> {
  const common = { name: basename(source), noun: 'texts', cleaning: {}, usualLength: 200 }
  if ((await isFolder(join(source, 'train'))) && (await isFolder(join(source, 'test')))) {
    const [train, test] = await Promise.all(['train', 'test'].map((part) => data.readTexts(join(source, part))))
    if (String(train!.classes) !== String(test!.classes)) throw new ValueError(`--data: ${source} has other classes to test than to train on: ${test!.classes.join(', ')}; ${train!.classes.join(', ')}.`)
    return { ...common, minCount: rareness(train!.texts.length), train: train!, test: test!, classes: train!.classes }
  }
  const { texts, labels, classes } = await withColumnHint('The columns are named by --text-column and --label-column, what stands between them by --delimiter.', () => data.readTexts(source, { text, label, ...csvForm(delimiter) }))
  const order = shuffle(range(texts.length), seeded(0))
  const count = Math.round(HELD_OUT * texts.length)
  if (count < 1) throw new ValueError(`--data: ${source} holds ${texts.length} texts, of which no fifth can be left out to test.\n  Add some.`)
  const part = (rows: Int32Array): data.Texts => ({ texts: Array.from(rows, (row) => texts[row]!), labels: Array.from(rows, (row) => labels[row]!) })
  return { ...common, minCount: rareness(texts.length), train: part(order.subarray(count)), test: part(order.subarray(0, count)), classes }
}

/** Words that came once tell little, where there are enough others. */
const rareness = (texts: number): number => (texts < 2000 ? 1 : 2)
