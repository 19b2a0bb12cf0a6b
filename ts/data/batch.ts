// One batch of samples.
import type { Tensor } from '../index.js'
import { isTensor } from './column.js'

/** A tensor, or several by name for models that take a record. */
export type Inputs = Tensor | Record<string, Tensor>

/** One batch: tensors with one row a sample. */
export interface Batch {
  /** A tensor [N, ...], or a record of them. */
  inputs: any
  /** Class numbers int32 [N], or targets [N, ...]. */
  labels: any
}

/** The tensors of inputs, one or many. */
export function* tensorsOf(value: unknown): Generator<Tensor> {
  if (isTensor(value)) yield value
  else if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) yield* tensorsOf(item)
}

/** The same values under handles of its own: freeing them leaves the tensors themselves alone. `made` is told of each handle. */
export function aliasOf<T>(value: T, made: Tensor[] = []): T {
  if (isTensor(value)) {
    const alias = value.detach()
    made.push(alias)
    return alias as T
  }
  if (!isRecord(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, aliasOf(item, made)])) as T
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

/**
 * Tensors that a source gave are its own: it may hold them and give them again. Nobody else frees them, so that one made on the way is the
 * garbage collector's, which is meant and no reason to warn.
 */
export function leaveToOwner(value: unknown): void {
  if (isTensor(value)) {
    if (!value.disposed && value._scope === null) value._leaveScope()
  } else if (isRecord(value)) for (const item of Object.values(value)) leaveToOwner(item)
}

/** Frees all tensors of a batch. */
export function disposeBatch(batch: Batch): void {
  for (const value of tensorsOf(batch)) if (!value.disposed) value.dispose()
}
