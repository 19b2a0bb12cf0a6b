import { full } from '../create.js'
import { IndexError, ValueError } from '../errors.js'
import { noTensor } from '../explain.js'
import { integers, numbers, positive } from '../nn/arguments.js'
import { Dropout } from '../nn/dropout.js'
import { Embedding } from '../nn/embedding.js'
import { GRU, type RecurrentStates } from '../nn/gru.js'
import { Linear } from '../nn/linear.js'
import { LSTM, type LstmStates } from '../nn/lstm.js'
import { Module } from '../nn/module.js'
import { softmax } from '../nn/ops.js'
import { argmax, concat, matmul, where } from '../ops/index.js'
import { settle, type Settled } from '../options.js'
import { unscoped } from '../scope.js'
import { Tensor } from '../tensor.js'
import { inference } from '../train/step.js'
import { readRecord } from './inputs.js'
import { inside } from './inside.js'

/** How a decoder's state is compared with the source: Luong et al. 2015 ('dot' and 'general') or Bahdanau et al. 2015 ('additive'). */
export type AttentionScore = 'dot' | 'general' | 'additive'

/** Options of `seq2seq`. */
export interface Seq2SeqOptions {
  /** How many tokens the source has, padding (0) among them (1000). */
  sourceVocabulary?: number
  /** How many tokens the target has, padding (0), `start` and `end` among them (1000). */
  targetVocabulary?: number
  /** Length of a token's vector (64). */
  embedding?: number
  /** Units of each layer of the decoder, and of each direction of the encoder (128). */
  hidden?: number
  /** Layers on top of each other (1). */
  numLayers?: number
  /** What the layers are ('gru'). */
  cell?: 'gru' | 'lstm'
  /** How a decoder's state is compared with the source ('general'). */
  score?: AttentionScore
  /** The share of vectors' features, and of the layers' outputs, that are 0 in training (0). */
  dropout?: number
  /** The token that a target starts with (1). */
  start?: number
  /** The token that ends a target (2). */
  end?: number
}

/** What `seq2seq` is trained on. A type, not an interface: data sets take records of tensors. */
export type Seq2SeqInputs = {
  /** Tokens to read, int32 [N, S]. */
  source: Tensor
  /** How many of each row are the source's, int32 [N]; all where left out. */
  sourceLengths?: Tensor
  /** The same under the name that it has where the source alone is padded. */
  lengths?: Tensor
  /** The tokens that the target has before each of the labels, int32 [N, T]: `start`, then the labels but for the last (teacher forcing). */
  target: Tensor
  /** Beside a `data.ragged` target. Not looked at: a step sees none behind it, and labels of -100 leave out those behind a row's end. */
  targetLengths?: Tensor
}

/** A source that has been read. */
interface Memory {
  /** [N, S, H] */
  keys: Tensor
  /** bool [N, 1, S]: tokens, not padding; null where all are. */
  inside: Tensor | null
  states: LstmStates | RecurrentStates
}

/**
 * Sequences to sequences: a bidirectional encoder, whose directions are added, a decoder that starts from its states, and at each step a look back at the
 * source (attention). With s_t the decoder's output and h_j the encoder's: score(s_t, h_j) is s_t · h_j ('dot'), s_t · W h_j ('general') or
 * v · tanh(W h_j + U s_t) ('additive'); c_t = Σ_j softmax_j(score) h_j; logits from tanh(W_c [c_t; s_t]) (Luong et al. 2015). The look back follows the
 * recurrent step for all three scores, so that whole targets are learned in one call of the layer; Bahdanau et al. look before it, step by step.
 * { source [N, S], sourceLengths [N], target [N, T] } -> logits [N, T, targetVocabulary]; labels int32 [N, T], -100 behind a row's end.
 * @example
 * await new Trainer(model, { loss: 'crossEntropy' }).fit({ inputs: { source, target }, labels }, { epochs: 10 })
 * const ids = await model.decode(source, { maxLength: 20 })
 */
