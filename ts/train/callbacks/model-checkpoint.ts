import { dirname } from 'node:path'
import { ValueError } from '../../index.js'
import { modeOf, settle } from '../../internal.js'
import { mkdir } from '../files.js'
import type { EpochLog } from '../history.js'
import type { Callback, FitContext } from './callback.js'
import { figureNamed, monitored } from './early-stopping.js'

/** Options of `ModelCheckpoint`. */
export interface ModelCheckpointOptions {
  /** The figure to watch; Keras' `val_loss` is `valLoss`. Default 'valLoss'. */
  monitor?: string
  /** Default by the figure's name. */
  mode?: 'min' | 'max'
  /** Writes only when the figure is the best so far. Default true. */
  bestOnly?: boolean
  /** Writes the weights alone instead of everything that resuming needs. Default true. */
  weightsOnly?: boolean
}

/** Writes the model after an epoch when it is the best so far. `{epoch}` in the path becomes the epoch's number, from 1. */
export class ModelCheckpoint implements Callback {
  readonly #path: string
  readonly #options: Required<ModelCheckpointOptions>
  /** The best figure so far. */
  best: number
  /** The file written last. */
  lastPath: string | null = null

  constructor(path: string, options: ModelCheckpointOptions = {}) {
    this.#path = path
    const { monitor, mode = modeOf(monitor), ...others } = settle('ModelCheckpoint', options, {
      monitor: 'valLoss', mode: undefined, bestOnly: true, weightsOnly: true,
    })
    if (mode !== 'min' && mode !== 'max') throw new ValueError(`ModelCheckpoint: mode is 'min' or 'max', not '${String(mode)}'.`)
    this.#options = { monitor, mode, ...others }
    this.best = this.#options.mode === 'min' ? Infinity : -Infinity
  }

  /** Makes sure that there will be such a figure, and the folder (above the first that has the epoch in its name). */
  async onFitStart({ figures }: FitContext): Promise<void> {
    const { bestOnly, monitor } = this.#options
    if (bestOnly) this.#options.monitor = figureNamed('ModelCheckpoint', monitor, figures)
    const [before = ''] = this.#path.split('{epoch}')
    await mkdir(dirname(`${before}x`), { recursive: true })
  }

  /** Saves where the figure asks for it. */
  async onEpochEnd(context: FitContext, log: EpochLog): Promise<void> {
    const { monitor, mode, bestOnly, weightsOnly } = this.#options
    const value = bestOnly ? monitored(log, monitor) : NaN
    const better = mode === 'min' ? value < this.best : value > this.best
    if (bestOnly && !better) return
    if (better) this.best = value
    this.lastPath = this.#path.replaceAll('{epoch}', String(log.epoch + 1))
    await mkdir(dirname(this.lastPath), { recursive: true })
    await (weightsOnly ? context.saveWeights(this.lastPath) : context.saveCheckpoint(this.lastPath))
  }

  stateDict(): unknown {
    return { best: Number.isFinite(this.best) ? this.best : null }
  }

  /** As {@link Callback.loadStateDict}. */
  loadStateDict({ best }: { best: number | null }): void {
    this.best = best ?? this.best
  }
}
