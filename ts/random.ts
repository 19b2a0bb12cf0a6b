import { randomState } from './autograd.js'
import { ValueError } from './errors.js'
import { commands, native } from './native.js'
import { run } from './native/run.js'
import { dtypeCode } from './dtype.js'
import { unscoped } from './scope.js'
import { answer, type Tensor } from './tensor.js'

/**
 * A source of random numbers: a seed and a counter, both in one tensor on the stream, so that a captured step draws on as an eager one would,
 * and a checkpoint can hold it. Each random op takes the next key; its numbers are a pure function of key and element (Philox).
 */
export class Generator {
  /** int64 [2]: seed, counter. */
  state: Tensor<'int64'>

  constructor(seed: number = Math.floor(Math.random() * 2 ** 32)) {
    this.state = unscoped(() => makeState(seed))
  }
  /** Starts anew from a seed. */
  seed(seed: number): this {
    const fresh = unscoped(() => makeState(seed))
    run.assign(this.state, fresh)
    fresh.dispose()
    return this
  }
  /** The next key: int64 [2]. */
  key(): Tensor<'int64'> {
    return run.rngNext(this.state) as Tensor<'int64'>
  }
  /** Frees its state; it gives no further numbers. */
  dispose(): void {
    this.state.dispose()
  }
}

function makeState(seed: number): Tensor<'int64'> {
  if (!Number.isSafeInteger(seed)) throw new ValueError(`Generator: a seed is an integer up to 2^53, got ${seed}.`)
  const state = new BigInt64Array([BigInt(seed), 0n])
  commands.set([dtypeCode('int64'), 1, 2])
  native.upload(new Uint8Array(state.buffer))
  return answer() as Tensor<'int64'>
}

let current: Generator | null = null
/** The generator that random functions and layers use unless told another. */
export function defaultGenerator(): Generator {
  return (current ??= new Generator())
}
/** Seeds the default generator. PyTorch: `torch.manual_seed`. */
export function manualSeed(seed: number): Generator {
  return defaultGenerator().seed(seed)
}
/** @internal Makes another generator the default for the synchronous part of `fn`. */
export function withGenerator<T>(generator: Generator, fn: () => T): T {
  const before = current
  current = generator
  try {
    return fn()
  } finally {
    current = before
  }
}

randomState.save = () => run.contiguous(defaultGenerator().state)
randomState.replay = (state, fn) => {
  const generator = defaultGenerator()
  const before = generator.state
  generator.state = run.contiguous(state) as Tensor<'int64'>
  try {
    return fn()
  } finally {
    generator.state = before
  }
}
