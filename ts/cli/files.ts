// What stands at a path.
import { stat } from 'node:fs/promises'
import { ValueError } from '../index.js'
import { nearest } from '../internal.js'

/** Whether there is a folder. */
export function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isDirectory(),
    () => false,
  )
}

/** Whether there is a file. */
export function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (stats) => stats.isFile(),
    () => false,
  )
}

/** For --data that is neither one of `names` nor there as `other`, which is `a folder` or the like. */
export function unknownSource(source: string, names: readonly string[], other: string): ValueError {
  const near = nearest(source, names)
  return new ValueError(
    `--data: there is no ${other.replace(/^an? /, '')} ${source}, and no data set of this name.${near === undefined ? '' : ` Did you mean '${near}'?`}\n  There are ${names.join(', ')}, or ${other}.`,
  )
}
