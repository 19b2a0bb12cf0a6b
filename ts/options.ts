// Options objects. Every name in one must be known: a misspelt one would be passed over in silence.
import { ValueError } from './errors.js'

/** A default for each option; undefined for those that have none. */
export type Defaults<O> = { readonly [K in keyof Required<O>]: O[K] | undefined }

/** Options of which nothing is left open; those without a default may still be undefined. */
export type Settled<O, D> = { [K in keyof Required<O>]: Exclude<O[K], undefined> | (K extends keyof D ? Extract<D[K], undefined> : never) }

/**
 * The options `given` to `owner` over their defaults, whose names are all that there are; undefined counts as not given.
 * @throws ValueError naming the owner, an unknown option and the nearest known one
 */
export function settle<O extends object, const D extends Defaults<O>>(
  owner: string, given: O | undefined, defaults: D,
): Settled<O, D> {
  checkOptions(owner, given, defaults)
  const settled: Record<string, unknown> = { ...defaults }
  for (const [name, value] of Object.entries(given ?? {})) if (value !== undefined) settled[name] = value
  return settled as Settled<O, D>
}

/** Throws unless `given` is one plain object whose names are all among those of `known`; undefined passes. */
export function checkOptions(owner: string, given: unknown, known: object): void {
  if (given === undefined) return
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    const example = Object.keys(known)[0]
    throw new ValueError(
      `${owner}: takes its options as one object${example === undefined ? '' : `, as in { ${example}: ... }`}, got ${JSON.stringify(given) ?? typeof given}.`,
      { op: owner },
    )
  }
  for (const name in given) if (!Object.hasOwn(known, name) && Object.hasOwn(given, name)) throw unknownOption(owner, name, Object.keys(known))
}

/** The error for an option that `owner` does not have. */
export function unknownOption(owner: string, name: string, known: readonly string[]): ValueError {
  const near = nearest(name, known)
  return new ValueError(
    `${owner}: there is no option '${name}'.${near === undefined ? '' : ` Did you mean '${near}'?`}\n`
      + (known.length === 0 ? '  It takes none.' : `  There ${known.length === 1 ? 'is' : 'are'} ${known.join(', ')}.`),
    { op: owner },
  )
}

/** What other libraries, and other spellings, call an option: no slip of the hand, so that letters would not find it. */
const OTHER_NAMES: Readonly<Record<string, string>> = Object.assign(Object.create(null), {
  learningrate: 'lr', l2: 'weightDecay', restorebestweights: 'restoreBest',
})

/** The word that is the fewest letters away, if they are few enough for a slip. Case and underscores do not count: `padding_idx` is `paddingIdx`. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const plain = (name: string): string => name.replaceAll(/[_-]/g, '').toLowerCase()
  const other = OTHER_NAMES[plain(word)]
  if (other !== undefined && known.includes(other)) return other
  const slips = Math.max(2, Math.floor(word.length / 3))
  return known
    .map((name) => ({ name, distance: distance(plain(word), plain(name)) }))
    .filter((candidate) => candidate.distance <= slips)
    .sort((a, b) => a.distance - b.distance)[0]?.name
}

/** Letters to put in, take out, change or swap with their neighbour to make b of a. */
function distance(a: string, b: string): number {
  const rows = [Array.from({ length: b.length + 1 }, (_, j) => j)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      const swap = a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1] ? rows[i - 2]![j - 2]! + 1 : Infinity
      row.push(Math.min(change, swap, rows[i - 1]![j]! + 1, row[j - 1]! + 1))
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}
