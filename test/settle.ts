// Readings of memory that two runs of a test agree on.
import { device } from '../ts/index.js'

/** What tensors hold: bytes process-wide, and this thread's tensors. */
export interface Held {
  bytes: number
  tensors: number
}

/** Rounds without a change after which there is nothing left to collect, and rounds after which something else is wrong. */
const [quiet, most] = [3, 100]

/** What is held when everything called so far has run. The collector is left alone: for what promises to be freed without it. */
export async function held(): Promise<Held> {
  await device.sync()
  return reading()
}

function reading(): Held {
  const { live: bytes, tensors } = device.memory()
  return { bytes, tensors }
}

/**
 * What is held when everything called so far has run and the garbage collector finds nothing more. A test that compares memory begins with
 * this reading: what earlier code left to the collector would otherwise be freed at some moment between the test's two readings.
 */
export async function settled(): Promise<Held> {
  const { gc } = globalThis
  if (gc === undefined) throw new Error('settled: no gc. vitest.config.ts gives --expose-gc to the tests; run them with it.')
  // Late errors are no matter of memory; whoever wants to see them calls `device.sync()` himself.
  await device.sync().catch(() => {})
  let last = reading()
  for (let round = 0, same = 0; round < most; round++) {
    gc()
    // Finalizers are tasks of their own, which run when the event loop comes round.
    for (let turn = 0; turn < 2; turn++) await new Promise((resolve) => setImmediate(resolve))
    await device.sync().catch(() => {})
    const now = reading()
    same = now.bytes === last.bytes && now.tensors === last.tensors ? same + 1 : 0
    if (same === quiet) return now
    last = now
  }
  throw new Error(`settled: memory still changes after ${most} collections (${JSON.stringify(last)}). Something is at work: await it first.`)
}
