import { join } from 'node:path'
import { FileFormatError, ValueError } from '../index.js'
import { settle } from '../internal.js'
import { cacheFolder, candidates, checkFolder, namesIn, readBytes } from './files.js'
import { fetchImdb } from './imdb-archive.js'
import { turns } from './turn.js'

/** Options of `imdb`. */
export interface ImdbOptions {
  /** Where the JSON lines lie, gzipped or not. Default: `$FERROGRAD_DATA/imdb`, else the cache folder (`$FERROGRAD_CACHE`). */
  folder?: string
  /** Fetches the 80 MiB archive and writes `train.jsonl` and `test.jsonl` into the cache where no files are found. Default false: nothing is fetched unasked. */
  download?: boolean
}

/** Texts with a label each. */
export interface Texts {
  /** As they are in the file, markup and all. */
  texts: string[]
  /** Class numbers. */
  labels: number[]
}

/** Bytes whose lines are read in one go. */
const SOME = 1 << 18

const patterns = { train: /^train.*\.jsonl(\.gz)?$/, test: /^test.*\.jsonl(\.gz)?$/ }

/**
 * The IMDB film reviews (Maas et al. 2011), 25,000 to train and 25,000 to test, label 1 for positive, from files of JSON lines with `text` and `label`.
 * @throws ValueError where files are missing, FileError for a folder that is not there, FileFormatError naming the line for a damaged one
 */
export async function imdb(options: ImdbOptions = {}): Promise<{ train: Texts; test: Texts }> {
  const { folder, download } = settle('imdb', options, { folder: undefined, download: false })
  const places = candidates('imdb', folder)
  let found = await findFiles(places)
  if (found === null && download) {
    const place = join(cacheFolder(), 'imdb')
    await fetchImdb(place)
    found = await findFiles([place])
  }
  if (found !== null) return { train: await jsonLines(found.train), test: await jsonLines(found.test) }
  await checkFolder('imdb', folder)
  throw new ValueError(
    `imdb: train*.jsonl.gz and test*.jsonl.gz are not in ${places.join(', ')}.\n  Name their folder; each line is a JSON object with text and label. ` +
      'Or have them fetched: download: true, in the command line --download.',
  )
}

async function findFiles(places: readonly string[]): Promise<{ train: string; test: string } | null> {
  for (const place of places) {
    const names = await namesIn(place)
    const [train, test] = [patterns.train, patterns.test].map((pattern) => names.find((name) => pattern.test(name)))
    if (train !== undefined && test !== undefined) return { train: join(place, train), test: join(place, test) }
  }
  return null
}

/** Texts and labels of a file of JSON lines. Invalid UTF-8 becomes U+FFFD. @throws FileFormatError naming the line */
async function jsonLines(path: string): Promise<Texts> {
  const found: Texts = { texts: [], labels: [] }
  const bytes = await readBytes(path)
  const turn = turns()
  let number = 0
  // Some lines at a time, so that nothing blocks the event loop for as long as all of them would.
  for (let start = 0; start < bytes.length; ) {
    const newline = bytes.indexOf(10, start + SOME)
    const end = newline < 0 ? bytes.length : newline
    for (const line of new TextDecoder().decode(bytes.subarray(start, end)).split('\n')) {
      number++
      if (line.trim() === '') continue
      const wrong = (what: string, cause?: unknown): never => {
        throw new FileFormatError(`imdb: line ${number} of ${path} ${what}.\n  A line is a JSON object such as {"text": "A great film.", "label": 1}.`, { cause })
      }
      const row = parsed(line, wrong)
      if (typeof row?.text !== 'string') return wrong('has no text')
      if (!Number.isInteger(row.label)) return wrong('has no whole number as its label')
      found.texts.push(row.text)
      found.labels.push(row.label as number)
    }
    start = end + 1
    await turn()
  }
  return found
}

function parsed(line: string, wrong: (what: string, cause: unknown) => never): { text?: unknown; label?: unknown } | null {
  try {
    return JSON.parse(line) as { text?: unknown; label?: unknown } | null
  } catch (error) {
    return wrong('is not JSON', error)
  }
}