export class Seq2Seq extends Module {
  /** The options it was made with, defaults filled in. */
  readonly config: Settled<Seq2SeqOptions, object>
  /** The source tokens' vectors. */
  sourceEmbedding: Embedding
  /** The target tokens' vectors. */
  targetEmbedding: Embedding
  /** Reads the source from both ends. */
  encoder: LSTM | GRU
  /** Reads the target as far as it has come. */
  decoder: LSTM | GRU
  /** W of 'general' and 'additive', without a bias; else null. */
  key: Linear | null
  /** U of 'additive'; else null. */
  query: Linear | null
  /** v of 'additive', without a bias; else null. */
  energy: Linear | null
  /** W_c. */
  combine: Linear
  /** Of vectors, and in front of the head. */
  dropout: Dropout
  /** To the logits. */
  head: Linear

  constructor(options: Seq2SeqOptions = {}) {
    super()
    const config = settle('seq2seq', options, {
      sourceVocabulary: 1000, targetVocabulary: 1000, embedding: 64, hidden: 128, numLayers: 1, cell: 'gru' as 'gru' | 'lstm', score: 'general' as AttentionScore,
      dropout: 0, start: 1, end: 2,
    })
    const { sourceVocabulary, targetVocabulary, embedding, hidden, numLayers, cell, score, dropout, start, end } = config
    positive('seq2seq', { sourceVocabulary, targetVocabulary, embedding, hidden, numLayers })
    numbers('seq2seq', { dropout }, 0, 1)
    if (cell !== 'lstm' && cell !== 'gru') throw new ValueError(`seq2seq: cell is 'gru' or 'lstm', got '${String(cell)}'.`, { op: 'seq2seq' })
    if (!['dot', 'general', 'additive'].includes(score)) {
      throw new ValueError(`seq2seq: score is 'dot', 'general' or 'additive', got '${String(score)}'.`, { op: 'seq2seq' })
    }
    for (const [name, id] of Object.entries({ start, end })) {
      integers('seq2seq', { [name]: id }, 0)
      if (id >= targetVocabulary) throw new IndexError(`seq2seq: ${name} ${id} is none of the ${targetVocabulary} tokens of the target.`, { op: 'seq2seq' })
    }
    this.config = config
    const layers = { numLayers, dropout: numLayers > 1 ? dropout : 0 }
    const Layer = cell === 'lstm' ? LSTM : GRU
    this.sourceEmbedding = new Embedding(sourceVocabulary, embedding, { paddingIdx: 0 })
    this.targetEmbedding = new Embedding(targetVocabulary, embedding, { paddingIdx: 0 })
    this.encoder = new Layer(embedding, hidden, { ...layers, bidirectional: true })
    this.decoder = new Layer(embedding, hidden, layers)
    this.key = score === 'dot' ? null : new Linear(hidden, hidden, { bias: false })
    this.query = score === 'additive' ? new Linear(hidden, hidden) : null
    this.energy = score === 'additive' ? new Linear(hidden, 1, { bias: false }) : null
    this.combine = new Linear(2 * hidden, hidden)
    this.dropout = new Dropout(dropout)
    this.head = new Linear(hidden, targetVocabulary)
  }

  forward(inputs: Seq2SeqInputs): Tensor {
    const { source, target, lengths, sourceLengths } = readRecord('seq2seq', inputs, ['source', 'target'], ['sourceLengths', 'lengths', 'targetLengths'])
    if (lengths && sourceLengths) throw new ValueError('seq2seq: lengths and sourceLengths are the same thing.\n  Give one of them.', { op: 'seq2seq' })
    const memory = this.#read(source, sourceLengths ?? lengths ?? null)
    return this.#write(target, memory).logits
  }

