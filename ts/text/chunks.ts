// Texts cut into chunks that are read side by side. A chunk is small enough for JavaScript's thread to copy within a frame, large enough to be worth a thread.
import { ValueError } from '../index.js'
import { kindOf, native, type PackedTexts } from '../internal.js'

/** Strings in an array, a generator or a stream: only a few chunks of them are held at a time. */
export type Texts = Iterable<string> | AsyncIterable<string>

/** Bytes and texts of a chunk, unless one text alone has more. */
const CHUNK_BYTES = 1 << 19
const CHUNK_TEXTS = 4096

/** Three bytes a UTF-16 unit; a pair of them takes four. */
const mostBytes = (text: string): number => 3 * text.length

/** Memory that texts are written into, in UTF-8; halves of surrogate pairs become U+FFFD. */
class Chunk {
  readonly #bytes: Buffer
  readonly #ends: Int32Array
  #at = 0
  #count = 0

  constructor(bytes: number, texts: number) {
    this.#bytes = Buffer.allocUnsafeSlow(bytes)
    this.#ends = new Int32Array(texts)
  }

  get size(): number {
    return this.#bytes.length
  }

  get empty(): boolean {
    return this.#count === 0
  }

  /** Whether there is room for `text`, whatever its letters. */
  fits(text: string): boolean {
    return this.#count < this.#ends.length && this.#at + mostBytes(text) <= this.size
  }

  add(text: string): void {
    this.#at += this.#bytes.write(text, this.#at)
    this.#ends[this.#count++] = this.#at
  }

  get packed(): PackedTexts {
    return { bytes: this.#bytes.subarray(0, this.#at), ends: this.#ends.subarray(0, this.#count) }
  }

  clear(): this {
    this.#at = this.#count = 0
    return this
  }
}

let threads: number | undefined
/** Chunks for the next calls, at most one for each thread and two more. */
const spare: Chunk[] = []

/** All of `texts` in one chunk. */
export function packed(texts: readonly string[]): PackedTexts {
  const chunk = new Chunk(texts.reduce((sum, text) => sum + mostBytes(text), 0), texts.length)
  for (const text of texts) chunk.add(text)
  return chunk.packed
}

/**
 * What `work` gives for each chunk, in their order. One chunk more than the library has threads is on its way, so that no thread waits while the next is
 * written; their memory is used again. Each text goes through `standardize` first, where there is one.
 * @throws ValueError naming the row that is no string
 */
export async function inChunks<T>(op: string, texts: Texts, work: (texts: PackedTexts) => Promise<T>, standardize?: (text: string) => string): Promise<T[]> {
  const results: Promise<T>[] = []
  const running = new Set<Promise<unknown>>()
  // Asked once: the answer takes a millisecond.
  const most = (threads ??= native.machine().threads) + 1
  const chunkFor = (text: string): Chunk =>
    mostBytes(text) > CHUNK_BYTES ? new Chunk(mostBytes(text), CHUNK_TEXTS) : spare.pop() ?? new Chunk(CHUNK_BYTES, CHUNK_TEXTS)
  const giveBack = (chunk: Chunk): void => {
    if (chunk.size === CHUNK_BYTES && spare.length <= most) spare.push(chunk.clear())
  }
  let chunk = chunkFor(''), row = 0

  const send = async (): Promise<void> => {
    const sent = chunk
    const result = work(sent.packed)
    results.push(result)
    const settled: Promise<unknown> = result.catch(() => {}).finally(() => {
      running.delete(settled)
      giveBack(sent)
    })
    running.add(settled)
    if (running.size >= most) await Promise.race(running)
  }
  /** Answers with a promise where the text begins another chunk. */
  const add = (given: unknown): Promise<void> | undefined => {
    const text = typeof given === 'string' && standardize !== undefined ? standardize(given) : given
    if (typeof text !== 'string') throw noString(op, row, given, text)
    row++
    if (chunk.fits(text)) return void chunk.add(text)
    const before = chunk.empty ? Promise.resolve() : send()
    return before.then(() => {
      chunk = chunkFor(text)
      chunk.add(text)
    })
  }
  const readable = source(op, texts)
  try {
    if (Symbol.asyncIterator in readable) {
      for await (const text of readable) await add(text)
    } else {
      for (const text of readable) {
        const turn = add(text)
        if (turn !== undefined) await turn
      }
    }
    if (chunk.empty) giveBack(chunk)
    else await send()
    return await Promise.all(results)
  } finally {
    // After an error nothing of this call is left running.
    await Promise.all(running)
  }
}

function noString(op: string, row: number, given: unknown, text: unknown): ValueError {
  return typeof given === 'string'
    ? new ValueError(`${op}: standardize must give a string, got ${kindOf(text)} for row ${row}.`, { op })
    : new ValueError(`${op}: row ${row} must be a string, got ${kindOf(given)}.\n  Write String(value), or leave the row out.`, { op })
}

function source(op: string, texts: Texts): Texts {
  const iterable = typeof texts === 'object' && texts !== null && (Symbol.iterator in texts || Symbol.asyncIterator in texts)
  if (!iterable) throw new ValueError(`${op}: takes an array or another iterable of strings, got ${kindOf(texts)}.\n  Put a single text into an array: [text].`, { op })
  return texts
}
