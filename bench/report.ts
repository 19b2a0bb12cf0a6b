// What a bench gives: figures, each with its spread and, where a limit is known, its share of what the machine can do.
import type { Peak } from './peak.js'

export interface Figure {
  /** 'conv2d / forward / layer 1' */
  name: string
  value: number
  unit: string
  /** Half the range between the quartiles, as a share of the value. */
  spread?: number
  /** Share of the machine's measured limit, 0 to 1. */
  share?: number
  /** The most (or least) that the project asks for. */
  bound?: { limit: number; kind: 'at most' | 'at least' }
}

export interface Context {
  peak: Peak
  report: (figure: Figure) => void
}

/** One bench: a name for `--only`, and what runs it. */
export interface Bench {
  name: string
  /** Takes minutes: runs only when `--only` names it. */
  long?: boolean
  run: (context: Context) => Promise<void>
}

/** 'op cost / tiny add         0.151 us  ±  2.1 %   (at most 0.2: met)' */
export function line({ name, value, unit, spread, share, bound }: Figure): string {
  const parts = [name.padEnd(56), `${significant(value).padStart(9)} ${unit.padEnd(8)}`]
  parts.push(spread === undefined ? ' '.repeat(9) : `± ${(100 * spread).toFixed(1).padStart(5)} %`)
  if (share !== undefined) parts.push(`${(100 * share).toFixed(0).padStart(4)} % of the machine's limit`)
  if (bound) {
    const met = bound.kind === 'at most' ? value <= bound.limit : value >= bound.limit
    parts.push(`(${bound.kind} ${bound.limit}: ${met ? 'met' : 'MISSED'})`)
  }
  return parts.join(' ').trimEnd()
}

function significant(value: number): string {
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3)
}
