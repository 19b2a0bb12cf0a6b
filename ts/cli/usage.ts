// Reading the command line, and the mistakes in it.
import { parseArgs, type ParseArgsConfig } from 'node:util'

/** A mistake in the command line: exit code 2. */
export class UsageError extends Error {
  constructor(
    private readonly fault: string,
    private readonly command?: string,
  ) {
    super(`${fault}\n  See: ${command === 'demo' ? 'npm run demo -- --help' : `ferrograd ${command === undefined ? '' : `${command} `}--help`}`)
    this.name = 'UsageError'
  }

  /** The same, with the help on a model, which shows more options than that on `train`. */
  on(model: string): UsageError {
    return this.command === 'train' ? new UsageError(this.fault, `train ${model}`) : this
  }
}

type Options = NonNullable<ParseArgsConfig['options']>
/** Values by option name. */
export type Values = Record<string, string | boolean | undefined>

/** The question whether the nearest of `known` was meant. What knows is loaded when a word is wrong, as help needs no addon. */
export async function suggestion(word: string, known: readonly string[]): Promise<string> {
  const near = await import('../internal.js').then(
    ({ nearest }) => nearest(word, known),
    () => undefined,
  )
  return near === undefined ? '' : ` Did you mean '${near}'?`
}

/** Parses the arguments of a command. @throws UsageError */
export async function parse(command: string, args: readonly string[], options: Options): Promise<{ values: Values; files: string[] }> {
  const takesValue = (arg: string): boolean => arg.startsWith('--') && options[arg.slice(2)]?.type === 'string'
  // A negative number is a value, if a wrong one: what is wrong with it is said by whoever wants the number.
  const joined: string[] = []
  for (const arg of args) {
    const before = joined.at(-1)
    if (before !== undefined && takesValue(before) && /^-[\d.]/.test(arg)) joined.splice(-1, 1, `${before}=${arg}`)
    else joined.push(arg)
  }
  // A dash alone is a value: the standard input.
  const dashed = joined.find((arg, i) => takesValue(arg) && /^-./.test(joined[i + 1] ?? ''))
  if (dashed !== undefined) {
    const value = joined[joined.indexOf(dashed) + 1] as string
    throw new UsageError(
      `${command}: ${dashed} is followed by '${value}', which looks like an option.\n  If it is the value, write ${dashed}=${value}; if not, the value is missing.`,
      command,
    )
  }
  try {
    const { values, positionals } = parseArgs({
      args: joined,
      options: { ...options, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
      strict: true,
    })
    return { values: values as Values, files: positionals }
  } catch (error) {
    // Node's messages go on with advice on `--`, which is of no use here.
    const fault = ((error as Error).message.split(/\. /)[0] as string).replace(/\.$/, '')
    const unknown = /^Unknown option '(--[^']+)'/.exec(fault)?.[1]
    const near = unknown === undefined ? '' : await suggestion(unknown, Object.keys(options).map((name) => `--${name}`))
    throw new UsageError(`${command}: ${fault}.${near}`, command)
  }
}

/** As written on the command line: `--batch-size` for batchSize. */
export const spelled = (key: string): string => `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`

/** Refuses options that a model of this kind has no use for. @throws UsageError */
export function refuseForeign(command: string, values: Values, known: readonly string[], reads: string, model: string): void {
  const foreign = Object.keys(values).find((name) => !known.includes(name))
  if (foreign !== undefined) throw new UsageError(`${command}: --${foreign} has no meaning for ${reads}, which ${model} reads.`, command)
}

/** What a number may be. */
export interface Limits {
  whole?: boolean
  /** The least, itself allowed. */
  min?: number
  /** The end, itself not allowed. */
  below?: number
  /** The reason for the limits, where they are not obvious. */
  why?: string
}

/** A number among the options. @throws UsageError */
export function number(
  command: string,
  values: Values,
  name: string,
  fallback: number,
  { whole = false, min = -Infinity, below = Infinity, why }: Limits = {},
): number {
  const text = values[name]
  if (text === undefined) return fallback
  const value = Number(text)
  const range = `${min > -Infinity ? ` of at least ${min}` : ''}${below < Infinity ? ` and below ${below}` : ''}`
  if (text === '' || !Number.isFinite(value) || (whole && !Number.isInteger(value)) || value < min || value >= below) {
    const reason = why === undefined || !Number.isFinite(value) ? '' : `: ${why}`
    throw new UsageError(`${command}: --${name} is ${whole ? 'a whole number' : 'a number'}${range}, not '${String(text)}'${reason}.`, command)
  }
  return value
}
