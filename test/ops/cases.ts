// Case sets that many ops share.
import type { DType, Tensor } from '../../ts/index.js'
import { checkOp, type Case, type OpCheck } from '../check.js'
import { map } from '../reference.js'
import type { Kind } from '../values.js'

/** Shapes and strides for a function of one operand: a scalar, odd sizes, every layout, nothing at all. */
export function unaryCases(kind: Kind = 'normal', args?: unknown): Case[] {
  const of = (shape: number[], layout?: Case['layout']): Case => ({
    inputs: [{ shape, values: kind }],
    ...(layout && { layout }),
    ...(args !== undefined && { args }),
  })
  return [
    of([]),
    of([1]),
    of([37]),
    of([3, 5]),
    of([3, 5], 'transposed'),
    of([4, 6], 'sliced'),
    of([2, 3, 4], 'offset'),
    of([3, 4], 'expanded'),
    of([0]),
    of([2, 0, 3]),
  ]
}

/** Enough elements for several tasks and a ragged end. */
export function largeUnary(kind: Kind = 'normal', args?: unknown): Case[] {
  return [{ inputs: [{ shape: [131, 523], values: kind }], ...(args !== undefined && { args }) }]
}

/** Broadcasting of every sort, strides, nothing at all. */
export function binaryCases(left: Kind = 'normal', right: Kind = 'normal'): Case[] {
  const of = (a: number[], b: number[], layout?: Case['layout']): Case => ({
    inputs: [
      { shape: a, values: left },
      { shape: b, values: right },
    ],
    ...(layout && { layout }),
  })
  return [
    of([], []),
    of([37], [37]),
    of([3, 5], [5]),
    of([3, 1], [1, 4]),
    of([2, 3, 4], [3, 1]),
    of([], [2, 3]),
    of([4, 6], [4, 6], 'transposed'),
    of([4, 6], [6], 'sliced'),
    of([3, 4], [3, 4], 'expanded'),
    of([2, 3], [2, 3], 'offset'),
    of([0, 3], [3]),
    of([2, 0], [1, 0]),
  ]
}

type UnaryOptions = Partial<OpCheck> & { kind?: Kind }

/** checkOp of y = f(x), element by element. */
export function checkUnary(
  name: string,
  op: (x: Tensor) => Tensor,
  f: (x: number) => number,
  { kind = 'normal', ...rest }: UnaryOptions = {},
): void {
  checkOp(name, { op: ([x]) => op(x!), reference: ([x]) => map(f, x!), cases: unaryCases(kind), large: largeUnary(kind), ...rest })
}

type BinaryOptions = Partial<OpCheck> & { left?: Kind; right?: Kind }

/** checkOp of y = f(a, b), element by element, with broadcasting. */
export function checkBinary(
  name: string,
  op: (a: Tensor, b: Tensor) => Tensor,
  f: (a: number, b: number) => number,
  { left = 'normal', right = 'normal', ...rest }: BinaryOptions = {},
): void {
  checkOp(name, {
    op: ([a, b]) => op(a!, b!),
    reference: ([a, b]) => map(f, a!, b!),
    cases: binaryCases(left, right),
    large: [
      {
        inputs: [
          { shape: [131, 523], values: left },
          { shape: [523], values: right },
        ],
      },
    ],
    ...rest,
  })
}

/** checkOp of y = f(x, c), c a number: the op's scalar row. */
export function checkScalar(
  name: string,
  op: (x: Tensor, c: number) => Tensor,
  f: (x: number, c: number) => number,
  { kind = 'normal', c = 1.5, ...rest }: UnaryOptions & { c?: number } = {},
): void {
  checkOp(name, {
    op: ([x], args) => op(x!, args ?? c),
    reference: ([x], args) => map((v) => f(v, args ?? c), x!),
    cases: unaryCases(kind),
    large: largeUnary(kind),
    ...rest,
  })
}

export const INTEGERS: DType[] = ['int64', 'int32', 'uint8', 'int8']
