import { isGradEnabled } from '../autograd.js'
import { captureContext } from '../context.js'
import { type DType, dtypeCode, RANGES } from '../dtype.js'
import { CaptureError, ShapeError, ValueError } from '../errors.js'
import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'

/** A tensor's sizes. */
export type Shape = readonly number[]

/**
 * `dim` counted from the front; negative dims count from the end. `extra` is 1 where a place between dimensions is meant (unsqueeze,
 * stack).
 */
export function axis(op: string, dim: number, x: Tensor, extra = 0): number {
  const rank = x.ndim + extra
  const normal = dim < 0 ? dim + rank : dim
  // A scalar takes dim 0 and -1, as in PyTorch.
  if (rank === 0 && (dim === 0 || dim === -1)) return 0
  if (!Number.isInteger(dim) || normal < 0 || normal >= rank) {
    throw new ValueError(`${op}: dim ${dim} does not exist.\n  x ${show(x.shape)}\n  Use a dim from ${-rank} to ${rank - 1}.`, {
      op,
      shapes: [x.shape],
    })
  }
  return normal
}

/** The dims of a reduction, counted from the front, without repeats; none given means all of them. */
export function axes(op: string, dims: number | Shape | null | undefined, x: Tensor): number[] {
  const list = dims === null || dims === undefined ? [] : typeof dims === 'number' ? [dims] : dims
  if (list.length === 0) return x.shape.map((_, i) => i)
  const normal = list.map((dim) => axis(op, dim, x))
  if (new Set(normal).size !== normal.length)
    throw new ValueError(`${op}: dims ${show(list)} name a dimension twice.`, { op, shapes: [x.shape] })
  return x.ndim === 0 ? [] : normal
}

/** What the op table takes as `dims`: a list, in which an empty one means all. */
export function dimList(dims: number | Shape | null | undefined): Shape {
  return dims === null || dims === undefined ? [] : typeof dims === 'number' ? [dims] : dims
}

/** Whether two shapes are equal. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i])
}

/** The number of elements of a shape. */
export function numel(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1)
}

/** The shape that all of `shapes` broadcast to. */
export function broadcastShapes(op: string, ...shapes: Shape[]): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length))
  return Array.from({ length: rank }, (_, i) => {
    let size = 1
    for (const shape of shapes) {
      const own = shape[i - rank + shape.length] ?? 1
      if (own === 1 || own === size) continue
      if (size !== 1)
        throw new ShapeError(`${op}: shapes ${shapes.map(show).join(' and ')} do not broadcast. Sizes must match or be 1.`, { op, shapes })
      size = own
    }
    return size
  })
}

/** A shape as messages write it. */
export function show(shape: Shape): string {
  return `[${shape.join(', ')}]`
}

/** One number for both of height and width, or the two of them. */
export function pair(op: string, name: string, value: number | Shape): [number, number] {
  if (typeof value === 'number') return [value, value]
  if (value.length !== 2) throw new ValueError(`${op}: ${name} takes a number or [height, width], got [${value.join(', ')}].`, { op })
  return [value[0]!, value[1]!]
}

/** Gradients flow through what is made of this tensor now. */
export function tracked(x: Tensor): boolean {
  return x.requiresGrad && isGradEnabled()
}

/** A compiled function cannot wait for a value. */
export function refuseCapture(op: string, wayOut: string): void {
  if (captureContext() === null) return
  throw new CaptureError(`${op}: the size of its result depends on values, which a compiled function does not see.\n  ${wayOut}`, { op })
}

/** Throws where an integer dtype does not hold `value`: stored there, it would be truncated, wrap around or saturate in silence. */
export function checkHeld(op: string, dtype: DType, value: number): void {
  const range = RANGES[dtype]
  if (range === undefined) return
  const whole = Number.isInteger(value)
  if (whole && value >= range[0] && value <= range[1]) return
  const fault = whole ? `does not fit ${dtype}, which holds ${range[0]} to ${range[1]}` : `is no ${dtype}`
  const wider = whole && Math.abs(value) < 2 ** 63 ? 'int64' : 'float32'
  throw new ValueError(`${op}: ${value} ${fault}.\n  Convert the tensor first, x.to('${wider}'), or give another number.`, { op })
}

/** As {@link checkHeld}, for a number that computes with x: a fraction makes the result float32, so that only whole numbers can be amiss. */
export function checkScalar(op: string, x: Tensor, value: number): void {
  // What is no tensor is the op's to refuse.
  if (Number.isInteger(value)) checkHeld(op, x?.dtype, value)
}

/**
 * A number as a tensor of no dimensions, in the dtype that `like` would give it: its own, but float32 for a fraction beside integers.
 * @throws ValueError for a whole number that `like`'s integer dtype does not hold
 */
export function scalarLike(op: string, like: Tensor | null, value: number | Tensor, device: Tensor = like!): Tensor {
  if (typeof value !== 'number') return value
  const whole = Number.isInteger(value)
  if (like !== null) checkScalar(op, like, value)
  const dtype =
    like === null ? 'float32' : FLOATS.has(like.dtype) || (whole && like.dtype !== 'bool') ? like.dtype : whole ? 'int64' : 'float32'
  return run.full([], dtypeCode(dtype), value, device._device)
}

const FLOATS: ReadonlySet<DType> = new Set<DType>(['float32', 'float64', 'bfloat16', 'float16'])
