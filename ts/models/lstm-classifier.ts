import { numbers, positive, switches } from '../nn/arguments.js'
import { Embedding } from '../nn/embedding.js'
import { uniform, zeroRow } from '../nn/init.js'
import { Linear } from '../nn/linear.js'
import { LSTM } from '../nn/lstm.js'
import { Module } from '../nn/module.js'
import { settle } from '../options.js'
import type { Tensor } from '../tensor.js'
import { readRecord } from './inputs.js'
import { startOpen } from './lstm-start.js'
import { checkPool, poolSteps, STEP_POOLS, type StepPool } from './pool-steps.js'

/** Options of `lstmClassifier`. */
export interface LstmClassifierOptions {
  /** How many word numbers there are, padding (0) among them (20,000). */
  vocabulary?: number
  /** Length of a word's vector (128). */
  embedding?: number
  /** Units of the LSTM (128). */
  hidden?: number
  /** Layers of LSTM on top of each other (1). */
  numLayers?: number
  /** Reads each text from its end too (false). */
  bidirectional?: boolean
  /** The share of a word vector's features left out in training, the same ones for a whole text (0.2). */
  inputDropout?: number
  /** The share of the state's units left out in training, the same ones for a whole text (0.2). */
  recurrentDropout?: number
  /** What the head reads of a text: the state after its 'last' word, or the 'mean' or 'max' of the states after each ('last'). */
  pool?: StepPool
  /** Logits: 1 for yes or no, else as many as there are classes (1). */
  outputs?: number
}

/** What the classifier reads. */
export interface TextInputs {
  /** Numbers of words, int32 [N, T]. */
  ids: Tensor
  /** How many words of each row are the text's, int32 [N]; all where left out. */
  lengths?: Tensor
}

/**
 * The article's LSTM for texts: word vectors, an LSTM with variational dropout (Gal & Ghahramani 2016), its state after a text's last word, or with
 * `pool` the mean or maximum of its states, to the logits.
 * Weights start as Keras': word vectors within ±0.05, Glorot and orthogonal matrices, forget gates open (a bias of 1; Jozefowicz et al. 2015), which on
 * IMDB is worth some hundredths over PyTorch's start. { ids [N, T], lengths [N] } -> [N, outputs]; 2,692,225 parameters by default.
 */
export class LstmClassifier extends Module {
  /** The options it was made with, defaults filled in. */
  readonly config: Required<LstmClassifierOptions>
  /** The words' vectors; that of padding stays 0. */
  embedding: Embedding
  /** Reads a text word by word. */
  lstm: LSTM
  /** From the last state to the logits. */
  head: Linear

  constructor(options: LstmClassifierOptions = {}) {
    super()
    const config = settle('lstmClassifier', options, {
      vocabulary: 20_000, embedding: 128, hidden: 128, numLayers: 1, bidirectional: false, inputDropout: 0.2, recurrentDropout: 0.2, pool: 'last' as StepPool, outputs: 1,
    })
    const { vocabulary, embedding, hidden, numLayers, bidirectional, inputDropout, recurrentDropout, pool, outputs } = config
    positive('lstmClassifier', { vocabulary, embedding, hidden, numLayers, outputs })
    numbers('lstmClassifier', { inputDropout, recurrentDropout }, 0, 1)
    switches('lstmClassifier', { bidirectional })
    checkPool('lstmClassifier', pool, STEP_POOLS)
    this.config = config
    this.embedding = new Embedding(vocabulary, embedding, { paddingIdx: 0 })
    this.lstm = new LSTM(embedding, hidden, { numLayers, bidirectional, inputDropout, recurrentDropout })
    this.head = new Linear(hidden * (bidirectional ? 2 : 1), outputs)
    uniform(this.embedding.weight, -0.05, 0.05)
    zeroRow(this.embedding.weight, 0)
    startOpen(this.lstm)
  }

  forward(inputs: TextInputs | Tensor): Tensor {
    const { ids, lengths = null } = readRecord<TextInputs>('lstmClassifier', inputs, ['ids'], ['lengths'])
    const { output, hidden } = this.lstm.forward(this.embedding.forward(ids), { lengths })
    return this.head.forward(poolSteps(this.config.pool, output, hidden, lengths))
  }
}

/** The article's LSTM for texts. @see LstmClassifier */
export function lstmClassifier(options: LstmClassifierOptions = {}): LstmClassifier {
  return new LstmClassifier(options)
}
