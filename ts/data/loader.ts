// Batches in a seeded order, made ahead of their use, and given back.
import { noGrad, scope, type Tensor, ValueError } from '../index.js'
import { augmentBatch, mixup } from './augment.js'
import { aliasOf, type Batch, disposeBatch, leaveToOwner } from './batch.js'
import { bucketed } from './bucket.js'
import { Dataset } from './dataset.js'
import { checkOptions, type ChosenOptions, complete, type LoaderOptions } from './loader-options.js'
import { range, seeded, shuffle } from './random.js'
import { collate, type KnownSource, recognise, type Sample, type Source, toBatch } from './source.js'
import { turns } from './turn.js'

/** Where a loader stands, as plain data for a checkpoint. */
export interface LoaderState {
  /** The epoch it stands in, from 0. */
  epoch: number
  /** Batches handed out in this epoch. */
  position: number
  /** What order and augmentation follow from. */
  seed: number
  /** Samples a batch; null for a source of whole batches. */
  batchSize?: number | null
  /** Whether the order is drawn. */
  shuffle?: boolean
  /** Whether batches are of like lengths; left out where they are not. */
  bucketByLength?: boolean
  /** Samples an epoch, where the source says so. */
  samples?: number
}

/**
 * Goes through data in batches; each `for await` is one epoch, the next one the epoch after. A batch's tensors are freed when the next is
 * taken: `keep` does not hold them, `clone()` what you need longer. Tensors that the source gave stay the source's. The order and the
 * augmentation follow from the seed alone.
 *
 * ```js
 * const loader = new data.DataLoader(train, { batchSize: 32, shuffle: true, augment: { flip: true, pad: 4 } })
 * for await (const { inputs, labels } of loader) await step(inputs, labels)
 * ```
 * PyTorch: `torch.utils.data.DataLoader`.
 */
export class DataLoader implements AsyncIterable<Batch> {
  /** Batches an epoch; Infinity where the source does not say. */
  readonly length: number
  /** Samples an epoch, those of a dropped batch not counted; Infinity where the source does not say. */
  readonly samples: number
  /** Samples a batch; null for a source that comes in batches already. */
  readonly batchSize: number | null
  readonly #source: KnownSource
  readonly #options: ChosenOptions
  #seed: number
  #epoch = 0
  #position = 0
  /** The last epoch was left early: the next one begins anew. */
  #left = false
  /** The iterator that moves this loader's place. */
  #current: object | null = null

  constructor(source: Source, options: LoaderOptions = {}) {
    const chosen = complete(options)
    const { dropLast } = chosen
    this.#source = recognise(source, typeof chosen.batchSize === 'number')
    this.#options = chosen
    this.#seed = chosen.seed
    const stream = this.#source.kind === 'stream'
    const count = this.#source.kind === 'stream' ? Infinity : this.#source.data.length
    if (count === 0) throw new ValueError('DataLoader: the data has no samples.')
    const asked = chosen.batchSize === undefined ? (stream ? null : 32) : chosen.batchSize
    // Infinity: all samples in one batch.
    const batchSize = (this.batchSize = asked === Infinity && !stream ? count : asked)
    checkOptions(chosen, batchSize, stream)
    this.length =
      count === Infinity ? Infinity : dropLast ? Math.floor(count / (batchSize as number)) : Math.ceil(count / (batchSize as number))
    this.samples = dropLast && count !== Infinity ? this.length * (batchSize as number) : count
    if (this.length === 0)
      throw new ValueError(`DataLoader: ${count} samples make no whole batch of ${batchSize}. Leave dropLast out, or use smaller batches.`)
  }

  /** Class names, where the data has them. */
  get classes(): readonly string[] | undefined {
    return this.#source.kind === 'dataset' ? this.#source.data.classes : undefined
  }

