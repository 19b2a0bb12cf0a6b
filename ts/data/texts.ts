// Texts of one's own, with or without labels: rows of a CSV file, JSON lines, or a folder with a sub-folder a class.
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { FileFormatError, ValueError } from '../index.js'
import { kindOf, settle, withFileErrors } from '../internal.js'
import { type CsvColumn, csvDefaults, type CsvOptions, csvRows } from './csv.js'
import { jsonLines } from './jsonl.js'
import { readText } from './text-file.js'
import { turns } from './turn.js'

/** Options of `readTexts` and `streamTexts`. */
export interface ReadTextsOptions extends CsvOptions {
  /** The column, or the key of a JSON line, that holds the text ('text'). */
  text?: CsvColumn
  /** That of the label ('label'); null for texts without labels. */
  label?: CsvColumn | null
}

/** A text and its class's name; null where labels are not asked for. */
export interface LabelledText {
  /** As it is in the file. */
  text: string
  /** The class's name. */
  label: string | null
}

/** Texts of one's own. */
export interface OwnTexts {
  /** As they are in the file. */
  texts: string[]
  /** Class numbers; none where labels were not asked for. */
  labels: number[]
  /** Names of the classes, sorted, numbers by their size. */
  classes: string[]
}

const DEFAULTS = { text: 'text', label: 'label', ...csvDefaults } as const

/**
 * The texts of a `.csv`, `.tsv` or `.jsonl` file (`.gz` too) or of a folder with a sub-folder of text files a class, one at a time: for files that are larger than memory.
 * A text may be empty, a label may not. Bytes that are not in the encoding are an error that names the line.
 * @throws FileFormatError naming the row that is wrong; ValueError for a column that is not there, naming those that are; FileError
 * @example await vectorizer.adapt(textsOf(data.streamTexts('reviews.csv', { text: 'review', label: null })))
 */
export async function* streamTexts(path: string, options: ReadTextsOptions = {}): AsyncGenerator<LabelledText, void, undefined> {
  const { text, label, ...form } = settle('streamTexts', options, DEFAULTS)
  const kind = /\.(csv|tsv|jsonl|ndjson)(\.gz)?$/i.exec(path)?.[1]?.toLowerCase()
  if (kind === undefined) yield* fromFolder(path, label !== null, form.encoding)
  else if (kind === 'jsonl' || kind === 'ndjson') yield* fromJson(path, text, label, form.encoding)
  else yield* fromCsv(path, text, label, { ...form, delimiter: kind === 'tsv' && options.delimiter === undefined ? '\t' : form.delimiter })
}

/** All that `streamTexts` gives, labels as class numbers: what a `Trainer` with a vectorizer trains on. @throws as `streamTexts` */
export async function readTexts(path: string, options: ReadTextsOptions = {}): Promise<OwnTexts> {
  const texts: string[] = []
  const names: string[] = []
  const turn = turns()
  for await (const { text, label } of streamTexts(path, options)) {
    texts.push(text)
    if (label !== null) names.push(label)
    await turn()
  }
  const classes = [...new Set(names)].sort((a, b) => Number(a) - Number(b) || (a < b ? -1 : 1))
  const numbers = new Map(classes.map((name, i) => [name, i]))
  return { texts, labels: names.map((name) => numbers.get(name)!), classes }
}

async function* fromCsv(path: string, text: CsvColumn, label: CsvColumn | null, form: CsvOptions): AsyncGenerator<LabelledText> {
  for await (const { fields: [found, name = null], place } of csvRows('readTexts', path, () => (label === null ? [text] : [text, label]), form)) {
    yield { text: found!, label: label === null ? null : named(name, place) }
  }
}

async function* fromJson(path: string, text: CsvColumn, label: CsvColumn | null, encoding: string): AsyncGenerator<LabelledText> {
  for await (const { value, place } of jsonLines('readTexts', path, encoding)) {
    const row = (value ?? {}) as Record<string, unknown>
    const found = row[text]
    if (typeof found !== 'string') throw new FileFormatError(`readTexts: ${place} has no text under ${JSON.stringify(text)}${keysOf(row)}.`, { op: 'readTexts' })
    yield { text: found, label: label === null ? null : named(row[label], place, Object.hasOwn(row, label) ? `: ${kindOf(row[label])} is none` : ` under ${JSON.stringify(label)}${keysOf(row)}`) }
  }
}

const keysOf = (row: object): string => `; there ${Object.keys(row).length === 1 ? 'is' : 'are'} ${Object.keys(row).map((key) => JSON.stringify(key)).join(', ') || 'no keys'}`

function named(label: unknown, place: string, fault = ''): string {
  if ((typeof label === 'string' && label.trim() !== '') || Number.isFinite(label) || typeof label === 'boolean') return String(label).trim()
  throw new FileFormatError(`readTexts: ${place} has no label${fault}.\n  Give each row its label, or say label: null.`, { op: 'readTexts' })
}

async function* fromFolder(path: string, labelled: boolean, encoding: string): AsyncGenerator<LabelledText> {
  const entries = await withFileErrors('readTexts', path, false, async () => {
    if ((await stat(path)).isDirectory()) return readdir(path, { withFileTypes: true })
    throw new ValueError(`readTexts: ${path} is a file whose name ends in none of .csv, .tsv, .jsonl and .ndjson (.gz too).\n  Give such a file, or a folder with a sub-folder of .txt files a class.`, { op: 'readTexts' })
  })
  const folders = labelled ? entries.filter((entry) => entry.isDirectory()).map(({ name }) => name).sort() : ['.']
  let found = false
  for (const name of folders) {
    const files = (await readdir(join(path, name))).filter((file) => /\.txt$/i.test(file)).sort()
    for (const file of files) {
      found = true
      yield { text: await readText('readTexts', join(path, name, file), encoding), label: labelled ? name : null }
    }
  }
  if (!found) throw new ValueError(`readTexts: ${path} holds no .txt files${labelled ? ' in sub-folders named by their class' : ''}.\n  Give a .csv, .tsv or .jsonl file, or such a folder.`, { op: 'readTexts' })
}
