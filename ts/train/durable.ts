// Writing a file so that a crash, a full disk or a power cut leaves either the old file whole or the new one whole.
import { randomBytes } from 'node:crypto'
import * as nodeFs from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

/** What `writeDurably` needs of a file system: `node:fs/promises`, or a stand-in that fails on purpose. */
export type FileSystem = Pick<typeof nodeFs, 'open' | 'rename' | 'unlink' | 'realpath'>

/** Appends `chunk`, or writes it at `position` where one is given; resolves when all of it is handed to the system. */
export type Write = (chunk: Uint8Array, position?: number) => Promise<void>

/**
 * Lets `produce` write a new file, then puts it in the place of `path`: temporary file in the same folder, write, fsync, rename, fsync of
 * the folder. Whatever fails, the old file stays as it was and the temporary one is removed. A failed fsync is never tried again: after it
 * the system may have dropped the pages already, and a second one would report success.
 */
export async function writeDurably(path: string, produce: (write: Write) => Promise<void>, fs: FileSystem = nodeFs): Promise<void> {
  // A link is followed, so that it still points at the file afterwards.
  const target = await fs.realpath(path).catch(() => path)
  const folder = dirname(target)
  const temporary = join(folder, `.${basename(target)}.${process.pid}.${randomBytes(6).toString('hex')}.tmp`)
  const file = await fs.open(temporary, 'wx')
  let open = true
  try {
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
  await syncFolder(folder, fs)
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
