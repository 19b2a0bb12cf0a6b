import { arange, zeros } from '../create.js'
import { ValueError } from '../errors.js'
import { numbers, positive } from '../nn/arguments.js'
import { Dropout } from '../nn/dropout.js'
import { Linear } from '../nn/linear.js'
import { LSTM } from '../nn/lstm.js'
import { Module } from '../nn/module.js'
import { logSoftmax } from '../nn/ops.js'
import { where } from '../ops/index.js'
import { settle, type Settled } from '../options.js'
import type { Tensor } from '../tensor.js'
import { readRecord } from './inputs.js'
import { inside } from './inside.js'
import { startOpen } from './lstm-start.js'
import { checkPool, poolSteps, STEP_POOLS, type StepPool } from './pool-steps.js'

/** What becomes of the steps: each keeps its own labels ('none'), or a sequence has one, by the 'last' states of both directions, its 'mean' or its 'max'. */
export type Pool = 'none' | StepPool

/** Options of `biLstmTagger`. */
export interface BiLstmTaggerOptions {
  /** Features of a step (40, as many as `data.logMel` gives). */
  inputs?: number
  /** Units of each direction (93, as in the paper). */
  hidden?: number
  /** Bidirectional layers on top of each other (1). */
  numLayers?: number
  /** Classes, the blank among them (10). */
  outputs?: number
  /** What becomes of the steps ('none'). */
  pool?: Pool
  /**
   * The class that stands for no label: makes the outputs the log-probabilities that `ctcLoss` and `ctcDecode` take. Steps behind a row's length are
   * blanks for certain there, which changes no row's loss or labels, so that neither needs the lengths. Left out: logits.
   */
  blank?: number | undefined
  /** The share of a layer's outputs that the next layer, or the head, sees as 0 in training (0). */
  dropout?: number
  /** The share of a layer's input features left out in training, the same ones for a whole sequence (0). */
  inputDropout?: number
  /** The share of the states' units left out in training, the same ones for a whole sequence (0). */
  recurrentDropout?: number
}

/** Sequences of features, padded to the longest. A type, not an interface: data sets take records of tensors. */
export type SequenceInputs = {
  /** [N, T, inputs]. */
  features: Tensor
  /** How many steps of each row count, int32 [N]; all where left out. */
  lengths?: Tensor
}

/**
 * Labels for every step of a sequence from what comes before and after it: bidirectional LSTM layers and a Linear (Graves & Schmidhuber 2005, framewise
 * phonemes; Graves et al. 2006, with `ctcLoss`, where the labels' places are not known). Forget gates start open. With `pool` one row of logits a sequence.
 * { features [N, T, inputs], lengths [N] }, or the features alone -> [N, T, outputs], pooled [N, outputs]; logits. What lies behind a row's steps is not
 * looked at; the logits there are the head's bias.
 * @example new Trainer(biLstmTagger({ inputs: 12, outputs: 9, pool: 'last' }), { optimizer: 'adam', loss: 'crossEntropy', metrics: ['accuracy'] })
 * @example new Trainer(biLstmTagger({ outputs: 11, blank: 10 }), { optimizer: 'adam', loss: new nn.CTCLoss({ blank: 10 }) })
 */
export class BiLstmTagger extends Module {
  /** The options it was made with, defaults filled in. */
  readonly config: Settled<BiLstmTaggerOptions, { blank: undefined }>
  /** Reads sequences from both ends. */
  lstm: LSTM
  /** In front of the head. */
  dropout: Dropout
  /** From both directions to the logits. */
  head: Linear

  constructor(options: BiLstmTaggerOptions = {}) {
    super()
    const config = settle('biLstmTagger', options, {
      inputs: 40, hidden: 93, numLayers: 1, outputs: 10, pool: 'none' as Pool, blank: undefined, dropout: 0, inputDropout: 0, recurrentDropout: 0,
    })
    const { inputs, hidden, numLayers, outputs, pool, blank, dropout, inputDropout, recurrentDropout } = config
    positive('biLstmTagger', { inputs, hidden, numLayers, outputs })
    numbers('biLstmTagger', { dropout, inputDropout, recurrentDropout }, 0, 1)
    checkPool('biLstmTagger', pool, ['none', ...STEP_POOLS])
    if (blank !== undefined && !(Number.isInteger(blank) && blank >= 0 && blank < outputs)) {
      throw new ValueError(`biLstmTagger: blank is one of the ${outputs} classes, 0 to ${outputs - 1}, got ${String(blank)}.`, { op: 'biLstmTagger' })
    }
    if (blank !== undefined && pool !== 'none') {
      throw new ValueError(`biLstmTagger: blank is for the labels of steps, and pool is '${pool}'.\n  Leave out one of them.`, { op: 'biLstmTagger' })
    }
    this.config = config
    this.lstm = new LSTM(inputs, hidden, { numLayers, bidirectional: true, dropout: numLayers > 1 ? dropout : 0, inputDropout, recurrentDropout })
    this.dropout = new Dropout(dropout)
    this.head = new Linear(2 * hidden, outputs)
    startOpen(this.lstm)
  }

  forward(inputs: SequenceInputs | Tensor): Tensor {
    const { features, lengths = null } = readRecord<SequenceInputs>('biLstmTagger', inputs, ['features'], ['lengths'])
    const { pool } = this.config
    const { output, hidden } = this.lstm.forward(features, { lengths })
    const logits = this.head.forward(this.dropout.forward(pool === 'none' ? output : poolSteps(pool, output, hidden, lengths)))
    return this.config.blank === undefined ? logits : this.#logProbs(logits, lengths, this.config.blank)
  }

  #logProbs(logits: Tensor, lengths: Tensor | null, blank: number): Tensor {
    const logProbs = logSoftmax(logits, -1)
    if (lengths === null) return logProbs
    const theirs = inside('biLstmTagger', lengths, logits).unsqueeze(-1)
    const certain = where(arange(logits.shape[2]!).eq(blank), zeros([], { dtype: logProbs.dtype as 'float32' }), -Infinity)
    return where(theirs, logProbs, certain)
  }
}

/** Bidirectional LSTM layers that label steps, or with `pool` whole sequences. @see BiLstmTagger */
export function biLstmTagger(options: BiLstmTaggerOptions = {}): BiLstmTagger {
  return new BiLstmTagger(options)
}
