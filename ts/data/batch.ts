// One batch of samples.
import type { Tensor } from '../index.js'
import { isTensor } from './column.js'

/** A tensor, or several by name for models that take a record. */
export type Inputs = Tensor | Record<string, Tensor>

/** One batch: tensors with one row a sample. */
export interface Batch {
  inputs: any
  labels: any
}

/** The tensors of inputs, one or many. */
export function* tensorsOf(value: unknown): Generator<Tensor> {
  if (isTensor(value)) yield value
  else if (typeof value === 'object' && value !== null) for (const item of Object.values(value)) yield* tensorsOf(item)
}

/** Frees all tensors of a batch. */
export function disposeBatch(batch: Batch): void {
  for (const value of tensorsOf(batch)) if (!value.disposed) value.dispose()
}
