// Writing a file so that a crash, a full disk or a power cut leaves either the old file whole or the new one whole.
import { createHash, randomBytes } from 'node:crypto'
import type { Stats } from 'node:fs'
import * as nodeFs from 'node:fs/promises'
import { hostname } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { ValueError } from '../index.js'
import { fileError } from '../internal.js'

/** What `writeDurably` needs of a file system: `node:fs/promises`, or a stand-in that fails on purpose. */
export type FileSystem = Pick<typeof nodeFs, 'open' | 'rename' | 'unlink' | 'realpath' | 'readlink' | 'readdir' | 'stat'>

/** Appends `chunk`, or writes it at `position` where one is given; resolves when all of it is handed to the system. */
export type Write = (chunk: Uint8Array, position?: number) => Promise<void>

/**
 * Lets `produce` write a new file, then puts it in the place of `path`: temporary file in the same folder, write, fsync, rename, fsync of
 * the folder. Whatever fails, the old file stays as it was and the temporary one is removed; one that a killed process left is removed by
 * the next write into its folder. A failed fsync is never tried again: after it the system may have dropped the pages already, and a second
 * one would report success. A link is written through to its target, and a file that is replaced keeps its mode.
 * @throws ValueError where `path` is a folder, a device, a pipe or a socket; FileError where the system refuses (a full disk, no permission)
 */
export async function writeDurably(path: string, produce: (write: Write) => Promise<void>, fs: FileSystem = nodeFs): Promise<void> {
  const refused = (note: string) => (error: unknown): never => {
    throw fileError('save', path, error, { writing: true, note })
  }
  const folder = await replace(path, produce, fs).catch(refused('what was there before is unharmed'))
  await syncFolder(folder, fs).catch(refused('the new file stands, whole, but whether it would outlive a power cut is not known'))
}

/** Puts the new file into its place; gives its folder. */
async function replace(path: string, produce: (write: Write) => Promise<void>, fs: FileSystem): Promise<string> {
  const replaced = await fileAt(path, fs)
  const target = await targetOf(path, fs)
  const folder = dirname(target)
  await removeLeftOvers(folder, fs)
  const temporary = join(folder, `.ferrograd-${await here()}-${process.pid}-${randomBytes(6).toString('hex')}.tmp`)
  const mode = replaced === null ? 0o666 : replaced.mode & 0o777
  const file = await fs.open(temporary, 'wx', mode)
  let open = true
  try {
    // The umask may have taken bits that the old file had. Where modes cannot be set, what is there is stricter, never looser.
    if (replaced !== null) await file.chmod(mode).catch(() => {})
    let end = 0
    await produce(async (chunk, position) => {
      let at = position ?? end
      for (let done = 0; done < chunk.length;) {
        const { bytesWritten } = await file.write(chunk, done, chunk.length - done, at)
        done += bytesWritten
        at += bytesWritten
      }
      end = Math.max(end, at)
    })
    await file.sync()
    open = false
    await file.close()
    await fs.rename(temporary, target)
  } catch (error) {
    if (open) await file.close().catch(() => {})
    await fs.unlink(temporary).catch(() => {})
    throw error
  }
  return folder
}

/** The file that would be replaced, or null where there is none. @throws ValueError where something else stands there */
async function fileAt(path: string, fs: FileSystem): Promise<Stats | null> {
  const found = await fs.stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return null
    if (error.code !== 'ELOOP') throw error
    throw new ValueError(`save: ${path} is a link that leads back to itself.\n  Remove it, or give the path of a file.`, { cause: error })
  })
  if (found === null || found.isFile()) return found
  if (found.isDirectory())
    throw new ValueError(`save: ${path} is a folder, not a file.\n  Give the file's name too, as in ${join(path, 'model.safetensors')}.`)
  const kind = found.isFIFO() ? 'a pipe' : found.isSocket() ? 'a socket' : 'a device'
  // A rename would put the file in its place: /dev/null would be gone for every program of the machine.
  throw new ValueError(
    `save: ${path} is ${kind}, not a file; it was left as it is.\n  Give the path of a file; to send it elsewhere, save it first and copy it.`,
  )
}

/** The path behind all links, so that they still point at the file afterwards; also behind one whose target is still to be made. */
async function targetOf(path: string, fs: FileSystem): Promise<string> {
  for (let at = path; ;) {
    try {
      return await fs.realpath(at)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
      const folder = await fs.realpath(dirname(at))
      const next = await fs.readlink(at).catch(() => null)
      if (next === null) return join(folder, basename(at))
      at = resolve(folder, next)
    }
  }
}

/** Names of temporary files: where process numbers mean the same, the process, a random number. */
const pattern = /^\.ferrograd-([0-9a-f]{8})-(\d+)-[0-9a-f]{12}\.tmp$/
/** Nobody is writing at a file that has not changed for so long, in milliseconds. */
const longAgo = 600_000

/** Removes the temporary files of processes that were killed. What cannot be looked at stays: a save does not fail for it. */
async function removeLeftOvers(folder: string, fs: FileSystem): Promise<void> {
  for (const name of await fs.readdir(folder).catch(() => [])) {
    const [, where, id] = pattern.exec(name) ?? []
    if (where === undefined) continue
    const path = join(folder, name)
    const changed = (await fs.stat(path).catch(() => null))?.mtimeMs ?? Infinity
    const over = where === (await here()) && !isRunning(Number(id))
    if (over || Date.now() - changed > longAgo) await fs.unlink(path).catch(() => {})
  }
}

/** Names the machine, and the container: folders are shared between them, and the numbers of their processes mean nothing to each other. */
function here(): Promise<string> {
  return (place ??= nodeFs
    .readlink('/proc/self/ns/pid')
    .catch(() => '')
    .then((namespace) => createHash('sha256').update(`${hostname()} ${namespace}`).digest('hex').slice(0, 8)))
}
let place: Promise<string> | undefined

function isRunning(id: number): boolean {
  try {
    return process.kill(id, 0)
  } catch (error) {
    // EPERM: it runs, for another user.
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}

/** Makes a rename outlive a power cut. Windows cannot open folders; there the rename itself is all there is. */
async function syncFolder(folder: string, fs: FileSystem): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await fs.open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
