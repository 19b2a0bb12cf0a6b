// The options of `train`: which there are, which task takes them, what they are where they are left out.
import type { RunOptions } from './checkpoints.js'
import type { ModelRow } from './catalogue.js'
import { type Limits, number, refuseForeign, spelled, UsageError, type Values } from './usage.js'

const optimizers = ['adam', 'adamw', 'sgd', 'rmsprop', 'adagrad']

/** Options that every task takes. */
const common: readonly (keyof RunOptions)[] = ['data', 'epochs', 'batchSize', 'lr', 'optimizer', 'validation', 'autocast', 'seed']

type Kind = Limits | 'text' | 'switch' | readonly string[]
const kinds: Readonly<Record<Exclude<keyof RunOptions, 'model'>, Kind>> = {
  data: 'text',
  epochs: { whole: true, min: 1 },
  batchSize: { whole: true, min: 1 },
  lr: { min: 0, why: 'a negative rate would climb the loss instead of going down' },
  optimizer: optimizers,
  validation: { min: 0, below: 1, why: 'it is the share of the training data that is held out, as in 0.1' },
  autocast: 'switch',
  seed: { whole: true },
  augment: 'switch',
  size: { whole: true, min: 1 },
  vocabulary: { whole: true, min: 3 },
  length: { whole: true, min: 1 },
  bands: { whole: true, min: 1, below: 513, why: 'more bands than a frame has frequencies stay silent' },
  horizon: { whole: true, min: 1 },
  season: { whole: true, min: 2, why: 'a season of one step is the last value, which is compared with anyway' },
  column: 'text',
  textColumn: 'text',
  labelColumn: 'text',
  delimiter: 'text',
}

/** As `parse` gives it: `batch-size`. */
const nameOf = (key: string): string => spelled(key).slice(2)

/** What `parse` wants to know of them. */
export const trainOptions: Readonly<Record<string, { type: 'string' | 'boolean' }>> = Object.fromEntries(
  Object.entries(kinds).map(([key, kind]) => [nameOf(key), { type: kind === 'switch' ? 'boolean' : 'string' }]),
)

/** The options named on the command line. @throws UsageError for one that makes no sense, or that the model's task has no use for */
export function givenOptions(values: Values, model: string, { task, least = 1 }: ModelRow): Partial<RunOptions> {
  const named = Object.keys(kinds).map(nameOf).filter((name) => values[name] !== undefined)
  refuseForeign('train', Object.fromEntries(named.map((name) => [name, values[name]])), [...common, ...task.options.train].map(nameOf), task.reads, model)
  return readOptions('train', values, named, least)
}

/** The options of these names that were given. @throws UsageError for one that makes no sense */
export function readOptions(command: string, values: Values, names: readonly string[], least = 1): Partial<RunOptions> {
  const given: Record<string, unknown> = {}
  for (const [key, kind] of Object.entries(kinds) as [keyof RunOptions, Kind][]) {
    const name = nameOf(key)
    const value = values[name]
    if (value === undefined || !names.includes(name)) continue
    if (Array.isArray(kind) && !kind.includes(value)) throw new UsageError(`${command}: --${name} is ${kind.join(', ')}, not '${String(value)}'.`, command)
    given[key] = isLimits(kind) ? number(command, values, name, 0, key === 'size' ? { ...kind, min: least } : kind) : value
  }
  return given as Partial<RunOptions>
}


const isLimits = (kind: Kind): kind is Limits => typeof kind === 'object' && !Array.isArray(kind)
