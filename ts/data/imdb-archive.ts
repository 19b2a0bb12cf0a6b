// IMDB's official archive: a file a review, in folders that say part and class.
import { rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FileFormatError } from '../index.js'
import { makeFolder, withFileErrors } from '../internal.js'
import { download, readBytes, untar } from './files.js'
import { turns } from './turn.js'

/** Where an archive lies, and what it must be. */
export interface Archive {
  url: string
  sha256: string
}

const official: Archive = {
  url: 'https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz',
  sha256: 'c40f74a18d3b61f90feba1e17730e0d38e8b97c05fde7008942e91923d1658fe',
}

/** `aclImdb/train/pos/127_7.txt`: part, class, number, and the stars given. Unlabelled reviews lie in `unsup`. */
const review = /^(?:\.\/)?aclImdb\/(train|test)\/(neg|pos)\/(\d+)_\d+\.txt$/

/**
 * Fetches the archive and writes `train.jsonl` and `test.jsonl` into `folder`: by number, the negative review of a number before the positive one.
 * Nothing else of the archive is written, whatever its entries are called.
 * @throws ValueError where the archive does not come, or comes changed; FileFormatError where no reviews are in it
 */
export async function fetchImdb(folder: string, { url, sha256 }: Archive = official): Promise<void> {
  const archive = join(dirname(folder), 'aclImdb_v1.tar.gz')
  await download(url, sha256, archive)
  const rows: Record<'train' | 'test', { number: number; label: number; text: string }[]> = { train: [], test: [] }
  const turn = turns()
  let count = 0
  for (const [name, bytes] of untar(await readBytes(archive), archive)) {
    const [, part, kind, number] = review.exec(name) ?? []
    if (part !== undefined) rows[part as 'train' | 'test'].push({ number: Number(number), label: kind === 'pos' ? 1 : 0, text: new TextDecoder().decode(bytes) })
    if (++count % 1000 === 0) await turn()
  }
  if (rows.train.length === 0 || rows.test.length === 0) throw new FileFormatError(`imdb: ${archive} holds no reviews to train or to test on.\n  Get it again.`)
  await makeFolder('download', folder)
  // What is looked for last is written last: where only one file is there, none counts.
  for (const part of ['test', 'train'] as const) {
    const lines = rows[part].sort((a, b) => a.number - b.number || a.label - b.label).map(({ text, label }) => `${JSON.stringify({ text, label })}\n`)
    const path = join(folder, `${part}.jsonl`)
    const partial = `${path}.${process.pid}.part`
    await withFileErrors('download', path, true, () => writeFile(partial, lines.join('')).then(() => rename(partial, path)))
  }
  await rm(archive, { force: true })
}
