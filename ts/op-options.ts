// What each op takes as options. The ops themselves read their options by name, so that a misspelt name, or an object where a number belongs,
// would be passed over in silence: whoever calls an op from outside goes through here first.
import { ValueError } from './errors.js'
import type { Generator } from './random.js'
import type * as ops from './ops/index.js'
import { checkOptions } from './options.js'
import type { Tensor } from './tensor.js'

type Ops = typeof ops
/** The options among an op's arguments: plain objects. Indices of `at` look like options and are none: it checks them itself. */
type OptionsOf<Argument> = Argument extends Tensor | Generator | readonly unknown[] | string | number | boolean | null | undefined ? never : Argument
type OptionsOfOp<K extends keyof Ops> = K extends 'at' ? never : Ops[K] extends (...args: infer Arguments) => unknown ? OptionsOf<Arguments[number]> : never
/** An op without its line here, or a line that lacks a name, does not compile. */
type Table = { readonly [K in keyof Ops as [OptionsOfOp<K>] extends [never] ? never : K]: readonly [place: number, names: { readonly [Name in keyof OptionsOfOp<K>]-?: true }] }

const reduction = { keepdim: true } as const
const variance = { keepdim: true, correction: true, unbiased: true } as const
const bounded = { size: true, fill: true } as const
const affine = { weight: true, bias: true, eps: true } as const
const order = { descending: true } as const
const closeness = { rtol: true, atol: true, equalNan: true } as const
const convolution = { stride: true, padding: true, dilation: true, groups: true } as const
const activated = { ...convolution, activation: true } as const
const transposed = { ...convolution, outputPadding: true } as const
const maxPool = { stride: true, padding: true, dilation: true, ceilMode: true } as const
const recurrent = {
  biasIh: true, biasHh: true, h0: true, lengths: true, mask: true, inputMask: true, recurrentMask: true, reverse: true,
} as const
const avgPool = { stride: true, padding: true, ceilMode: true, countIncludePad: true } as const

/** For each op with options: which argument they are, the tensor being argument 0, and their names. */
const TABLE: Table = {
  sum: [2, reduction],
  mean: [2, reduction],
  prod: [2, reduction],
  amax: [2, reduction],
  amin: [2, reduction],
  max: [2, reduction],
  min: [2, reduction],
  argmax: [2, reduction],
  argmin: [2, reduction],
  any: [2, reduction],
  all: [2, reduction],
  logsumexp: [2, reduction],
  median: [2, reduction],
  norm: [3, reduction],
  var: [2, variance],
  std: [2, variance],
  sort: [2, order],
  argsort: [2, order],
  topk: [3, { largest: true }],
  nonzero: [1, bounded],
  unique: [1, bounded],
  maskedSelect: [2, bounded],
  isclose: [2, closeness],
  allclose: [2, closeness],
  addmm: [3, { alpha: true, beta: true }],
  nanToNum: [1, { nan: true, posinf: true, neginf: true }],
  normalize: [1, { p: true, dim: true, eps: true }],
  pad: [2, { mode: true, value: true }],
  oneHot: [2, { dtype: true }],
  embedding: [2, { paddingIdx: true }],
  ctcDecode: [2, { blank: true, beamWidth: true, batchFirst: true }],
  ctcLoss: [4, { blank: true, reduction: true, zeroInfinity: true, batchFirst: true }],
  crossEntropy: [2, { weight: true, ignoreIndex: true, labelSmoothing: true, reduction: true }],
  batchNorm: [1, {
    weight: true, bias: true, runningMean: true, runningVar: true, numBatches: true, training: true, momentum: true, eps: true,
    residual: true, activation: true,
  }],
  layerNorm: [2, affine],
  rmsNorm: [2, { weight: true, eps: true }],
  groupNorm: [2, affine],
  instanceNorm: [1, affine],
  linear: [3, { activation: true }],
  lstm: [3, { ...recurrent, c0: true, weightHr: true, peephole: true, normIh: true, normHh: true, normC: true, biasC: true }],
  gru: [3, { ...recurrent, resetAfter: true }],
  rnn: [3, { ...recurrent, nonlinearity: true }],
  quantizedLinear: [3, { xScale: true, xZeroPoint: true, bias: true, activation: true }],
  conv1d: [3, activated],
  conv2d: [3, activated],
  conv2dPool: [4, activated],
  convTranspose1d: [3, transposed],
  convTranspose2d: [3, transposed],
  maxPool1d: [2, maxPool],
  maxPool2d: [2, maxPool],
  avgPool1d: [2, avgPool],
  avgPool2d: [2, avgPool],
  augment: [1, { flip: true, pad: true, cutout: true, brightness: true, contrast: true, saturation: true, generator: true }],
}

/** What those do who come with a word of PyTorch's for which there is none here. */
const INSTEAD: Readonly<Record<string, string>> = {
  div: 'For whole quotients there are a.floorDivide(b), and a.div(b).trunc().',
  round: 'For decimals: x.mul(100).round().div(100).',
}

const ROWS: ReadonlyMap<string, readonly [place: number, names: object]> = new Map(Object.entries(TABLE))
const NO_OPTIONS: readonly [number, object] = [Infinity, {}]

/** Where the options of `op` stand among its arguments, the tensor being argument 0; Infinity where it has none. */
export function optionsPlace(op: string): number {
  return (ROWS.get(op) ?? NO_OPTIONS)[0]
}

/** Whether an argument looks like options: a plain object. The one test that every call pays for. */
export function looksLikeOptions(argument: unknown): boolean {
  return typeof argument === 'object' && argument !== null && (argument.constructor === Object || argument.constructor === undefined)
}

/**
 * Throws where an argument is a plain object that `op` does not take there, or its options are no object of its names. `skipped` is 1 for a
 * method's arguments, which lack the tensor.
 * @throws ValueError naming the op, the option and the nearest known one
 */
export function checkArguments(op: string, fn: Function, args: ArrayLike<unknown>, skipped: 0 | 1): void {
  if (op === 'at') return
  const [first, names] = ROWS.get(op) ?? NO_OPTIONS
  const place = first - skipped
  for (let i = 0; i < args.length; i++) {
    if (i === place) checkOptions(op, args[i], names)
    else if (looksLikeOptions(args[i])) throw misplaced(op, fn, args[i] as object, first)
  }
}

function misplaced(op: string, fn: Function, given: object, place: number): ValueError {
  const text = `{ ${Object.keys(given).join(', ')} }`
  // The source text is there for messages alone: "(x, slope = 0.01)" says more than a reference to the documentation.
  const parameters = /^[^(]*\(([^(){}]*)\)/.exec(String(fn))?.[1]?.replaceAll(/\s+/g, ' ').trim()
  const way = place !== Infinity
    ? `Options are argument ${place}, counting the tensor as 0: give undefined for what is left out before them.`
    : INSTEAD[op] ?? (parameters === undefined ? 'It takes no options.' : `Its arguments stand one after another: ${op}(${parameters}).`)
  return new ValueError(`${op}: cannot take the object ${text} there.\n  ${way}`, { op })
}
