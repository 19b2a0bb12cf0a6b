// What stands at a path.
import { stat } from 'node:fs/promises'
import { FerrogradError, ValueError } from '../index.js'
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

/** Data sets by name, of each kind of data. */
export const dataSets = {
  images: ['digits', 'cifar10', 'mnist'],
  texts: ['imdb', 'mr', 'subj', 'cr', 'mpqa', 'trec6', 'sst2', 'sst5'],
  characters: ['tinyshakespeare'],
  sequences: ['fsdd', 'japanese-vowels', 'basic-motions', 'italy-power-demand'],
  series: ['airline', 'lynx', 'shampoosales'],
} as const

/** For a source that is neither a data set of this kind nor there as `other`, which is `a folder` or the like; `more` is what else it may be. */
export async function unknownSource(source: string, kind: keyof typeof dataSets, other: string, more = ''): Promise<ValueError> {
  const names: readonly string[] = dataSets[kind]
  const near = nearest(source, names)
  const otherKind = Object.entries(dataSets).find(([, sets]) => (sets as readonly string[]).includes(source))?.[0]
  const fault =
    otherKind !== undefined ? `${source} is a data set of ${otherKind}, which this model does not read`
    : (await isFolder(source)) ? `${source} is a folder, not ${other}`
    : (await isFile(source)) ? `${source} is a file, not ${other}`
    : `there is no ${other.replace(/^an? /, '')} ${source}, and no data set of this name`
  return new ValueError(`${fault}.${near === undefined ? '' : ` Did you mean '${near}'?`}\n  There are ${names.join(', ')}, or ${other}${more}.`)
}

/** Adds to what is wrong with the columns of a file by which options they are named. */
export async function withColumnHint<T>(hint: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (error instanceof FerrogradError && /has no (column|text under|label)|where a number is wanted/.test(error.message)) error.message += `\n  ${hint}`
    throw error
  }
}
