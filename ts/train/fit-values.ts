// The values of `fit`'s options, looked at before anything runs: one that means nothing would be found out hours later, or never.
import { ValueError } from '../index.js'
import { checkPlain, nearest } from '../internal.js'
import type { FitOptions } from './options.js'

/** What a value must be, and whether it is. */
type Rule = readonly [wanted: string, holds: (value: unknown) => boolean]

const whole = (value: unknown): boolean => Number.isInteger(value) && (value as number) >= 1
const has = (name: string, type: string) => (value: unknown): boolean => typeof (value as Record<string, unknown>)[name] === type
const isObject = (value: unknown): boolean => typeof value === 'object' && !Array.isArray(value)

const count: Rule = ['a whole number of at least 1', whole]
const toggle: Rule = ['true or false', (value) => typeof value === 'boolean']
const bound: Rule = ['a number above 0', (value) => typeof value === 'number' && value > 0]

const rules: { readonly [K in keyof FitOptions]?: Rule } = {
  epochs: count,
  batchSize: count,
  validationBatchSize: count,
  accumulate: count,
  validation: ['a share of the data, or data of its own', (value) => typeof value === 'number' || typeof value === 'object'],
  shuffle: toggle,
  seed: ['a whole number', Number.isSafeInteger],
  augment: ['settings such as { flip: true }, or a function of the inputs', (value) => typeof value === 'function' || isObject(value)],
  clipNorm: bound,
  clipValue: bound,
  signal: ["an AbortSignal, as an AbortController's signal", has('aborted', 'boolean')],
  checkpointDir: ["a folder's path", (value) => typeof value === 'string' && value !== ''],
  checkpointEvery: ["'epoch', or a whole number of batches of at least 1", (value) => value === 'epoch' || whole(value)],
  checkpointKeep: ['a whole number of at least 1, or Infinity for all', (value) => value === Infinity || whole(value)],
  resume: ["true or false, or a checkpoint's path", (value) => typeof value === 'boolean' || (typeof value === 'string' && value !== '')],
  metadata: ['an object of plain data', isObject],
  compile: toggle,
  verbose: ["true or false, 'bar' or 'lines'", (value) => typeof value === 'boolean' || value === 'bar' || value === 'lines'],
  stream: ['something to write to, such as process.stderr', has('write', 'function')],
}

/** Throws for values that no option of `fit` can have; null counts as not given. */
export function checkValues(options: FitOptions): void {
  for (const [name, [wanted, holds]] of Object.entries(rules)) {
    const value: unknown = options[name as keyof FitOptions]
    if (value === undefined || value === null || holds(value)) continue
    const near = typeof value === 'string' && wanted.includes("'") ? nearest(value, [...wanted.matchAll(/'(\w+)'/g)].map(([, word]) => word as string)) : undefined
    throw new ValueError(`fit: ${name} is ${shown(value)}; it must be ${wanted}.${near === undefined ? '' : ` Did you mean '${near}'?`}`)
  }
  checkPlain('fit', options.metadata, 'metadata')
  const { checkpointDir, checkpointEvery, checkpointKeep, resume } = options
  if (checkpointDir !== undefined && checkpointDir !== null) return
  if (resume === true) throw new ValueError("fit: resume: true wants checkpointDir; or give the checkpoint's path.")
  const idle = Object.entries({ checkpointEvery, checkpointKeep }).find(([, value]) => value !== undefined && value !== null)
  if (idle !== undefined) throw new ValueError(`fit: ${idle[0]} without checkpointDir would write nothing.\n  Give checkpointDir: the folder for checkpoints.`)
}

function shown(value: unknown): string {
  if (typeof value === 'string') return `'${value}'`
  return typeof value === 'object' ? (Array.isArray(value) ? 'a list' : `of the class ${value?.constructor?.name ?? 'Object'}`) : String(value)
}
