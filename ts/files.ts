// What the file system refuses, said as the library says things; and folders made without Node's own recursion.
import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { FerrogradError, FileError } from './errors.js'

type SystemError = NodeJS.ErrnoException

/** What happened and the way out, by the system's code. `writing` tells a refused write from a refused read. */
function explain(code: string, path: string, writing: boolean): [fault: string, way: string] {
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
      return [code === 'ENOSPC' ? 'the disk is full' : 'the quota of this user is used up', 'Free some space, or choose a place on another disk.']
    case 'EFBIG':
      return ['the file would be larger than the file system or the process allows', 'Choose another place, or raise the limit (ulimit -f).']
    case 'ENOENT':
      return writing
        ? [`the folder ${dirname(path)} does not exist, or takes no new entries`, 'Make the folder first, or choose another place.']
        : ['there is no such file', `Look at the path; it was sought at ${resolve(path)}.`]
    case 'ENOTDIR':
    case 'EEXIST':
      return ['a part of the path is a file, not a folder', 'Choose another path, or move that file away.']
    case 'EISDIR':
      return ['it is a folder, not a file', "Give the file's name too."]
    case 'EACCES':
    case 'EPERM':
      return [`this user may not ${writing ? 'write' : 'read'} there`, 'Change the permissions, or choose another place.']
    case 'EROFS':
      return ['the file system is mounted for reading only', 'Choose another place.']
    case 'EMFILE':
    case 'ENFILE':
      return ['too many files are open', 'Close some, or raise the limit (ulimit -n).']
    case 'ELOOP':
      return ['a link leads back to itself', 'Remove it, or give the path of a file.']
    case 'ENAMETOOLONG':
      return ['the name is longer than the file system allows', 'Choose a shorter one.']
    default:
      return [`the system answered ${code}`, 'Look at the disk and at the system log.']
  }
}

/** Answers to a path, after which nothing can have been written. */
const neverBegun: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'EISDIR', 'ELOOP', 'ENAMETOOLONG'])

/**
 * `error` as a `FileError` that names the operation, the path, what happened and the way out; what is no answer of the system, and what is
 * said already, stays as it is. `note` is a clause on what became of the files.
 */
export function fileError(operation: string, path: string, error: unknown, { writing = false, note }: { writing?: boolean; note?: string } = {}): unknown {
  const { code } = error as Partial<SystemError>
  if (error instanceof FerrogradError || !(error instanceof Error) || typeof code !== 'string' || !/^E[A-Z0-9]+$/.test(code)) return error
  const [fault, way] = explain(code, path, writing)
  const became = note === undefined || neverBegun.has(code) ? '' : `; ${note}`
  return new FileError(`${operation}: ${path}: ${fault}${became} (${code}).\n  ${way}`, { op: operation, cause: error }, code, path)
}

/** Runs `work`, whose refusals by the system become a `FileError`. */
export async function withFileErrors<T>(operation: string, path: string, writing: boolean, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw fileError(operation, path, error, { writing })
  }
}

/**
 * Makes a folder and those above it; one that is there is fine. Step by step, as Node's `mkdir(path, { recursive: true })` never ends where
 * the system says ENOENT of a folder whose parent is there, as in /proc.
 * @throws FileError
 */
export function makeFolder(operation: string, path: string): Promise<void> {
  const make = async (folder: string): Promise<void> => {
    const found = await stat(folder).catch((error: SystemError) => {
      if (error.code !== 'ENOENT') throw error
    })
    if (found?.isDirectory()) return
    if (found === undefined && dirname(folder) !== folder) await make(dirname(folder))
    await mkdir(folder).catch(async (error: SystemError) => {
      // Someone else may have been quicker.
      if (error.code !== 'EEXIST' || !(await stat(folder)).isDirectory()) throw error
    })
  }
  return withFileErrors(operation, path, true, () => make(resolve(path)))
}
