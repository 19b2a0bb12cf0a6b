import { noGrad, scope, type Tensor, ValueError } from '../../index.js'
import { modeOf, nearest, run, settle, unscoped } from '../../internal.js'
import type { EpochLog } from '../history.js'
import { metricName } from '../metrics/index.js'
import type { Callback, FitContext } from './callback.js'

/** Options of `EarlyStopping`. */
export interface EarlyStoppingOptions {
  /** The figure to watch; Keras' `val_loss` is `valLoss`. Default 'valLoss'. */
  monitor?: string
  /** Epochs without improvement that are tolerated. Default 5. */
  patience?: number
  /** The least change that counts. Default 0. */
  minDelta?: number
  /** Default by the figure's name. */
  mode?: 'min' | 'max'
  /** Puts the best epoch's weights back at the end. Default true. */
  restoreBest?: boolean
}

/** Stops when a figure no longer improves. */
export class EarlyStopping implements Callback {
  readonly #options: Required<EarlyStoppingOptions>
  #best: number
  #bad = 0
  #weights: Record<string, Tensor> | null = null
  /** The epoch with the best figure. */
  bestEpoch = -1

  constructor(options: EarlyStoppingOptions = {}) {
    const { monitor, mode = modeOf(monitor), ...others } = settle('EarlyStopping', options, {
      monitor: 'valLoss', patience: 5, minDelta: 0, mode: undefined, restoreBest: true,
    })
    if (mode !== 'min' && mode !== 'max') throw new ValueError(`EarlyStopping: mode is 'min' or 'max', not '${String(mode)}'.`)
    this.#options = { monitor, mode, ...others }
    if (!(others.patience >= 0))
      throw new ValueError(`EarlyStopping: patience is a number of epochs of at least 0, not ${String(others.patience)}.`)
    this.#best = this.#options.mode === 'min' ? Infinity : -Infinity
  }

  /** Makes sure that there will be such a figure. */
  onFitStart({ figures }: FitContext): void {
    this.#options.monitor = figureNamed('EarlyStopping', this.#options.monitor, figures)
  }

  /** Looks at the epoch's figure. */
  onEpochEnd(context: FitContext, log: EpochLog): void {
    const { monitor, mode, minDelta, patience, restoreBest } = this.#options
    const value = monitored(log, monitor)
    if (mode === 'min' ? value < this.#best - minDelta : value > this.#best + minDelta) {
      this.#best = value
      this.#bad = 0
      this.bestEpoch = log.epoch
      if (restoreBest) this.#remember(context)
    } else if (++this.#bad >= patience)
      context.stop(`${monitor} has not improved for ${patience} epochs (best ${this.#best} in epoch ${this.bestEpoch + 1})`)
  }

  onFitEnd(context: FitContext): void {
    const weights = this.#weights
    if (weights === null) return
    const state = context.model.stateDict()
    noGrad(() => {
      for (const [key, value] of Object.entries(weights)) if (state[key] !== undefined) run.assign(state[key], value)
    })
    for (const value of Object.values(weights)) value.dispose()
    this.#weights = null
  }

  /** Copies the weights on the device. */
  #remember({ model }: FitContext): void {
    noGrad(() =>
      scope(() => {
        const state = model.stateDict()
        if (this.#weights === null) {
          this.#weights = Object.fromEntries(Object.entries(state).map(([key, value]) => [key, unscoped(() => value.clone())]))
          return
        }
        for (const [key, value] of Object.entries(state)) if (this.#weights[key] !== undefined) run.assign(this.#weights[key], value)
      }),
    )
  }

  stateDict(): unknown {
    return { best: Number.isFinite(this.#best) ? this.#best : null, bad: this.#bad, bestEpoch: this.bestEpoch }
  }

  stateTensors(): Record<string, Tensor> {
    return this.#weights ?? {}
  }

  /** As {@link Callback.loadStateDict}. */
  loadStateDict({ best, bad, bestEpoch }: { best: number | null; bad: number; bestEpoch: number }, weights: Record<string, Tensor>): void {
    this.#best = best ?? this.#best
    this.#bad = bad
    this.bestEpoch = bestEpoch
    if (Object.keys(weights).length > 0)
      this.#weights = Object.fromEntries(Object.entries(weights).map(([key, value]) => [key, value.clone()]))
  }
}

/**
 * The figure that `name` means, in Keras' spelling too: `val_accuracy` is `valAccuracy`, `acc` is `accuracy`.
 * @throws ValueError naming the nearest, before an epoch was trained for nothing
 */
export function figureNamed(owner: string, name: string, figures: readonly string[]): string {
  if (figures.includes(name)) return name
  const camel = String(name).replace(/_+(\w)/g, (_, letter: string) => letter.toUpperCase())
  const [, val = '', bare = ''] = /^(val(?=[A-Z]))?(.+)$/.exec(camel) ?? []
  const metric = metricName(val === '' ? bare : `${bare[0]?.toLowerCase()}${bare.slice(1)}`)
  const ours = metric === undefined || val === '' ? metric : `val${metric[0]?.toUpperCase()}${metric.slice(1)}`
  const found = [camel, ours].find((word) => word !== undefined && figures.includes(word))
  if (found !== undefined) return found
  const near = nearest(String(name), figures)
  throw new ValueError(
    `${owner}: the epochs will have no figure '${name}'.${near === undefined ? '' : ` Did you mean '${near}'?`}\n` +
      `  There are ${figures.join(', ')}; ${/^val/.test(camel) && !figures.includes('valLoss') ? 'those of validation want validation: 0.1, or data of its own.' : 'others come from metrics, and from callbacks that name them in `figures`.'}`,
  )
}

/** A figure of the epoch by name. @throws ValueError listing what there is */
export function monitored(log: EpochLog, name: string): number {
  const value = log[name]
  if (typeof value === 'number') return value
  const there = Object.keys(log).filter((key) => key !== 'epoch' && key !== 'seconds')
  throw new ValueError(
    `callback: the epoch has no figure '${name}'.\n  There are ${there.join(', ')}; give validation data or another monitor.`,
  )
}
