import { ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'

/** Options of {@link ctcDecode}. */
export interface CtcDecodeOptions {
  /** The class that stands for no label (0). */
  blank?: number
  /** Prefixes that the search keeps at each step. Without it the best class of each step is taken, which is faster and nearly as good where classes are clear. */
  beamWidth?: number
  /** Whether logProbs is [N, T, C] (true), not [T, N, C]. */
  batchFirst?: boolean
}

/** What {@link ctcDecode} gives. */
export interface CtcDecoded {
  /** The labels of each row, int32 [N, T], and -1 behind them. */
  labels: Tensor
  /** How many labels a row has, int32 [N]. */
  lengths: Tensor
  /** The log-probability of a row's labels, [N]: of the best path, or with `beamWidth` of all ways to spell them that were seen. */
  scores: Tensor
}

/**
 * The labels that log-probabilities spell, where `ctcLoss` trained them: repeats merged, blanks left out. logProbs [N, T, C], lengths int32 or int64 [N]:
 * how many steps of a row count. Best path, or with `beamWidth` prefix beam search (Hannun et al. 2014). It has no gradient.
 * Keras: `keras.ops.ctc_decode`; TensorFlow: `tf.nn.ctc_greedy_decoder`, `tf.nn.ctc_beam_search_decoder`.
 * @throws ShapeError, ValueError
 * @example const { labels, lengths } = ctcDecode(model.forward(x).logSoftmax(-1), steps, { beamWidth: 20 })
 */
export function ctcDecode(
  logProbs: Tensor, inputLengths: Tensor | null = null, { blank = 0, beamWidth, batchFirst = true }: CtcDecodeOptions = {},
): CtcDecoded {
  if (beamWidth !== undefined && !(Number.isInteger(beamWidth) && beamWidth > 0)) {
    throw new ValueError(`ctcDecode: beamWidth is a number of prefixes, 1 or more, got ${String(beamWidth)}.\n  Leave it out for the best class of each step.`, { op: 'ctcDecode' })
  }
  return scope(() => {
    const x = batchFirst || logProbs.ndim !== 3 ? logProbs : logProbs.transpose(0, 1)
    const steps = inputLengths?.dtype === 'int64' ? inputLengths.cast('int32') : inputLengths
    const [labels, lengths, scores] = run.ctcDecode(x, steps, blank, beamWidth ?? 0)
    return { labels, lengths, scores }
  })
}
