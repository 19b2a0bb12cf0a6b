// What stands at a path.
import { stat } from 'node:fs/promises'
import { ValueError } from '../index.js'
import { nearest } from '../internal.js'
import type { LoadOptions } from './tasks/task.js'
import { spelled, UsageError } from './usage.js'

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

/** --delimiter for readers of CSV files; a tab is `\t`, as shells hand it on. */
export function csvForm(delimiter: string | undefined): { delimiter?: string } {
  return delimiter === undefined ? {} : { delimiter: delimiter.replaceAll('\\t', '\t') }
}

/** Refuses options for files where training reads something else. A trained model may have been given them. @throws UsageError */
export function refuseFileOptions(source: string, files: string, options: LoadOptions, names: readonly (keyof LoadOptions)[]): void {
  const idle = names.find((name) => options[name] !== undefined)
  if (idle !== undefined && options.card === undefined) throw new UsageError(`train: ${spelled(idle)} is for ${files}, which ${source} is not. Leave it out.`, 'train')
}

/** For --data that is neither one of `names` nor there as `other`, which is `a folder` or the like, nor what else is allowed. */
export function unknownSource(source: string, names: readonly string[], other: string, more = ''): ValueError {
  const near = nearest(source, names)
  return new ValueError(
    `--data: there is no ${other.replace(/^an? /, '')} ${source}, and no data set of this name.${near === undefined ? '' : ` Did you mean '${near}'?`}\n  There are ${names.join(', ')}, or ${other}${more}.`,
  )
}
