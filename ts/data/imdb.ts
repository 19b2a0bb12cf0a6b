import { join } from 'node:path'
import { FileFormatError, ValueError } from '../index.js'
import { settle } from '../internal.js'
import { cacheFolder, candidates, checkFolder, namesIn } from './files.js'
import { fetchImdb } from './imdb-archive.js'
import { jsonLines } from './jsonl.js'
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
  if (found !== null) return { train: await read(found.train), test: await read(found.test) }
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

/** Texts and labels of a file of JSON lines. @throws FileFormatError naming the line */
async function read(path: string): Promise<Texts> {
  const found: Texts = { texts: [], labels: [] }
  const turn = turns()
  for await (const { value, place } of jsonLines('imdb', path)) {
    const { text, label } = (value ?? {}) as { text?: unknown; label?: unknown }
    const fault = typeof text !== 'string' ? 'no text' : !Number.isInteger(label) ? 'no whole number as its label' : null
    if (fault !== null) throw new FileFormatError(`imdb: ${place} has ${fault}.\n  A line is a JSON object such as {"text": "A great film.", "label": 1}.`)
    found.texts.push(text as string)
    found.labels.push(label as number)
    await turn()
  }
  return found
}