  /**
   * The likeliest token after the likeliest token, from `start` up to `end`, which is left out, and at most `maxLength` (50) of them: the rows' ids. Gradients
   * are off and dropout sleeps.
   */
  async decode(source: Tensor, options: { lengths?: Tensor | undefined; maxLength?: number } = {}): Promise<number[][]> {
    const { lengths, maxLength } = settle('decode', options, { lengths: undefined, maxLength: 50 })
    positive('decode', { maxLength })
    if (!(source instanceof Tensor)) throw noTensor('decode', 'source', source)
    const { start, end } = this.config
    const modules = this.modules()
    const rows: number[][] = Array.from({ length: source.shape[0]! }, () => [])
    const open = new Set(rows)
    let memory = unscoped(() => inference(modules, () => this.#read(source, lengths ?? null)))
    let last: Tensor | null = null
    try {
      for (let i = 0; i < maxLength && open.size > 0; i++) {
        const before: Tensor | null = last
        const step = unscoped(() => inference(modules, () => {
          const { logits, states } = this.#write(before ?? full([rows.length, 1], start, { dtype: 'int32' }), memory)
          return { ids: argmax(logits, -1).cast('int32'), states }
        }))
        dispose(memory.states)
        before?.dispose()
        memory = { ...memory, states: step.states }
        last = step.ids
        const ids = Array.from((await step.ids.data()) as Int32Array)
        rows.forEach((row, n) => {
          if (!open.has(row)) return
          if (ids[n] === end) open.delete(row)
          else row.push(ids[n]!)
        })
      }
    } finally {
      last?.dispose()
      dispose(memory.states)
      memory.keys.dispose()
      memory.inside?.dispose()
    }
    return rows
  }

  #read(source: Tensor, lengths: Tensor | null): Memory {
    const { numLayers, hidden } = this.config
    const { output, states } = (this.encoder as GRU).forward(this.dropout.forward(this.sourceEmbedding.forward(source)), { lengths })
    const [rows, steps] = source.shape as [number, number]
    const added = (state: Tensor): Tensor => state.reshape([numLayers, 2, rows, hidden]).sum([1])
    return {
      keys: output.reshape([rows, steps, 2, hidden]).sum([2]),
      inside: lengths === null ? null : inside('seq2seq', lengths, output).unsqueeze(1),
      states: Object.fromEntries(Object.entries(states).map(([name, state]) => [name, added(state as Tensor)])) as unknown as RecurrentStates,
    }
  }

  #write(target: Tensor, { keys, inside, states: before }: Memory): { logits: Tensor; states: LstmStates | RecurrentStates } {
    // Each kind of layer is given the states of its own kind.
    const { output, states } = (this.decoder as GRU).forward(this.dropout.forward(this.targetEmbedding.forward(target)), { states: before as RecurrentStates })
    const scores = this.#scores(output, keys)
    // Not -Infinity: a source without tokens would weigh its steps, all of them 0, by NaN.
    const weights = softmax(inside === null ? scores : where(inside, scores, -1e30), -1)
    const seen = this.combine.forward(concat([matmul(weights, keys), output], -1)).tanh()
    return { logits: this.head.forward(this.dropout.forward(seen)), states }
  }

  /** Each of the states [N, T, H] with each of the keys [N, S, H]: [N, T, S]. */
  #scores(states: Tensor, keys: Tensor): Tensor {
    const turned = this.key === null ? keys : this.key.forward(keys)
    if (this.query === null || this.energy === null) return matmul(states, turned.transpose(1, 2))
    return this.energy.forward(turned.unsqueeze(1).add(this.query.forward(states).unsqueeze(2)).tanh()).squeeze(-1)
  }
}

function dispose(states: LstmStates | RecurrentStates): void {
  for (const state of Object.values(states)) (state as Tensor).dispose()
}

/** An encoder and a decoder with attention. @see Seq2Seq */
export function seq2seq(options: Seq2SeqOptions = {}): Seq2Seq {
  return new Seq2Seq(options)
}
