import { NonFiniteError, ValueError } from '../../index.js'
import { settle } from '../../internal.js'
import type { EpochLog } from '../history.js'
import type { BatchLog, Callback, FitContext } from './callback.js'

/** Options of `GradientNorms`. */
export interface GradientNormsOptions {
  /** Batches between measurements. Default 50. */
  every?: number
  /** Below this a parameter's gradient counts as vanished. Default 1e-8. */
  vanish?: number
  /** Above this it counts as exploded. Default 1e4. */
  explode?: number
}

/** Measures every parameter's gradient norm and remarks, once each, on those that vanish or explode. */
export class GradientNorms implements Callback {
  readonly gradientNormsEvery: number
  readonly #vanish: number
  readonly #explode: number
  /** The measurements: the batch and its norms by parameter. */
  readonly records: { index: number; norms: Readonly<Record<string, number>> }[] = []
  /** The remarks made so far. */
  readonly warnings: string[] = []
  readonly #warned = new Set<string>()

  constructor(options: GradientNormsOptions = {}) {
    const { every, vanish, explode } = settle('GradientNorms', options, { every: 50, vanish: 1e-8, explode: 1e4 })
    if (!(Number.isInteger(every) && every >= 1)) throw new ValueError(`GradientNorms: every is a whole number of batches, not ${String(every)}.`)
    this.gradientNormsEvery = every
    this.#vanish = vanish
    this.#explode = explode
  }

  /** Notes the norms, and warns once a parameter. */
  onBatchEnd(context: FitContext, { index, gradientNorms }: BatchLog): void {
    if (gradientNorms === undefined) return
    this.records.push({ index, norms: gradientNorms })
    for (const [name, norm] of Object.entries(gradientNorms)) {
      const fault = norm < this.#vanish ? 'vanishes' : norm > this.#explode || Number.isNaN(norm) ? 'explodes' : null
      if (fault === null || this.#warned.has(name + fault)) continue
      this.#warned.add(name + fault)
      const way =
        fault === 'vanishes'
          ? 'try ReLU, normalisation, another initialiser or a residual connection'
          : 'try clipNorm, a lower learning rate or normalisation'
      const text = `the gradient of ${name} ${fault} (norm ${norm.toExponential(1)} in batch ${index}): ${way}`
      this.warnings.push(text)
      context.note(text)
    }
  }
}

/**
 * Remarks once when the validation loss exceeds the training loss by more than `limit` (a share of the training loss, default 0.5), and
 * logs the gap.
 */
export class OverfittingGap implements Callback {
  readonly figures: readonly string[] = ['overfittingGap']
  readonly #limit: number
  /** The remark, when it was made. */
  warning: string | null = null

  constructor(options: { limit?: number } = {}) {
    this.#limit = settle('OverfittingGap', options, { limit: 0.5 }).limit
  }

  /** Compares both losses. */
  onEpochEnd(context: FitContext, log: EpochLog): void {
    const { valLoss, loss } = log
    if (typeof valLoss !== 'number') return
    log.overfittingGap = valLoss - loss
    if (this.warning !== null || !(valLoss - loss > this.#limit * Math.abs(loss))) return
    this.warning =
      `the model overfits: validation loss ${valLoss.toFixed(4)}, training loss ${loss.toFixed(4)} in epoch ${log.epoch + 1}; ` +
      'try dropout, weight decay, augmentation or early stopping'
    context.note(this.warning)
  }
}

/**
 * Ends training at the first NaN or infinite loss, and names the layer and op it came from: the step leaves the weights as they were, and
 * its batch is run once more, eagerly, with every result tested.
 */
export class StopOnNaN implements Callback {
  readonly guardNonFinite = true

  constructor(options: Record<string, never> = {}) {
    settle('StopOnNaN', options, {})
  }

  /** Looks at the loss; where it is not finite, finds the layer and op, and throws. */
  async onBatchEnd(context: FitContext, batch: BatchLog): Promise<void> {
    if (Number.isFinite(batch.loss)) return
    const found = await context.findNonFinite(batch)
    const where =
      found === null
        ? 'A second run of the batch was finite: it came from chance (dropout) or from weights that have changed since.'
        : `First in: ${found.message}`
    throw new NonFiniteError(
      `fit: the loss is ${batch.loss} in batch ${batch.batch} of epoch ${batch.epoch + 1}.\n` +
        `  ${where}\n` +
        `  The weights are those before the step. Check the inputs, lower the learning rate, or clip gradients.`,
    )
  }
}
