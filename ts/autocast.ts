// Mixed precision: products in bfloat16, what rounding would spoil in float32, parameters in float32 as they are. The policy stands in one
// table, applied where ops are called from outside: as methods (attach.ts), as functions (explain.ts, pointwise-table.ts), by layers (nn/ops.ts, nn/loss.ts).
import { record } from './autograd.js'
import { dtypeCode, type FloatDType, isFloat } from './dtype.js'
import { ValueError } from './errors.js'
import { run } from './native/run.js'
import { looksLikeOptions } from './op-options.js'
import type * as ops from './ops/index.js'
import { settle } from './options.js'
import { synchronous, unscoped } from './scope.js'
import { late, Tensor } from './tensor.js'

/** What an op makes of its float32, bfloat16 and float16 operands: bfloat16, float32, or the widest of them, where the op itself wants one dtype. */
export type Policy = 'bfloat16' | 'float32' | 'widest'

/**
 * THE table. An op without a row runs in the dtype that it gets, and promotes to the widest where two meet, as ever; one that is made of others
 * (einsum, of matmul and sum) follows theirs. An operand of float64 leaves the call as it is; integers stay integers.
 */
export const POLICIES: { readonly [K in keyof typeof ops]?: Policy } = {
  // Sums of many products: the kernels add them up in float32, and the operands are half the memory.
  linear: 'bfloat16', matmul: 'bfloat16', mm: 'bfloat16', bmm: 'bfloat16', mv: 'bfloat16', dot: 'bfloat16', addmm: 'bfloat16',
  conv1d: 'bfloat16', conv2d: 'bfloat16', conv2dPool: 'bfloat16', convTranspose1d: 'bfloat16', convTranspose2d: 'bfloat16',
  lstm: 'bfloat16', gru: 'bfloat16', rnn: 'bfloat16',
  // Small differences of large numbers, and sums: 8 bits are too few for the result.
  softmax: 'float32', logSoftmax: 'float32', softmin: 'float32', crossEntropy: 'float32', ctcLoss: 'float32',
  batchNorm: 'float32', layerNorm: 'float32', rmsNorm: 'float32', groupNorm: 'float32', instanceNorm: 'float32',
  sum: 'float32', sumTo: 'float32', mean: 'float32', prod: 'float32', cumsum: 'float32', cumprod: 'float32', trace: 'float32',
  var: 'float32', std: 'float32', logsumexp: 'float32', norm: 'float32', dist: 'float32', normalize: 'float32', cosineSimilarity: 'float32',
  // What turns an error of the operand into a larger one of the result.
  exp: 'float32', exp2: 'float32', expm1: 'float32', log: 'float32', log1p: 'float32', log2: 'float32', log10: 'float32',
  pow: 'float32', rpow: 'float32', rdiv: 'float32', reciprocal: 'float32', rsqrt: 'float32',
  sinh: 'float32', cosh: 'float32', tan: 'float32', asin: 'float32', acos: 'float32',
  softplus: 'float32', logSigmoid: 'float32', logaddexp: 'float32', logit: 'float32', xlogy: 'float32',
  // The kernels take one dtype alone.
  scatter: 'widest', scatterAdd: 'widest',
}

const rows: ReadonlyMap<string, Policy> = new Map(Object.entries(POLICIES))

/** The op's row. */
export function policyOf(op: string): Policy | undefined {
  return rows.get(op)
}

/** Options of {@link autocast}. */
export interface AutocastOptions {
  /** What products take their float32 operands as. Only 'bfloat16', the default: float16 would want a loss scaler. */
  dtype?: 'bfloat16'
  /** False switches autocast off, inside one that is on. Default true. */
  enabled?: boolean
}

/**
 * Runs `fn` in mixed precision: products and convolutions take float32 operands as bfloat16, add up in float32 and give bfloat16; softmax,
 * losses, normalisations, sums and powers take bfloat16 operands as float32; all else runs in the dtype it gets. Parameters and their gradients
 * stay float32. `backward` may stand inside or outside. PyTorch: `torch.autocast('cpu', torch.bfloat16)`.
 * @throws ValueError for another dtype, ScopeError for an async function
 * @example const loss = autocast(() => nn.crossEntropy(model.forward(x), labels))
 */
export function autocast<T>(fn: () => T, options: AutocastOptions = {}): T {
  const { dtype, enabled } = settle('autocast', options, { dtype: 'bfloat16', enabled: true })
  if (dtype !== 'bfloat16') throw wrongDType(dtype)
  if (typeof enabled !== 'boolean') throw new ValueError(`autocast: enabled is true or false, got ${shown(enabled)}.`, { op: 'autocast' })
  return withAutocast(enabled, () => synchronous('autocast', fn))
}

function wrongDType(dtype: unknown): ValueError {
  const way = dtype === 'float16'
    ? 'float16 loses small gradients without a loss scaler, which there is none of here. bfloat16 has float32\'s range: leave dtype out.'
    : 'Leave it out; to compute in another dtype throughout, convert the model: model.to(\'float64\').'
  return new ValueError(`autocast: dtype is 'bfloat16', got ${shown(dtype)}.\n  ${way}`, { op: 'autocast' })
}

const shown = (value: unknown): string => (typeof value === 'string' ? `'${value}'` : String(value))

