// Sequences of features in files of one's own: JSON lines and JSON of many, CSV of one.
import { FileFormatError } from '../../index.js'
import { csvRows } from '../../data/csv.js'
import { jsonLines } from '../../data/jsonl.js'
import { readText } from '../../data/text-file.js'
import { csvForm } from '../files.js'

/** One sequence. */
export interface SequenceRow {
  /** Numbers of each step. */
  steps: number[][]
  /** What `y` says: a class's name or number. */
  label: unknown
  /** The file, and where there may be several, which of them: `vowels.jsonl:3`. */
  name: string
}

/** Names of files that `readSequences` reads. */
export const sequenceFile: RegExp = /\.((csv|tsv|jsonl|ndjson)(\.gz)?|json)$/i

/**
 * The sequences of a file, each step of as many numbers as those before it, or as `features`. JSON lines are {"x": [[0.1, 0.2], ...], "y": "class"}, or the steps
 * alone; JSON is an array of these, or one; CSV is one, a row a step, with names above the columns or without.
 * @throws FileFormatError naming the row that is wrong
 */
export async function readSequences(path: string, features?: number, delimiter?: string): Promise<SequenceRow[]> {
  const rows = await (/\.[ct]sv(\.gz)?$/i.test(path) ? fromCsv(path, delimiter) : /\.json$/i.test(path) ? fromJson(path) : fromLines(path))
  const width = features ?? rows[0]?.steps[0]?.length ?? 1
  for (const { steps, name } of rows) {
    const wrong = steps.findIndex((step) => step.length !== width || !step.every(Number.isFinite))
    if (wrong < 0) continue
    const step = steps[wrong] as number[]
    const odd = step.find((value) => !Number.isFinite(value))
    if (odd !== undefined) throw new FileFormatError(`${name}: step ${wrong + 1} holds ${JSON.stringify(odd)}, which is no number.`)
    throw new FileFormatError(`${name}: step ${wrong + 1} has length ${step.length}; ${features === undefined ? 'the first step has' : 'the model reads steps of'} length ${width}.`)
  }
  return rows
}

async function fromLines(path: string): Promise<SequenceRow[]> {
  const rows: SequenceRow[] = []
  for await (const { value } of jsonLines('readSequences', path)) rows.push(rowOf(value, `${path}:${rows.length + 1}`))
  return rows
}

async function fromJson(path: string): Promise<SequenceRow[]> {
  const text = await readText('read', path)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new FileFormatError(`${path} is not JSON: ${(error as Error).message}.`, { cause: error })
  }
  // Of one sequence the steps are numbers, or arrays of them.
  const many = Array.isArray(value) && typeof value[0] === 'object' && typeof (value[0] as unknown[])[0] !== 'number'
  return many ? (value as unknown[]).map((row, i) => rowOf(row, `${path}:${i + 1}`)) : [rowOf(value, path)]
}

async function fromCsv(path: string, delimiter?: string): Promise<SequenceRow[]> {
  const form = { delimiter: /\.tsv(\.gz)?$/i.test(path) ? '\t' : ',', header: false, encoding: 'utf-8', ...csvForm(delimiter) }
  const steps: number[][] = []
  let first = true
  for await (const { fields, place } of csvRows('readSequences', path, (names) => names.map((_, i) => i), form)) {
    const step = fields.map((field) => (field.trim() === '' ? NaN : Number(field)))
    // Names of columns are no numbers.
    const named = first && step.every(Number.isNaN)
    first = false
    if (named) continue
    const wrong = step.findIndex((value) => !Number.isFinite(value))
    if (wrong >= 0) throw new FileFormatError(`${place} has ${JSON.stringify(fields[wrong])} where a number is expected.\n  Another delimiter is named by --delimiter.`)
    steps.push(step)
  }
  if (steps.length === 0) throw new FileFormatError(`${path} has no rows below its header.`)
  return [{ steps, label: undefined, name: path }]
}

function rowOf(value: unknown, name: string): SequenceRow {
  const { x, y: label } = (Array.isArray(value) ? { x: value } : (value ?? {})) as { x?: unknown; y?: unknown }
  if (!Array.isArray(x) || x.length === 0) throw new FileFormatError(`${name} is no sequence.\n  Write {"x": [[0.1, 0.2], [0.3, 0.4]], "y": "class"}: of each step its numbers, and to train the class.`)
  return { steps: x.map((step: unknown) => (Array.isArray(step) ? (step as number[]) : [step as number])), label, name }
}
