// Text files read piece by piece, so that they may be larger than memory.
import { createReadStream } from 'node:fs'
import { createGunzip } from 'node:zlib'
import { FerrogradError, FileFormatError, ValueError } from '../index.js'
import { fileError } from '../internal.js'
import { readBytes } from './files.js'

/** Whole lines of a file. */
export interface Piece {
  /** One line or many, the last with its line break. */
  text: string
  /** The number of the first, from 1. */
  line: number
}

/** The byte that ends a line, in UTF-8 and in all encodings that have a byte a letter. */
const BREAK = 10
/** The most bytes of one line, lest a file without line breaks fills the memory. */
const LONGEST = 1 << 28

/**
 * The lines of a file, unpacked where its name ends in .gz; a byte order mark is left out.
 * @throws ValueError for an encoding that is not known, FileError for a file that cannot be read, FileFormatError for a damaged one and for a line that is not in
 * `encoding`, which it names
 */
export async function* pieces(operation: string, path: string, encoding = 'utf-8'): AsyncGenerator<Piece, void, undefined> {
  const piece = reader(operation, path, encoding)
  // Bytes of the line that the last chunk began.
  let begun: Uint8Array[] = []
  let waiting = 0
  for await (const chunk of chunks(operation, path)) {
    const end = chunk.lastIndexOf(BREAK) + 1
    if (end > 0) {
      yield piece(begun.length === 0 ? chunk.subarray(0, end) : Buffer.concat([...begun, chunk.subarray(0, end)]))
      begun = []
      waiting = 0
    }
    if (end < chunk.length) begun.push(chunk.subarray(end))
    waiting += chunk.length - end
    if (waiting > LONGEST) throw new FileFormatError(`${operation}: line ${piece(new Uint8Array()).line} of ${path} has more than ${LONGEST} bytes. Is this a text file?`, { op: operation })
  }
  if (begun.length > 0) yield piece(Buffer.concat(begun))
}

/** All of a text file. @throws as `pieces` */
export async function readText(operation: string, path: string, encoding = 'utf-8'): Promise<string> {
  return reader(operation, path, encoding)(await readBytes(path, operation)).text
}

/** Makes texts of the bytes of whole lines, one call behind the other. */
function reader(operation: string, path: string, encoding: string): (bytes: Uint8Array) => Piece {
  const decode = decoder(operation, encoding)
  let line = 1
  const refuse = (bytes: Uint8Array): never => {
    let at = line
    for (const one of linesOf(bytes)) {
      if (decode(one) === null)
        throw new FileFormatError(`${operation}: line ${at} of ${path} is not in ${encoding}.\n  Say what it is in, as in { encoding: 'windows-1252' }, or write the file anew in UTF-8.`, { op: operation })
      at++
    }
    throw new FileFormatError(`${operation}: ${path} is not in ${encoding}.`, { op: operation })
  }
  return (bytes) => {
    const text = decode(bytes) ?? refuse(bytes)
    const from = line
    line += count(bytes)
    return { text: from === 1 ? text.replace(/^\uFEFF/, '') : text, line: from }
  }
}

async function* chunks(operation: string, path: string): AsyncGenerator<Buffer, void, undefined> {
  const file = createReadStream(path, { highWaterMark: 1 << 16 })
  const unpacked = path.endsWith('.gz') ? createGunzip() : null
  if (unpacked !== null) file.on('error', (error) => unpacked.destroy(error)).pipe(unpacked)
  try {
    for await (const chunk of (unpacked ?? file) as AsyncIterable<Buffer>) yield chunk
  } catch (error) {
    const known = fileError(operation, path, error)
    if (known instanceof FerrogradError || unpacked === null) throw known
    throw new FileFormatError(`${operation}: ${path} cannot be unpacked (${(error as Error).message}).\n  The download or the copy did not finish; get it again.`, { op: operation, cause: error })
  } finally {
    file.destroy()
    unpacked?.destroy()
  }
}

/** Gives null for bytes that are not in the encoding. */
function decoder(operation: string, encoding: string): (bytes: Uint8Array) => string | null {
  const wrong = (fault: string): ValueError =>
    new ValueError(`${operation}: ${fault}.\n  Give 'utf-8' or an encoding with a byte a letter, such as 'windows-1252'.`, { op: operation })
  let texts: InstanceType<typeof TextDecoder>
  try {
    texts = new TextDecoder(encoding, { fatal: true, ignoreBOM: true })
  } catch {
    throw wrong(`there is no encoding ${JSON.stringify(encoding)}`)
  }
  if (texts.encoding.startsWith('utf-16')) throw wrong('UTF-16 cannot be read line by line')
  return (bytes) => {
    try {
      return texts.decode(bytes)
    } catch {
      return null
    }
  }
}

function count(bytes: Uint8Array): number {
  let found = 0
  for (let at = bytes.indexOf(BREAK); at >= 0; at = bytes.indexOf(BREAK, at + 1)) found++
  return found
}

function* linesOf(bytes: Uint8Array): Generator<Uint8Array> {
  for (let from = 0; from < bytes.length;) {
    const found = bytes.indexOf(BREAK, from)
    const to = found < 0 ? bytes.length : found + 1
    yield bytes.subarray(from, to)
    from = to
  }
}