/** @internal Whether the table applies. All that an op pays for while it does not. */
export let autocasting: boolean = false
/** Inside the outermost `autocast`: the bfloat16 values of leaves, each cast once. */
let casts: Map<Tensor, { value: Tensor; version: number }> | null = null

/** True inside {@link autocast}. PyTorch: `torch.is_autocast_enabled`. */
export function isAutocastEnabled(): boolean {
  return autocasting
}

/** @internal Sets the mode; answers with the one before. */
export function setAutocasting(on: boolean): boolean {
  const before = autocasting
  autocasting = on
  return before
}

/** @internal Runs `fn` in that mode. With `apart` it shares no casts with what stands around it: a step that is being recorded makes its own. */
export function withAutocast<T>(on: boolean, fn: () => T, apart = false): T {
  const [modeBefore, castsBefore] = [autocasting, casts]
  autocasting = on
  if (apart || casts === null) casts = new Map()
  try {
    return fn()
  } finally {
    if (casts !== castsBefore) forgetCasts()
    autocasting = modeBefore
    casts = castsBefore
  }
}

/** @internal Drops the casts made so far: parameters are about to be written by what raises no versions. */
export function forgetCasts(): void {
  if (casts === null) return
  for (const { value } of casts.values()) value.dispose()
  casts.clear()
}

/** Whether autocast changes a tensor's dtype. */
export function castable(x: Tensor): boolean {
  return x.dtype !== 'float64' && isFloat(x.dtype)
}

/**
 * Makes a call under its policy: its tensors, and the operands among its options, are cast. What the op is made of runs with autocast
 * off, so that its dtype is decided here alone.
 */
export function underPolicy<R>(policy: Policy, call: (...args: any[]) => R, args: ArrayLike<unknown>): R {
  const made: Tensor[] = []
  const list = Array.from(args)
  const dtype = targetOf(policy, list.flatMap(operandsIn))
  const converted = (value: unknown): unknown => {
    if (!(value instanceof Tensor) || dtype === null || value.dtype === dtype || !castable(value)) return value
    made.push(castTo(value, dtype))
    return made.at(-1)
  }
  const before = setAutocasting(false)
  let result: R | undefined
  try {
    result = call(...list.map((value) => (looksLikeOptions(value) ? withOperands(value as object, converted) : converted(value))))
    return result
  } finally {
    setAutocasting(before)
    // The graph and views hold references of their own.
    for (const tensor of made) if (tensor !== result) tensor.dispose()
  }
}

/** The op as a function that follows its row; for callers that check the arguments themselves. */
export function following<F extends (...args: any[]) => unknown>(name: keyof typeof POLICIES, op: F): F {
  const policy = POLICIES[name] as Policy
  // Arguments by name: a rest parameter would cost an array a call.
  const follower = (x: unknown, a?: unknown, b?: unknown, c?: unknown, d?: unknown): unknown =>
    autocasting ? underPolicy(policy, op, [x, a, b, c, d]) : op(x, a, b, c, d)
  return follower as unknown as F
}

/** The dtype that a policy gives the operands; null leaves them as they are. */
function targetOf(policy: Policy, operands: readonly Tensor[]): FloatDType | null {
  if (operands.some(({ dtype }) => dtype === 'float64')) return null
  if (policy !== 'widest') return policy
  const dtypes = new Set(operands.filter(castable).map(({ dtype }) => dtype))
  return dtypes.size > 1 ? 'float32' : null
}

/** Options that are operands. Others stay: running statistics are written in place. */
const OPERANDS = ['weight', 'bias', 'residual', 'biasIh', 'biasHh', 'h0', 'c0', 'inputMask', 'recurrentMask', 'weightHr', 'peephole', 'normIh', 'normHh', 'normC', 'biasC']

function operandsIn(value: unknown): Tensor[] {
  if (value instanceof Tensor) return [value]
  return looksLikeOptions(value) ? OPERANDS.flatMap((name) => operandsIn((value as Record<string, unknown>)[name])) : []
}

function withOperands(options: object, converted: (value: unknown) => unknown): object {
  return Object.fromEntries(Object.entries(options).map(([name, value]) => [name, OPERANDS.includes(name) ? converted(value) : value]))
}

/** x in another dtype; its gradient comes back in its own. */
function castTo(x: Tensor, dtype: FloatDType): Tensor {
  const from = x.dtype
  const isLeaf = x._node === null && x.requiresGrad
  // Each use is a node of its own, so that the gradients of a weight that is used often are added up in float32.
  const y = isLeaf && casts !== null && dtype === 'bfloat16' ? run.reshape(valueOf(x, casts), x.shape) : run.cast(x, dtypeCode(dtype))
  return record(y, { op: 'autocast', inputs: [x], saved: [], backward: (dy) => [() => late.cast(dy, from)] })
}

/** A leaf's bfloat16 values, of the first use or since it was last written. They outlive the scopes inside the region. */
function valueOf(x: Tensor, region: NonNullable<typeof casts>): Tensor {
  const version = x._base._version
  const found = region.get(x)
  if (found?.version === version) return found.value
  found?.value.dispose()
  const value = unscoped(() => run.cast(x, dtypeCode('bfloat16')))
  region.set(x, { value, version })
  return value
}
