// Texts cut into chunks that are read side by side. A chunk is small enough for JavaScript's thread to copy within a frame, large enough to be worth a thread.
import { ValueError } from '../index.js'
import { kindOf, native } from '../internal.js'

/** Strings in an array, a generator or a stream: only a few chunks of them are held at a time. */
export type Texts = Iterable<string> | AsyncIterable<string>

/** UTF-16 units and texts, at most, unless one text alone has more. */
const CHUNK_UNITS = 1 << 18
const CHUNK_TEXTS = 4096

/**
 * What `work` gives for each chunk, in their order; as many are worked on at a time as the library has threads.
 * @throws ValueError naming the row that is no string
 */
export async function inChunks<T>(op: string, texts: Texts, work: (chunk: string[]) => Promise<T>): Promise<T[]> {
  const results: Promise<T>[] = []
  const running = new Set<Promise<unknown>>()
  const threads = native.machine().threads
  const begin = async (chunk: string[]): Promise<void> => {
    const result = work(chunk)
    results.push(result)
    const settled: Promise<unknown> = result.catch(() => {}).finally(() => running.delete(settled))
    running.add(settled)
    if (running.size >= threads) await Promise.race(running)
  }
  try {
    let chunk: string[] = [], units = 0, row = 0
    for await (const text of source(op, texts)) {
      if (typeof text !== 'string') throw new ValueError(`${op}: row ${row} must be a string, got ${kindOf(text)}.\n  Write String(value), or leave the row out.`, { op })
      row++
      if (chunk.length > 0 && (units + text.length > CHUNK_UNITS || chunk.length === CHUNK_TEXTS)) {
        await begin(chunk)
        chunk = []
        units = 0
      }
      chunk.push(text)
      units += text.length
    }
    if (chunk.length > 0) await begin(chunk)
    return await Promise.all(results)
  } finally {
    // After an error nothing of this call is left running.
    await Promise.all(running)
  }
}

function source(op: string, texts: Texts): Texts {
  const iterable = typeof texts === 'object' && texts !== null && (Symbol.iterator in texts || Symbol.asyncIterator in texts)
  if (!iterable) throw new ValueError(`${op}: takes an array or another iterable of strings, got ${kindOf(texts)}.\n  Put a single text into an array: [text].`, { op })
  return texts
}
