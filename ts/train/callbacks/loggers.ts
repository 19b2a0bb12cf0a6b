import { dirname } from 'node:path'
import { settle } from '../../internal.js'
import { appendFile, mkdir, readFile, writeFile } from '../files.js'
import type { EpochLog } from '../history.js'
import type { BatchLog, Callback, FitContext } from './callback.js'

/** Writes a line of JSON an epoch (and, with `batches`, one a batch). */
export class JsonlLogger implements Callback {
  readonly #path: string
  readonly #append: boolean
  /** Writes a line a batch, where `batches` asks for it. */
  readonly onBatchEnd?: (context: FitContext, batch: BatchLog) => Promise<void>

  constructor(path: string, options: { append?: boolean; batches?: boolean } = {}) {
    const { append, batches } = settle('JsonlLogger', options, { append: false, batches: false })
    this.#path = path
    this.#append = append
    if (batches) this.onBatchEnd = (_, batch) => appendFile(path, `${JSON.stringify(batch)}\n`)
  }

  /** Begins the file. */
  async onFitStart(context: FitContext): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true })
    // A resumed run goes on in its file.
    if (!this.#append && context.history.epochs.length === 0) await writeFile(this.#path, '')
  }

  /** Writes a line. */
  async onEpochEnd(_: FitContext, log: EpochLog): Promise<void> {
    await appendFile(this.#path, `${JSON.stringify(log)}\n`)
  }
}

/** Writes a line an epoch, the figures' names in the first. Tables (a confusion matrix) are left out. */
export class CsvLogger implements Callback {
  readonly #path: string
  readonly #append: boolean
  #columns: string[] | null = null

  constructor(path: string, options: { append?: boolean } = {}) {
    const { append } = settle('CsvLogger', options, { append: false })
    this.#path = path
    this.#append = append
  }

  /** Begins the file. */
  async onFitStart(context: FitContext): Promise<void> {
    await mkdir(dirname(this.#path), { recursive: true })
    const goesOn = this.#append || context.history.epochs.length > 0
    const head = goesOn ? (await readFile(this.#path, 'utf8').catch(() => '')).split('\n')[0] : ''
    this.#columns = head ? head.split(',') : null
    if (this.#columns === null) await writeFile(this.#path, '')
  }

  /** Writes a line. */
  async onEpochEnd(_: FitContext, log: EpochLog): Promise<void> {
    let text = ''
    if (this.#columns === null) {
      this.#columns = Object.keys(log).filter((name) => typeof log[name] === 'number')
      text = `${this.#columns.join(',')}\n`
    }
    await appendFile(this.#path, `${text}${this.#columns.map((name) => log[name] ?? '').join(',')}\n`)
  }
}

/** Keeps the learning rate of every step begun, one entry a batch and group. */
export class LearningRateLogger implements Callback {
  /** Rates by batch, then by group. */
  readonly rates: number[][] = []

  constructor(options: Record<string, never> = {}) {
    settle('LearningRateLogger', options, {})
  }

  /** Notes the rates. */
  onBatchEnd(_: FitContext, { lr }: BatchLog): void {
    this.rates.push([...lr])
  }
}
