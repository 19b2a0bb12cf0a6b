import { join } from 'node:path'
import { ValueError } from '../index.js'
import { settle } from '../internal.js'
import { candidates, checkFolder, namesIn } from './files.js'
import { readText } from './text-file.js'

/** Options of `tinyShakespeare`. */
export interface TinyShakespeareOptions {
  /** Where `input.txt` lies. Default: `$FERROGRAD_DATA/tinyshakespeare`, else the cache folder (`$FERROGRAD_CACHE`). */
  folder?: string
}

/**
 * A megabyte of Shakespeare's plays (Karpathy 2015): its first nine tenths to train on, the rest to validate with.
 * @throws ValueError where the file is missing, FileError for a folder that is not there, FileFormatError naming the line that is not in UTF-8
 */
export async function tinyShakespeare(options: TinyShakespeareOptions = {}): Promise<{ train: string; validation: string }> {
  const { folder } = settle('tinyShakespeare', options, { folder: undefined })
  const places = candidates('tinyshakespeare', folder)
  for (const place of places) {
    const name = (await namesIn(place)).find((file) => /^input\.txt(\.gz)?$/.test(file))
    if (name === undefined) continue
    const text = await readText('tinyShakespeare', join(place, name))
    const cut = Math.floor(0.9 * text.length)
    return { train: text.slice(0, cut), validation: text.slice(cut) }
  }
  await checkFolder('tinyShakespeare', folder)
  throw new ValueError(`tinyShakespeare: input.txt is not in ${places.join(', ')}.\n  Name its folder.`)
}