  /** Where the loader stands: after the batch that was handed out last. */
  state(): LoaderState {
    const counted = Number.isFinite(this.samples) ? { samples: this.samples } : {}
    return { epoch: this.#epoch, position: this.#position, seed: this.#seed, batchSize: this.batchSize, shuffle: this.#options.shuffle, ...(this.#options.bucketByLength ? { bucketByLength: true } : {}), ...counted }
  }

  /**
   * Goes to where another loader over the same data stood: the next `for await` gives the batches that were still to come, the same to the
   * last bit.
   * @throws ValueError for a place that this loader does not have, and for one within an epoch of other batches
   */
  restore(state: LoaderState): void {
    const { epoch, position, seed } = state
    if (
      ![epoch, position].every((value) => Number.isInteger(value) && value >= 0) ||
      position > this.length ||
      !Number.isSafeInteger(seed)
    ) {
      throw new ValueError(
        `DataLoader: { epoch: ${epoch}, position: ${position}, seed: ${seed} } is no state of a loader of ${this.length} batches.\n` +
          `  Give the same data and batch size.`,
      )
    }
    const other = differences(state, this.state())
    if (position > 0 && other.length > 0)
      throw new ValueError(`DataLoader: the state lies within an epoch of other batches: ${other.join(', ')}.\n  Give the same data, batch size and order.`)
    this.#epoch = epoch
    this.#position = position
    this.#seed = seed
    this.#left = false
    this.#current = null
  }

  /** The rest of the epoch. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Batch, void, undefined> {
    if (this.#left) this.#advance()
    const me = (this.#current = {})
    const epoch = this.#epoch
    const batches = this.#source.kind === 'stream' ? this.#streamed(epoch, this.#position) : this.#counted(epoch, this.#position)
    const ahead: Promise<Batch | null>[] = []
    const turn = turns()
    let held: Batch | null = null
    let done = false
    this.#left = true
    try {
      for (;;) {
        while (ahead.length <= this.#options.prefetch) {
          const next = batches()
          // Whoever takes it sees the error; until then it is not unhandled.
          next.catch(() => {})
          ahead.push(next)
        }
        const batch = (await ahead.shift()) as Batch | null
        await turn()
        if (held !== null) disposeBatch(held)
        held = batch
        if (batch === null) break
        if (this.#current === me) this.#position++
        yield batch
      }
      done = true
    } finally {
      if (held !== null) disposeBatch(held)
      for (const pending of ahead)
        pending.then(
          (batch) => {
            if (batch !== null) disposeBatch(batch)
          },
          () => {},
        )
      await batches.close?.()
      if (this.#current === me && done) this.#advance()
    }
  }

  #advance(): void {
    this.#epoch++
    this.#position = 0
    this.#left = false
    this.#current = null
  }

  /** Batches by number. Each call begins the next one; null after the last. */
  #counted(epoch: number, from: number): Batches {
    const { length } = this
    const { kind, data } = this.#source as Exclude<KnownSource, { kind: 'stream' }>
    const size = this.batchSize as number
    const random = seeded(this.#seed, epoch)
    const drawn = this.#options.shuffle ? shuffle(range(data.length), random) : range(data.length)
    const order = this.#options.bucketByLength ? bucketed(drawn, lengthsOf(data), this.batchSize as number, random) : drawn
    let next = from
    return async () => {
      if (next >= length) return null
      const place = next++
      const indices = order.subarray(place * size, Math.min(data.length, (place + 1) * size))
      if (kind === 'dataset') return this.#finish(() => data.rawBatch(indices), epoch, place)
      const samples = await Promise.all(Array.from(indices, (index) => data.get(index)))
      return this.#finish(() => collate(samples, this.#options.labelDType), epoch, place)
    }
  }

  /** Batches of a stream, of which those before `from` are passed over. Only one is read at a time. */
  #streamed(epoch: number, from: number): Batches {
    const stream = this.#source.data as Iterable<Sample> | AsyncIterable<Sample>
    const iterator = Symbol.asyncIterator in stream ? stream[Symbol.asyncIterator]() : stream[Symbol.iterator]()
    let place = 0
    let ended = false
    let last: Promise<unknown> = Promise.resolve()
    const take = async (): Promise<Batch | null> => {
      const samples: Sample[] = []
      const held: Tensor[] = []
      const size = this.batchSize ?? 1
      try {
        while (samples.length < size && !ended) {
          const { done, value } = await iterator.next()
          if (done === true) ended = true
          else {
            leaveToOwner(value)
            // Handles of our own: a generator may dispose of what it gave when it is asked for the next.
            samples.push(aliasOf(value, held))
          }
        }
        if (samples.length === 0 || (samples.length < size && this.#options.dropLast)) return null
        const at = place++
        if (at >= from) {
          const { labelDType } = this.#options
          return this.#finish(() => (this.batchSize === null ? toBatch(samples[0] as Batch, labelDType) : collate(samples, labelDType)), epoch, at)
        }
      } finally {
        for (const alias of held) alias.dispose()
      }
      return take()
    }
    const next: Batches = () => {
      const result = last.then(take)
      last = result.catch(() => {})
      return result
    }
    next.close = async () => {
      await last
      if (!ended) await iterator.return?.()
    }
    return next
  }

  /** Augments, scales and normalises; what is made on the way is freed. */
  #finish(raw: () => Batch, epoch: number, place: number): Batch {
    const { augment } = this.#options
    const data = this.#source.kind === 'dataset' ? this.#source.data : null
    return noGrad(() =>
      scope(() => {
        let batch = raw()
        if (typeof augment === 'object') batch = augmentBatch(batch, augment, [this.#seed, epoch, place])
        if (data !== null) batch = data.prepare(batch)
        if (typeof augment === 'object' && (augment.mixup ?? 0) > 0)
          batch = mixup(batch, augment.mixup as number, data?.classes?.length, [this.#seed, epoch, place])
        return typeof augment === 'function' ? changed(augment(batch)) : batch
      }),
    )
  }
}

/** Steps of each row. @throws ValueError for data that has none of its own */
function lengthsOf(data: unknown): Int32Array {
  const lengths = data instanceof Dataset ? data.rowLengths : null
  if (lengths === null) throw new ValueError('DataLoader: bucketByLength needs a data set with a column of data.ragged inputs.\n  Leave it out, or make the inputs with data.ragged(rows).')
  return lengths
}

/** What of a loader's batches differs from those of a state, in words; states written before this was kept say nothing of it. */
function differences(state: LoaderState, own: LoaderState): string[] {
  return (['samples', 'batchSize', 'shuffle', 'bucketByLength'] as const)
    .filter((name) => state[name] !== undefined && state[name] !== own[name])
    .map((name) => `${name} ${own[name] ?? (name === 'samples' ? 'unknown' : 'null')} here, ${state[name]} there`)
}

/** What a function made of a batch, under handles of the loader's own: what the function holds on to is not the loader's to free. */
function changed(batch: Batch): Batch {
  if (typeof batch !== 'object' || batch === null || !('inputs' in batch) || !('labels' in batch))
    throw new ValueError('augment: the function is to give a batch { inputs, labels }, and at once: it takes one batch and may not be async.')
  return aliasOf({ inputs: batch.inputs, labels: batch.labels })
}

/** Begins the next batch; null after the last. */
type Batches = (() => Promise<Batch | null>) & { close?: () => Promise<void> }

/**
 * What training and evaluation go through: `new DataLoader(source, options)`; a `DataLoader` is given back as it is.
 *
 * ```js
 * data.loader(train, { batchSize: 32, shuffle: true })      // a data set, or { length, get(i) }
 * data.loader(samples, { batchSize: 32 })                   // an (async) iterable of single samples
 * data.loader(batches)                                      // an (async) iterable of whole batches
 * ```
 * @throws ValueError for options beside a `DataLoader`, which has its own
 */
export function loader(source: Source | DataLoader, options: LoaderOptions = {}): DataLoader {
  if (!(source instanceof DataLoader)) return new DataLoader(source, options)
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  if (given.length === 0) return source
  const names = given.map(([name]) => name).join(', ')
  throw new ValueError(`loader: a DataLoader has its own options; ${names} would change nothing.\n  Give ${names} where it is made: new DataLoader(source, { ... }).`)
}
