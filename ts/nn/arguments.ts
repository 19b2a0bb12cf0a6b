// What the constructors of layers take: checked where a layer is made, so that a mistake does not wait for the first batch.
import { autocasting, castable } from '../autocast.js'
import { isFloat } from '../dtype.js'
import { DTypeError, ValueError } from '../errors.js'
import { kindOf } from '../explain.js'
import type { Tensor } from '../tensor.js'

/** One number for both dimensions, or [height, width]. */
export type Pair = number | readonly [number, number]

type Named = Readonly<Record<string, unknown>>

/** Throws unless every named value is an integer of at least `least`. */
export function integers(layer: string, values: Named, least: number = -Infinity): void {
  for (const [name, value] of Object.entries(values)) {
    if (!Number.isInteger(value) || (value as number) < least) throw wrong(layer, name, integerOf(least), value)
  }
}

/** Throws unless every named value is a positive integer. */
export function positive(layer: string, values: Named): void {
  integers(layer, values, 1)
}

/** Throws unless every named value is a finite number from `low` to `high`. */
export function numbers(layer: string, values: Named, low: number = -Infinity, high: number = Infinity): void {
  for (const [name, value] of Object.entries(values)) {
    if (typeof value === 'number' && Number.isFinite(value) && value >= low && value <= high) continue
    const range = high !== Infinity ? `a number from ${low} to ${high}` : low === -Infinity ? 'a finite number' : `a finite number of at least ${low}`
    throw wrong(layer, name, range, value)
  }
}

/** Throws unless every named value is a finite number above 0. */
export function aboveZero(layer: string, values: Named): void {
  for (const [name, value] of Object.entries(values)) {
    if (!(typeof value === 'number' && value > 0 && value < Infinity)) throw wrong(layer, name, 'a finite number above 0', value)
  }
}

/** Throws unless every named value is true or false. */
export function switches(layer: string, values: Named): void {
  for (const [name, value] of Object.entries(values)) if (typeof value !== 'boolean') throw wrong(layer, name, 'true or false', value)
}

/** [height, width] of one number or two. @throws ValueError unless they are integers of at least `least` */
export function pair(layer: string, name: string, value: Pair, least: number): [number, number] {
  const both: unknown = typeof value === 'number' ? [value, value] : value
  if (Array.isArray(both) && both.length === 2 && both.every((n) => Number.isInteger(n) && n >= least)) return [both[0], both[1]]
  throw wrong(layer, name, `${integerOf(least)}, or [height, width]`, value)
}

/**
 * Throws unless `value` is a border: an integer of at least 0, or as many of them as one of `lengths` says (a name of it for the message
 * each), or one of `words`.
 */
export function border(layer: string, value: unknown, lengths: Readonly<Record<number, string>>, words: readonly string[] = []): void {
  const sizes: unknown[] = typeof value === 'number' ? [value] : Array.isArray(value) && value.length in lengths ? value : [NaN]
  if (words.includes(value as string) || sizes.every((n) => Number.isInteger(n) && (n as number) >= 0)) return
  const forms = [integerOf(0), ...Object.values(lengths), ...words.map((word) => `'${word}'`)]
  throw wrong(layer, 'padding', forms.length === 1 ? integerOf(0) : `${forms.slice(0, -1).join(', ')} or ${forms.at(-1)}`, value)
}

function integerOf(least: number): string {
  return least === -Infinity ? 'an integer' : least === 1 ? 'a positive integer' : `an integer of at least ${least}`
}

/**
 * Throws unless a layer's input has its weights' dtype. The rule of the product asks for one dtype too, but cannot know that the weights are
 * not what should change.
 */
export function sameDType(layer: string, x: Tensor, weight: Tensor): void {
  if (x.dtype === weight.dtype || (autocasting && castable(x) && castable(weight))) return
  const model = isFloat(x.dtype) ? `, or the layer with layer.to('${x.dtype}')` : ''
  throw new DTypeError(`${layer}: the input [${x.shape.join(', ')}] is ${x.dtype}, the weights are ${weight.dtype}.\n  Convert the input with x.to('${weight.dtype}')${model}.`, {
    op: layer, shapes: [x.shape],
  })
}

/** The error for an argument of a layer. */
export function wrong(layer: string, name: string, expected: string, value: unknown): ValueError {
  return new ValueError(`${layer}: ${name} must be ${expected}, not ${kindOf(value)}`, { op: layer })
}
