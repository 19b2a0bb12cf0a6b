// Operands of a case as tensors, and back.
import { type DType, scope, type Tensor, tensor } from '../ts/index.js'
import { type Layout, relayout } from './layouts.js'
import type { Nd } from './reference.js'
import { type InputSpec, values } from './values.js'

/** One set of operands. `args` are whatever the op and its reference want besides. */
export interface Case<Args = any> {
  inputs: InputSpec[]
  /** How the float operands lie in memory. */
  layout?: Layout
  args?: Args
}

/** A case as a message names it. */
export function label(c: Case): string {
  return JSON.stringify({ ...c, inputs: c.inputs.map(shapeOf) })
}

/** The shape of an operand. */
export function shapeOf(spec: InputSpec): readonly number[] {
  return Array.isArray(spec) ? spec : (spec as { shape: readonly number[] }).shape
}

/** Which operands are floats: those that gradients may be asked of. */
export function floatInputs(c: Case): number[] {
  return c.inputs.flatMap((spec, i) => (Array.isArray(spec) || !('below' in spec || 'bool' in spec) ? [i] : []))
}

/**
 * The operands: `leaves` are contiguous and take gradients, `inputs` are those in the case's layout. `override` replaces a leaf's numbers.
 */
export function make(
  c: Case,
  dtype: DType,
  override?: { leaf: number; data: number[] },
): { leaves: Tensor[]; inputs: Tensor[]; data: number[][] } {
  const floats = floatInputs(c)
  const leaves: Tensor[] = []
  const data: number[][] = []
  const isFloat = dtype.includes('float')
  const inputs = c.inputs.map((spec, i) => {
    const given = values(spec, i, dtype)
    const shape = [...shapeOf(spec)]
    if (!floats.includes(i))
      return tensor(Int32Array.from(given), { shape, dtype: Array.isArray(spec) || !('bool' in spec) ? 'int32' : 'bool' })
    const own = override?.leaf === leaves.length ? override.data : given
    const leaf = tensor(Float64Array.from(own), { shape, dtype, requiresGrad: isFloat })
    leaves.push(leaf)
    data.push(own)
    return relayout(leaf, c.layout ?? 'contiguous')
  })
  return { leaves, inputs, data }
}

/** A tensor's elements as plain numbers. */
export function numbers(x: Tensor): number[] {
  const data = x.dataSync()
  // Without a function to apply, Array.from is an order of magnitude faster.
  return data instanceof BigInt64Array ? Array.from(data, Number) : Array.from(data)
}

/** The same with its shape. */
export function read(x: Tensor): Nd {
  return { shape: x.shape, data: numbers(x) }
}

/** The operands' numbers rounded to `dtype`. */
export function rounded(c: Case, dtype: DType): InputSpec[] {
  const floats = floatInputs(c)
  return c.inputs.map((spec, i) => {
    if (!floats.includes(i)) return spec
    const shape = shapeOf(spec)
    return { shape, values: scope(() => numbers(tensor(Float64Array.from(values(spec, i, 'float64')), { shape: [...shape], dtype }))) }
  })
}
