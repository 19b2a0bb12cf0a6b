// The calls of `node:fs/promises` that logs and checkpoint folders are written with; what the system refuses is a `FileError`.
import * as fs from 'node:fs/promises'
import { makeFolder, withFileErrors } from '../internal.js'

export const writeFile = (path: string, text: string): Promise<void> => withFileErrors('write', path, true, () => fs.writeFile(path, text))
export const appendFile = (path: string, text: string): Promise<void> => withFileErrors('write', path, true, () => fs.appendFile(path, text))
export const unlink = (path: string): Promise<void> => withFileErrors('remove', path, true, () => fs.unlink(path))
export const readFile = (path: string, encoding: 'utf8'): Promise<string> => withFileErrors('read', path, false, () => fs.readFile(path, encoding))
/** Folders above it are made too. */
export const mkdir = (path: string, _: { recursive: true }): Promise<void> => makeFolder('make a folder', path)

/** The names in a folder; none where there is no folder. One that cannot be read is no empty one. */
export function namesIn(path: string): Promise<string[]> {
  return withFileErrors('read', path, false, () =>
    fs.readdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return []
      throw error
    }),
  )
}
