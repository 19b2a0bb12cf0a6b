// Finding and reading the files of data sets.
import { createHash } from 'node:crypto'
import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { FileFormatError, ValueError } from '../index.js'
import { fileError, makeFolder, withFileErrors } from '../internal.js'

/** The most bytes a file may have when unpacked: a small file must not fill the memory. */
const largest = 1 << 30

/** The folder for downloads: `$FERROGRAD_CACHE`, or `.cache/ferrograd` at home. */
export function cacheFolder(): string {
  return process.env.FERROGRAD_CACHE || join(homedir(), '.cache', 'ferrograd')
}

/** Where a data set may lie: the folder given, or else `$FERROGRAD_DATA` and the cache. */
export function candidates(name: string, folder: string | undefined): string[] {
  if (folder !== undefined) return [folder, join(folder, name)]
  const { FERROGRAD_DATA: data } = process.env
  return [...(data ? [join(data, name), data] : []), join(cacheFolder(), name)]
}

/** The names in a folder, sorted; none where there is no such folder. */
export async function namesIn(folder: string): Promise<string[]> {
  return (await readdir(folder).catch(() => [])).sort()
}

/** Throws where a folder that the user named cannot be looked into. @throws FileError */
export async function checkFolder(operation: string, folder: string | undefined): Promise<void> {
  if (folder !== undefined) await withFileErrors(operation, folder, false, () => readdir(folder))
}

/** A file's bytes; those of a .gz file unpacked. @throws FileFormatError for a damaged one */
export async function readBytes(path: string, operation = 'read'): Promise<Uint8Array> {
  const bytes = await withFileErrors(operation, path, false, () => readFile(path))
  if (!path.endsWith('.gz')) return bytes
  try {
    return await unpack(bytes)
  } catch (error) {
    throw new FileFormatError(
      `${path}: cannot be unpacked (${(error as Error).message}).\n  The download or the copy did not finish; get it again.`,
      { cause: error },
    )
  }
}

/** Unpacks chunk by chunk into one piece of memory: joining all chunks at the end would hold up the event loop. */
async function unpack(packed: Buffer): Promise<Uint8Array> {
  // A gzip file ends with its unpacked size (of the last member, modulo 2^32): a guess that saves growing.
  const guess = packed.length < 18 ? 0 : packed.readUInt32LE(packed.length - 4)
  let target = new Uint8Array(Math.min(guess, largest))
  let length = 0
  const stream = createGunzip({ chunkSize: 1 << 18 })
  stream.end(packed)
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    const end = length + chunk.length
    if (end > largest) throw new Error(`more than ${largest} bytes`)
    if (end > target.length) {
      const larger = new Uint8Array(Math.min(largest, Math.max(end, 2 * target.length)))
      larger.set(target)
      target = larger
    }
    target.set(chunk, length)
    length = end
  }
  return target.subarray(0, length)
}

/** Fetches a file into `path`, which appears only whole and with the right SHA-256. @throws ValueError naming what came instead */
export async function download(url: string, sha256: string, path: string): Promise<void> {
  const fail = (what: string, cause?: unknown): never => {
    throw new ValueError(`download: ${url}: ${what}.\n  Fetch it yourself, unpack it, and name its folder.`, { cause })
  }
  const response = await fetch(url).catch((error: unknown) => fail(`the server cannot be reached (${(error as Error).message})`, error))
  if (!response.ok) return fail(`the server answered ${response.status}`)
  const bytes = new Uint8Array(await response.arrayBuffer().catch((error: unknown) => fail(`the transfer was cut off (${(error as Error).message})`, error)))
  const found = createHash('sha256').update(bytes).digest('hex')
  if (found !== sha256) return fail(`${bytes.length} bytes came with the SHA-256 ${found}, expected was ${sha256}`)
  await makeFolder('download', dirname(path))
  const partial = `${path}.${process.pid}.part`
  await writeFile(partial, bytes)
    .then(() => rename(partial, path))
    .catch(async (error: unknown) => {
      await rm(partial, { force: true })
      throw fileError('download', path, error, { writing: true })
    })
}

/** The regular files of a tar archive (ustar), by the name that stands there: a name to compare, not one to write to. @throws FileFormatError */
export function untar(archive: Uint8Array, path: string): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>()
  const text = (at: number, length: number): string =>
    Buffer.from(archive.subarray(at, at + length))
      .toString('latin1')
      .replace(/\0[\s\S]*$/, '')
  const nameAt = (at: number): string => [text(at + 257, 5) === 'ustar' ? text(at + 345, 155) : '', text(at, 100)].filter((part) => part !== '').join('/')
  for (let at = 0; at + 512 <= archive.length && archive[at] !== 0;) {
    const size = parseInt(text(at + 124, 12).trim(), 8)
    const end = at + 512 + size
    if (!Number.isInteger(size) || size < 0 || end > archive.length)
      throw new FileFormatError(`${path}: no tar archive, or one that is cut off.\n  Get it again.`)
    const kind = text(at + 156, 1)
    if (kind === '' || kind === '0') files.set(nameAt(at), archive.subarray(at + 512, end))
    at += 512 + Math.ceil(size / 512) * 512
  }
  return files
}
