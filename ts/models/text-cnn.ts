import { ones } from '../create.js'
import { ShapeError, ValueError } from '../errors.js'
import { numbers, positive } from '../nn/arguments.js'
import { Conv1d } from '../nn/conv.js'
import { Dropout } from '../nn/dropout.js'
import { Embedding } from '../nn/embedding.js'
import { uniform, xavierUniform, zeroRow, zeros } from '../nn/init.js'
import { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { conv1d, linear } from '../nn/ops.js'
import { adaptiveMaxPool1d, concat, where } from '../ops/index.js'
import { settle, type Settled } from '../options.js'
import { noGrad, scope } from '../scope.js'
import { Tensor } from '../tensor.js'
import { readRecord } from './inputs.js'
import { inside } from './inside.js'
import type { TextInputs } from './lstm-classifier.js'

/** Which tables of word vectors a `textCnn` reads: one that training leaves alone, one that it changes, or the sum of both. */
export type WordVectors = 'static' | 'tuned' | 'both'

/** Options of `textCnn`. */
export interface TextCnnOptions {
  /** How many word numbers there are, padding (0) among them; that of `embeddings`, where given (20,000). */
  vocabulary?: number
  /** Length of a word's vector; that of `embeddings`, where given (128). */
  embedding?: number
  /** Vectors that were learned elsewhere, [vocabulary, embedding]; copied. That of padding becomes 0. Left out: within ±0.25. */
  embeddings?: Tensor | undefined
  /** Whether training changes the vectors: Kim's CNN-static, CNN-non-static (and CNN-rand), CNN-multichannel ('tuned'). */
  vectors?: WordVectors
  /** How many words each group of filters sees at a time ([3, 4, 5]). */
  widths?: readonly number[]
  /** Filters of each width (100). */
  filters?: number
  /** The share of the filters' maxima that the head sees as 0 in training (0.5). */
  dropout?: number
  /** The largest Euclidean norm of a class' row of weights in the head; Infinity for no limit (3). */
  maxNorm?: number
  /** Logits: 1 for yes or no, else as many as there are classes (2). */
  outputs?: number
}

/**
 * Convolutions for texts (Kim 2014): word vectors, filters over 3, 4 and 5 words side by side, each one's largest value over the text, dropout and a Linear
 * whose rows keep to a largest norm. Texts are padded by a filter's width less 1 at both ends, so that short ones have windows too; with `lengths` windows
 * that hold padding alone do not count, and a text's logits do not depend on what it is batched with.
 * { ids [N, T], lengths [N] }, or the ids alone -> [N, outputs]; 2,714,502 parameters by default.
 *
 * A row of the head longer than `maxNorm` is shortened to it when a training step reads it, as PyTorch's `nn.Embedding(max_norm=)` does, and counts as
 * shortened in evaluation. Kim's multichannel model adds what one filter gives on both tables, which is what it gives on their sum.
 * @example new Trainer(textCnn({ vocabulary, outputs: 6 }), { optimizer: 'adam', loss: 'crossEntropy', metrics: ['accuracy'] })
 */
export class TextCnn extends Module {
  /** The options it was made with, defaults filled in, but for `embeddings`. */
  readonly config: Settled<Omit<TextCnnOptions, 'embeddings'>, object>
  /** The vectors that training changes; null where `vectors` is 'static'. */
  embedding: Embedding | null
  /** The vectors that training leaves alone; null where `vectors` is 'tuned'. */
  fixed: Embedding | null
  /** One for each width. */
  convs: Conv1d[]
  /** In front of the head. */
  dropout: Dropout
  /** From the maxima to the logits. */
  head: Linear

  constructor(options: TextCnnOptions = {}) {
    super()
    const { embeddings, ...config } = settle('textCnn', options, {
      vocabulary: 20_000, embedding: 128, embeddings: undefined, vectors: 'tuned' as WordVectors, widths: [3, 4, 5] as readonly number[], filters: 100, dropout: 0.5,
      maxNorm: 3, outputs: 2,
    })
    if (embeddings !== undefined) {
      const [rows, width] = tableSize(embeddings, options)
      config.vocabulary = rows
      config.embedding = width
    }
    const { vocabulary, embedding, vectors, widths, filters, dropout, maxNorm, outputs } = config
    positive('textCnn', { vocabulary, embedding, filters, outputs })
    numbers('textCnn', { dropout }, 0, 1)
    if (!(typeof maxNorm === 'number' && maxNorm > 0)) {
      throw new ValueError(`textCnn: maxNorm is a positive number, or Infinity for no limit, got ${String(maxNorm)}.`, { op: 'textCnn' })
    }
    if (!['static', 'tuned', 'both'].includes(vectors)) {
      throw new ValueError(`textCnn: vectors is 'static', 'tuned' or 'both', got '${String(vectors)}'.`, { op: 'textCnn' })
    }
    if (!Array.isArray(widths) || widths.length === 0) {
      throw new ValueError(`textCnn: widths is a list of numbers of words, as in [3, 4, 5], got ${JSON.stringify(widths)}.`, { op: 'textCnn' })
    }
    widths.forEach((width, i) => positive('textCnn', { [`widths[${i}]`]: width }))
    this.config = config
    const table = (): Embedding => wordVectors(vocabulary, embedding, embeddings)
    this.embedding = vectors === 'static' ? null : table()
    this.fixed = vectors === 'tuned' ? null : table()
    if (this.fixed !== null) this.fixed.weight.requiresGrad = false
    this.convs = widths.map((width) => new Conv1d(embedding, filters, width, { padding: width - 1 }))
    for (const { weight, bias } of this.convs) {
      xavierUniform(weight)
      zeros(bias!)
    }
    this.dropout = new Dropout(dropout)
    this.head = new Linear(filters * widths.length, outputs)
  }

  forward(inputs: TextInputs | Tensor): Tensor {
    const { ids, lengths = null } = readRecord<TextInputs>('textCnn', inputs, ['ids'], ['lengths'])
    const theirs = lengths === null ? null : inside('textCnn', lengths, ids)
    // Whatever stands behind a text is padding, whose vector is 0.
    const words = this.#vectors(theirs === null ? ids : where(theirs, ids, 0))
    const maxima = this.convs.map((conv) => {
      const windows = conv1d(words, conv.weight, conv.bias, { padding: conv.kernelSize - 1, activation: 'relu' })
      // No window is below 0: 0 changes no maximum.
      const counted = theirs === null ? windows : windows.mul(windowsOf(theirs, conv.kernelSize).cast(windows.dtype))
      return adaptiveMaxPool1d(counted, 1).squeeze(1)
    })
    return this.#logits(this.dropout.forward(concat(maxima, 1)))
  }

  #vectors(ids: Tensor): Tensor {
    const [tuned, fixed] = [this.embedding?.forward(ids), this.fixed?.forward(ids)]
    return tuned !== undefined && fixed !== undefined ? tuned.add(fixed) : (tuned ?? fixed)!
  }

  #logits(features: Tensor): Tensor {
    const { maxNorm } = this.config
    if (maxNorm === Infinity) return this.head.forward(features)
    const { weight, bias } = this.head
    const bounded = noGrad(() => scope(() => weight.div(weight.norm(2, [1], { keepdim: true }).clamp(maxNorm).div(maxNorm))))
    if (!this.training) return linear(features, bounded, bias)
    noGrad(() => weight.assign_(bounded))
    return this.head.forward(features)
  }
}

