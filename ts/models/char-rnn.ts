import { rand, tensor } from '../create.js'
import { IndexError, ValueError } from '../errors.js'
import { kindOf } from '../explain.js'
import { integers, numbers, positive } from '../nn/arguments.js'
import { Dropout } from '../nn/dropout.js'
import { Embedding } from '../nn/embedding.js'
import { GRU, type RecurrentStates } from '../nn/gru.js'
import { Linear } from '../nn/linear.js'
import { LSTM, type LstmStates } from '../nn/lstm.js'
import { Module } from '../nn/module.js'
import { argmax, topk, where } from '../ops/index.js'
import { settle } from '../options.js'
import { Generator } from '../random.js'
import { unscoped } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { inference } from '../train/step.js'
import { checkAlone } from './inputs.js'

/** Options of `charRnn`. */
export interface CharRnnOptions {
  /** How many characters there are (65, those of Shakespeare's plays). */
  vocabulary?: number
  /** Length of a character's vector (64). */
  embedding?: number
  /** Units of each layer (256). */
  hidden?: number
  /** Layers on top of each other (2). */
  numLayers?: number
  /** What the layers are ('lstm'). */
  cell?: 'lstm' | 'gru'
  /** The share of each layer's outputs that the next layer, or the head, sees as 0 in training (0). */
  dropout?: number
}

/** Where a text has got to: the states of the recurrent layers. */
export type CharRnnStates = LstmStates | RecurrentStates

/** How `generate` and `stream` draw characters. */
export interface GenerateOptions {
  /** How many characters are drawn (200). */
  length?: number
  /** Logits are divided by it: below 1 the likely become likelier; 0 takes the likeliest (1). */
  temperature?: number
  /** Draws among so many of the likeliest; left out, among all. */
  topK?: number | undefined
  /** Seeds the draws; left out, each call draws others. */
  seed?: number | undefined
}

/**
 * A language model of characters (Karpathy 2015, char-rnn): each character's vector, LSTM or GRU layers, a Linear to the logits of the character that follows.
 * ids int32 [N, T] -> logits [N, T, vocabulary]; labels are the ids one place on. 876,929 parameters by default. Weights start as PyTorch's.
 * @example
 * await new Trainer(model, { loss: 'crossEntropy' }).fit({ inputs, labels }, { clipNorm: 5 })
 * const ids = await model.generate(prompt, { length: 500, temperature: 0.8, seed: 1 })
 */
export class CharRnn extends Module {
  /** The options it was made with, defaults filled in. */
  readonly config: Required<CharRnnOptions>
  /** The characters' vectors. */
  embedding: Embedding
  /** Reads a text character by character. */
  rnn: LSTM | GRU
  /** In front of the head. */
  dropout: Dropout
  /** From the layers' outputs to the logits. */
  head: Linear

  constructor(options: CharRnnOptions = {}) {
    super()
    const config = settle('charRnn', options, { vocabulary: 65, embedding: 64, hidden: 256, numLayers: 2, cell: 'lstm' as 'lstm' | 'gru', dropout: 0 })
    const { vocabulary, embedding, hidden, numLayers, cell, dropout } = config
    positive('charRnn', { vocabulary, embedding, hidden, numLayers })
    numbers('charRnn', { dropout }, 0, 1)
    if (cell !== 'lstm' && cell !== 'gru') throw new ValueError(`charRnn: cell is 'lstm' or 'gru', got '${String(cell)}'.`, { op: 'charRnn' })
    this.config = config
    this.embedding = new Embedding(vocabulary, embedding)
    this.rnn = new (cell === 'lstm' ? LSTM : GRU)(embedding, hidden, { numLayers, dropout: numLayers > 1 ? dropout : 0 })
    this.dropout = new Dropout(dropout)
    this.head = new Linear(hidden, vocabulary)
  }

  forward(ids: Tensor): Tensor {
    return this.read(ids).logits
  }

