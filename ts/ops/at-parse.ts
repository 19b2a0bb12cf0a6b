import { IndexError, ValueError } from '../errors.js'
import { kindOf } from '../explain.js'
import { checkOptions } from '../options.js'
import type { Tensor } from '../tensor.js'
import { show } from './support.js'

/**
 * One index of `x.at(...)`. A string is a slice 'start:stop:step' in which each part may be missing, or '...' for all dimensions not named.
 */
export type Index = number | string | null | readonly [number | null, number | null] | SliceIndex | Tensor

/** The elements start, start + step, ... before stop, as in Python: negative numbers count from the end, a negative step runs backwards. */
export interface SliceIndex {
  /** The first element; null for the end that the step comes from. */
  start?: number | null
  /** The element before which it ends; null for the other end. */
  stop?: number | null
  /** From one element to the next; 1 if left out, negative to run backwards. */
  step?: number | null
}

/** What an index does: it takes one entry, a range (`flip`: read backwards), entries that a tensor names, or adds a dimension. */
export type Step =
  | { kind: 'entry'; index: number }
  | { kind: 'range'; start: number; length: number; step: number; flip: boolean }
  | { kind: 'tensor'; index: Tensor }
  | { kind: 'axis' }

/** The steps of `indices` on x: '...' spelt out, and one for each dimension. */
export function parse(x: Tensor, indices: readonly Index[]): Step[] {
  const named = indices.filter((index) => index !== null && index !== '...').length
  if (named > x.ndim)
    throw new IndexError(`at: ${named} indices for shape ${show(x.shape)}, which has ${x.ndim} dimensions.`, {
      op: 'at',
      shapes: [x.shape],
    })
  if (indices.filter((index) => index === '...').length > 1) throw new ValueError("at: '...' may stand once.", { op: 'at' })
  const place = indices.indexOf('...')
  const whole: Index[] = Array<Index>(x.ndim - named).fill(':')
  const list = place === -1 ? [...indices, ...whole] : [...indices.slice(0, place), ...whole, ...indices.slice(place + 1)]
  let dim = 0
  return list.map((index) => (index === null ? { kind: 'axis' } : one(x, dim++, index)))
}

function one(x: Tensor, dim: number, index: Exclude<Index, null>): Step {
  const n = x.shape[dim]!
  if (typeof index === 'number') {
    if (!Number.isInteger(index) || index < -n || index >= n) {
      throw new IndexError(`at: index ${index} is out of range for dim ${dim} of shape ${show(x.shape)}. Use ${-n} to ${n - 1}.`, {
        op: 'at',
        shapes: [x.shape],
      })
    }
    return { kind: 'entry', index: index < 0 ? index + n : index }
  }
  if (typeof index === 'string') return range(n, fromText(index))
  if (Array.isArray(index)) {
    if (index.length !== 2)
      throw new ValueError(`at: an array is [start, stop], got ${index.length} numbers. For a list of places use a tensor.`, { op: 'at' })
    return range(n, { start: index[0], stop: index[1] })
  }
  if (isTensor(index)) return { kind: 'tensor', index }
  if (typeof index !== 'object' || ArrayBuffer.isView(index)) {
    throw new ValueError(
      `at: dim ${dim} cannot be indexed by ${kindOf(index)}.\n  An index is a number, 'start:stop:step', [start, stop], { start, stop, step }, null, '...' or a tensor.`,
      { op: 'at', shapes: [x.shape] },
    )
  }
  checkOptions('at', index, { start: true, stop: true, step: true })
  return range(n, index as SliceIndex)
}

function isTensor(index: unknown): index is Tensor {
  return typeof index === 'object' && index !== null && 'dtype' in index && 'shape' in index
}

function fromText(text: string): SliceIndex {
  const parts = text.split(':')
  if (parts.length < 2 || parts.length > 3 || parts.some((part) => !/^\s*([+-]?\d+)?\s*$/.test(part))) {
    throw new ValueError(`at: '${text}' is no slice. Write 'start:stop' or 'start:stop:step', each part optional, or '...'.`, { op: 'at' })
  }
  const [start, stop, step] = parts.map((part) => (part.trim() === '' ? null : Number(part)))
  return { start: start ?? null, stop: stop ?? null, step: step ?? null }
}

/** Python's rules for start, stop and step over n elements. */
function range(n: number, { start, stop, step }: SliceIndex): Step {
  const by = step ?? 1
  if (!Number.isInteger(by) || by === 0) throw new ValueError(`at: step must be a whole number other than 0, got ${by}.`, { op: 'at' })
  const place = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value < 0 ? value + n : value))
  if (by > 0) {
    const from = place(start ?? 0, 0, n)
    return { kind: 'range', start: from, length: Math.max(0, Math.ceil((place(stop ?? n, 0, n) - from) / by)), step: by, flip: false }
  }
  const from = place(start ?? n - 1, -1, n - 1)
  const to = stop === null || stop === undefined ? -1 : place(stop, -1, n - 1)
  const length = Math.max(0, Math.ceil((from - to) / -by))
  // The same elements counted upwards, and then reversed.
  return { kind: 'range', start: length === 0 ? 0 : from + (length - 1) * by, length, step: -by, flip: true }
}