/** Which windows [N, T + width - 1, 1] hold a word of their text, of those bool [N, T] that begin in it: the first width - 1 begin before it. */
function windowsOf(theirs: Tensor, width: number): Tensor {
  return concat([ones([theirs.shape[0]!, width - 1], { dtype: 'bool' }), theirs], 1).unsqueeze(-1)
}

function wordVectors(vocabulary: number, width: number, given: Tensor | undefined): Embedding {
  const table = new Embedding(vocabulary, width, { paddingIdx: 0 })
  if (given === undefined) uniform(table.weight, -0.25, 0.25)
  else noGrad(() => table.weight.assign_(given))
  zeroRow(table.weight, 0)
  return table
}

/** Rows and columns of the vectors that a user gave. @throws ShapeError where they are no table, or sizes were given that are not theirs */
function tableSize(embeddings: unknown, { vocabulary, embedding }: TextCnnOptions): [number, number] {
  if (!(embeddings instanceof Tensor)) throw new ValueError(`textCnn: embeddings is a tensor [vocabulary, embedding], got ${typeof embeddings}.`, { op: 'textCnn' })
  const [rows, width] = embeddings.shape as [number, number]
  if (embeddings.ndim !== 2 || (vocabulary ?? rows) !== rows || (embedding ?? width) !== width) {
    throw new ShapeError(
      `textCnn: embeddings must be [${vocabulary ?? 'vocabulary'}, ${embedding ?? 'embedding'}], got [${embeddings.shape.join(', ')}].\n`
        + '  Leave vocabulary and embedding out, and the sizes of the table are taken.',
      { op: 'textCnn', shapes: [embeddings.shape] },
    )
  }
  return [rows, width]
}

/** Kim's convolutions for texts. @see TextCnn */
export function textCnn(options: TextCnnOptions = {}): TextCnn {
  return new TextCnn(options)
}