  /** `forward` that goes on from where an earlier call ended, for texts that come in pieces: logits [N, T, vocabulary] and the new states. */
  read(ids: Tensor, states: CharRnnStates | null = null): { logits: Tensor; states: CharRnnStates } {
    checkAlone('charRnn', 'ids', ids)
    // Each kind of layer is given the states that it gave.
    const read = (this.rnn as GRU).forward(this.embedding.forward(ids), { states: states as RecurrentStates | null })
    return { logits: this.head.forward(this.dropout.forward(read.output)), states: read.states }
  }

  /**
   * Characters that go on from `prompt`, which is not repeated: their ids. Gradients are off and dropout sleeps; the event loop goes on.
   * @throws ValueError for an empty prompt, IndexError for an id that is no character
   */
  async generate(prompt: Iterable<number>, options: GenerateOptions = {}): Promise<Int32Array> {
    const ids: number[] = []
    for await (const id of this.stream(prompt, options)) ids.push(id)
    return Int32Array.from(ids)
  }

  /** `generate`, one id at a time, as they are drawn. */
  async *stream(prompt: Iterable<number>, options: GenerateOptions = {}): AsyncGenerator<number, void, void> {
    const { length, temperature, topK, seed } = settle('generate', options, { length: 200, temperature: 1, topK: undefined, seed: undefined })
    integers('generate', { length }, 0)
    numbers('generate', { temperature }, 0)
    if (topK !== undefined) positive('generate', { topK })
    let ids = this.#checked(prompt)
    const generator = new Generator(seed)
    let states: CharRnnStates | null = null
    try {
      for (let i = 0; i < length; i++) {
        const before: CharRnnStates | null = states
        const step = unscoped(() => inference(this.modules(), () => {
          const { logits, states } = this.read(tensor(Int32Array.from(ids), { shape: [1, ids.length] }), before)
          return { drawn: draw(logits.select(1, ids.length - 1), temperature, topK, generator), states }
        }))
        dispose(before)
        states = step.states
        const id = Number(await step.drawn.item())
        step.drawn.dispose()
        ids = [id]
        yield id
      }
    } finally {
      dispose(states)
      generator.dispose()
    }
  }

  #checked(prompt: Iterable<number>): number[] {
    const { vocabulary } = this.config
    if (typeof (prompt as Partial<Iterable<number>> | null)?.[Symbol.iterator] !== 'function') {
      throw new ValueError(`generate: the prompt is a list of ids, got ${kindOf(prompt)}.\n  Write [id].`, { op: 'generate' })
    }
    const ids = [...prompt]
    if (ids.length === 0) throw new ValueError('generate: the prompt is empty.\n  Begin with one character at least, a line break for example.', { op: 'generate' })
    const wrong = ids.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocabulary))
    if (wrong !== undefined) throw new IndexError(`generate: ${String(wrong)} in the prompt is no character; ids run from 0 to ${vocabulary - 1}.`, { op: 'generate' })
    return ids
  }
}

/** One class of logits [1, C], drawn by its probability: the largest of logits + temperature times Gumbel noise, which no small temperature overflows. */
function draw(logits: Tensor, temperature: number, topK: number | undefined, generator: Generator): Tensor {
  if (temperature === 0) return argmax(logits, -1)
  const classes = logits.shape.at(-1)!
  const among = topK === undefined || topK >= classes ? logits : where(logits.ge(topk(logits, topK, -1).values.slice(-1, topK - 1, topK)), logits, -Infinity)
  // A draw of 0 would be noise of minus infinity.
  const noise = rand(logits.shape, { generator }).clamp(1e-30).log().neg().log().neg()
  return argmax(among.add(noise.mul(temperature)), -1)
}

function dispose(states: CharRnnStates | null): void {
  if (states !== null) for (const state of Object.values(states)) (state as Tensor).dispose()
}

/** Karpathy's language model of characters. @see CharRnn */
export function charRnn(options: CharRnnOptions = {}): CharRnn {
  return new CharRnn(options)
}
