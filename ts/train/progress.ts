// How training shows itself: a bar on a terminal, plain lines elsewhere.
import type { EpochLog } from './history.js'

/** What progress is written to; `process.stderr` by default, so that the standard output stays the program's own. */
export interface ProgressStream {
  /** Takes the text. */
  write(text: string): unknown
  /** Whether it is a terminal, on which a bar can be redrawn. */
  isTTY?: boolean | undefined
  /** Width of the terminal, in characters. */
  columns?: number | undefined
}

/** How much is shown: nothing, a bar that redraws, or lines. `true` chooses by the stream. */
export type Verbose = boolean | 'bar' | 'lines'

/** What a redraw shows. */
export interface ProgressState {
  epoch: number
  epochs: number
  batch: number
  /** Batches of the epoch; Infinity where unknown. */
  batches: number
  figures: Record<string, unknown>
}

/** Milliseconds between redraws of the bar, and between lines. */
const redrawEvery = 100
const lineEvery = 10_000
/** A first line comes this soon, so that a long epoch does not look like a hang. */
const firstLineAfter = 2_000

/** Draws progress. `now` and `stream` can be put in for tests. */
export class Progress {
  #stream: ProgressStream
  #bar: boolean
  #color: boolean
  #now: () => number
  #begun: number
  #drawn = -Infinity
  #lines = 0
  #width = 0

  constructor(verbose: Verbose = true, stream: ProgressStream = process.stderr, now: () => number = () => performance.now()) {
    this.#stream = stream
    this.#bar = verbose === 'bar' || (verbose === true && stream.isTTY === true)
    this.#color = this.#bar && (process.env.NO_COLOR ?? '') === ''
    this.#now = now
    this.#begun = now()
  }

  /** Starts an epoch's clock. */
  begin(): void {
    this.#begun = this.#now()
    this.#lines = 0
    this.#drawn = -Infinity
  }

  /** Whether `update` would draw: figures need to be read from the device only then. */
  get due(): boolean {
    const now = this.#now()
    if (this.#bar) return now - this.#drawn >= redrawEvery
    return this.#lines === 0 ? now - this.#begun >= firstLineAfter : now - this.#drawn >= lineEvery
  }

  /** Shows how far the epoch is. */
  update(state: ProgressState): void {
    if (!this.due) return
    this.#drawn = this.#now()
    this.#lines++
    const perStep = (this.#now() - this.#begun) / Math.max(1, state.batch)
    const count = Number.isFinite(state.batches) ? `${state.batch}/${state.batches}` : `${state.batch}`
    const text = `${head(state)} ${this.#bar ? `${this.#meter(state)} ` : ''}${count}  ${duration(perStep)}/step${figures(state.figures)}`
    if (this.#bar) this.#redraw(text)
    else this.#stream.write(`${text}\n`)
  }

  /** Writes the epoch's line. */
  end(state: ProgressState, log: EpochLog): void {
    const { epoch: _, lr, seconds, ...rest } = log
    this.#clear()
    this.#stream.write(`${head(state)}  ${duration(seconds * 1000)}${figures(rest)}  lr ${figure(lr)}\n`)
  }

  /** Writes a remark on a line of its own. */
  note(text: string): void {
    this.#clear()
    this.#stream.write(`${text}\n`)
  }

  /** Takes the bar away, where training ends in the middle of an epoch. */
  close(): void {
    this.#clear()
  }

  #meter({ batch, batches }: ProgressState): string {
    const width = 24
    if (!Number.isFinite(batches)) return ''
    const full = Math.min(width, Math.round((batch / Math.max(1, batches)) * width))
    const bar = `${'━'.repeat(full)}${' '.repeat(width - full)}`
    return this.#color ? `\u001B[36m${bar}\u001B[0m` : `[${bar}]`
  }

  #redraw(text: string): void {
    // Some terminals say 0: they do not know.
    const room = (this.#stream.columns || 80) - 1
    // Escape sequences take no room on the screen.
    const visible = text.replace(/\u001B\[\d+m/g, '')
    const shown = visible.length > room ? visible.slice(0, room) : text
    const length = Math.min(visible.length, room)
    this.#stream.write(`\r${shown}${' '.repeat(Math.max(0, this.#width - length))}`)
    this.#width = length
  }

  #clear(): void {
    if (this.#bar && this.#width > 0) this.#stream.write(`\r${' '.repeat(this.#width)}\r`)
    this.#width = 0
  }
}

const head = ({ epoch, epochs }: ProgressState): string => `Epoch ${String(epoch + 1).padStart(String(epochs).length)}/${epochs}`

function figures(values: Record<string, unknown>): string {
  return Object.entries(values)
    .filter(([, value]) => typeof value === 'number')
    .map(([name, value]) => `  ${name} ${figure(value as number)}`)
    .join('')
}

function figure(value: number): string {
  const size = Math.abs(value)
  return size !== 0 && (size < 1e-3 || size >= 1e5) ? value.toExponential(2) : value.toFixed(4)
}

function duration(milliseconds: number): string {
  if (milliseconds < 1) return `${(milliseconds * 1000).toFixed(0)} us`
  if (milliseconds < 1000) return `${milliseconds.toFixed(milliseconds < 10 ? 1 : 0)} ms`
  const seconds = milliseconds / 1000
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
}
