// The checker of ops: values against a plain float64 reference, gradients and their gradients by central finite differences (PyTorch's gradcheck: eps 1e-6,
// atol 1e-5, rtol 1e-3), every fast path against the float64 one, forward and gradient, and integers exactly.
import { describe, expect, test } from 'vitest'
import { type DType, grad, NoGradientError, noGrad, scope, type Tensor, tensor } from '../ts/index.js'
import { type Layout, relayout } from './layouts.js'
import { type Nd, numel } from './reference.js'
import { expectRan, rowName } from './rows.js'
import { type InputSpec, values } from './values.js'

/** One set of operands. `args` are whatever the op and its reference want besides. */
export interface Case<Args = any> {
  inputs: InputSpec[]
  /** How the float operands lie in memory. */
  layout?: Layout
  args?: Args
}

export interface OpCheck<Args = any> {
  op: (inputs: Tensor[], args: Args) => Tensor | readonly Tensor[]
  /** The same on plain arrays; omit only where `against` composes the op from others. */
  reference: (inputs: Nd[], args: Args) => Nd | readonly Nd[]
  cases: Case<Args>[]
  /** Shapes that reach the vectorised, threaded kernels; float32 is compared with float64 there. */
  large?: Case<Args>[]
  /** Rows of the op table that these cases run besides the one that `name` is. */
  rows?: string[]
  /** Integer and bool dtypes that the first operands take. */
  integers?: DType[]
  /** False where the result has no gradient. */
  gradient?: boolean
  /** 'refused': its gradient has no gradient, and says so. */
  second?: boolean | 'refused'
  /** Relative to the larger of 1, the element and the root mean square. */
  tolerance?: { float64?: number; float32?: number; bfloat16?: number; float16?: number }
}

const EPS = 1e-6
const SAMPLES = 16
const TOLERANCE = { float64: 1e-9, float32: 2e-5, bfloat16: 4e-2, float16: 6e-3 }

/** Declares the tests of one op. A name of the op table in camelCase, or with `rows` any name. */
export function checkOp<Args = any>(name: string, check: OpCheck<Args>): void {
  const { op, reference, cases, large = [], rows = [], integers = [], gradient = true, second = gradient } = check
  const tolerance = { ...TOLERANCE, ...check.tolerance }
  const call = (inputs: Tensor[], args: Args): Tensor[] => [op(inputs, args)].flat() as Tensor[]

  describe(name, () => {
    test('has at least 8 distinct cases', () => {
      expect(new Set(cases.map((c) => JSON.stringify(c))).size).toBeGreaterThanOrEqual(8)
    })

    test('values', () => {
      for (const c of cases) scope(() => {
        const inputs = make(c, 'float64').inputs
        const want = [reference(inputs.map(read), c.args!)].flat() as Nd[]
        call(inputs, c.args!).forEach((y, i) => expectClose(read(y), want[i]!, tolerance.float64, tolerance.float64, label(c)))
      })
    })

    if (gradient) test('gradients by finite differences', () => {
      for (const c of cases) checkGradient(call, c)
    })

    if (gradient && second === true) test('second derivatives by finite differences', () => {
      const some = cases.filter((c) => floatInputs(c).length > 0 && floatInputs(c).every((i) => numel(shapeOf(c.inputs[i]!)) > 0))
      for (const c of some.slice(0, 4)) checkSecond(call, c)
    })
    if (second === 'refused') test('a second derivative is refused', () => {
      scope(() => {
        const { leaves, inputs } = make(cases.find((c) => numel(shapeOf(c.inputs[0]!)) > 0)!, 'float64')
        expect(() => grad([total(call(inputs, cases[0]!.args!))], leaves, { createGraph: true })).toThrow(NoGradientError)
      })
    })

    for (const dtype of ['float32', 'bfloat16', 'float16'] as const) {
      test(`${dtype} against float64, forward and gradient`, () => {
        for (const c of dtype === 'float32' ? [...cases, ...large] : cases) compareDtypes(call, c, dtype, gradient, tolerance[dtype])
      })
    }

    if (integers.length > 0) test(`integers: ${integers.join(', ')}`, () => {
      for (const dtype of integers) for (const c of cases) scope(() => {
        const inputs = make(c, dtype).inputs
        const want = [reference(inputs.map(read), c.args!)].flat() as Nd[]
        call(inputs, c.args!).forEach((y, i) => expectClose(read(y), want[i]!, 1e-6, 1e-6, `${dtype} ${label(c)}`))
      })
    })

    test('ran the rows that it names', () => expectRan([rowName(name), ...rows]))
  })
}

function label(c: Case): string {
  return JSON.stringify({ ...c, inputs: c.inputs.map(shapeOf) })
}

function shapeOf(spec: InputSpec): readonly number[] {
  return Array.isArray(spec) ? spec : (spec as { shape: readonly number[] }).shape
}

function floatInputs(c: Case): number[] {
  return c.inputs.flatMap((spec, i) => (Array.isArray(spec) || !('below' in spec || 'bool' in spec) ? [i] : []))
}

/** The operands: `leaves` are contiguous and take gradients, `inputs` are those in the case's layout. `override` replaces a leaf's numbers. */
function make(c: Case, dtype: DType, override?: { leaf: number; data: number[] }): { leaves: Tensor[]; inputs: Tensor[]; data: number[][] } {
  const floats = floatInputs(c)
  const leaves: Tensor[] = []
  const data: number[][] = []
  const isFloat = dtype.includes('float')
  const inputs = c.inputs.map((spec, i) => {
    const numbers = values(spec, i, dtype)
    const shape = [...shapeOf(spec)]
    if (!floats.includes(i)) return tensor(Int32Array.from(numbers), { shape, dtype: Array.isArray(spec) || !('bool' in spec) ? 'int32' : 'bool' })
    const own = override?.leaf === leaves.length ? override.data : numbers
    const leaf = tensor(Float64Array.from(own), { shape, dtype, requiresGrad: isFloat })
    leaves.push(leaf)
    data.push(own)
    return relayout(leaf, c.layout ?? 'contiguous')
  })
  return { leaves, inputs, data }
}

/** A tensor's elements as plain numbers. */
export function read(x: Tensor): Nd {
  return { shape: x.shape, data: Array.from(x.dataSync() as ArrayLike<number | bigint>, Number) }
}

/** Fixed weights that turn a result into one number, different for each element. */
function weightsFor(shape: readonly number[], salt: number): number[] {
  return Array.from({ length: numel(shape) }, (_, i) => Math.sin(1.7 * i + 0.9 * salt + 0.3) + 0.1)
}

/** Σ w y over all float results. */
function total(ys: readonly Tensor[], salt = 0): Tensor {
  return ys.filter((y) => y.dtype.includes('float')).map((y, i) => y.mul(tensor(Float64Array.from(weightsFor(y.shape, i + salt)), { shape: [...y.shape], dtype: y.dtype })).sum())
    .reduce((a, b) => a.add(b))
}

/** The same in plain numbers. */
function totalOf(ys: readonly Tensor[], salt = 0): number {
  return ys.filter((y) => y.dtype.includes('float')).reduce((outer, y, i) => {
    const w = weightsFor(y.shape, i + salt)
    return read(y).data.reduce((sum, value, j) => sum + value * w[j]!, outer)
  }, 0)
}

type Call = (inputs: Tensor[], args: any) => Tensor[]

/** The gradients of Σ w y with respect to the leaves; null where it does not depend on one. */
function gradients(y: Tensor, leaves: readonly Tensor[]): (Tensor | null)[] {
  for (const leaf of leaves) leaf.grad = null
  y.backward()
  return leaves.map((leaf) => leaf.grad)
}

/** At most SAMPLES places, spread evenly. */
function places(count: number, most = SAMPLES): number[] {
  const step = Math.max(1, count / most)
  return Array.from({ length: Math.min(count, most) }, (_, i) => Math.floor(i * step))
}

/** (f(x + eps) - f(x - eps)) / 2 eps for one element of one leaf. */
function difference(c: Case, data: readonly number[][], leaf: number, at: number, f: (inputs: Tensor[], leaves: Tensor[]) => number): number {
  const side = (by: number): number => scope(() => {
    const moved = [...data[leaf]!]
    moved[at]! += by
    const { inputs, leaves } = make(c, 'float64', { leaf, data: moved })
    return f(inputs, leaves)
  })
  return (side(EPS) - side(-EPS)) / (2 * EPS)
}

function checkGradient(call: Call, c: Case): void {
  scope(() => {
    const { leaves, inputs, data } = make(c, 'float64')
    if (leaves.length === 0) return
    const analytic = gradients(total(call(inputs, c.args)), leaves)
    leaves.forEach((leaf, l) => {
      const g = analytic[l]
      if (g) expect(g.shape, `gradient's shape ${label(c)}`).toEqual(leaf.shape)
      const numbers = g ? read(g).data : data[l]!.map(() => 0)
      for (const at of places(data[l]!.length)) {
        const numeric = difference(c, data, l, at, (x) => noGrad(() => totalOf(call(x, c.args))))
        expectNear(numbers[at]!, numeric, `d/d input ${l} element ${at} of ${label(c)}`)
      }
    })
  })
}

function checkSecond(call: Call, c: Case): void {
  const firstGradients = (inputs: Tensor[], leaves: Tensor[], createGraph: boolean): Tensor[] => {
    const y = total(call(inputs, c.args))
    return (createGraph ? grad([y], leaves, { createGraph, allowUnused: true }) : gradients(y, leaves)).flatMap((g) => (g ? [g] : []))
  }
  scope(() => {
    const { leaves, inputs, data } = make(c, 'float64')
    const first = firstGradients(inputs, leaves, true)
    // A gradient that does not depend on the operands any more: then so must the differences say.
    const analytic = first.some((g) => g.requiresGrad) ? gradients(total(first, 5), leaves) : leaves.map(() => null)
    leaves.forEach((_, l) => {
      const numbers = analytic[l] ? read(analytic[l]).data : data[l]!.map(() => 0)
      for (const at of places(data[l]!.length, 6)) {
        const numeric = difference(c, data, l, at, (x, own) => totalOf(firstGradients(x, own, false), 5))
        expectNear(numbers[at]!, numeric, `second derivative, input ${l} element ${at} of ${label(c)}`)
      }
    })
  })
}

function expectNear(got: number, want: number, what: string): void {
  const near = Math.abs(got - want) <= 1e-5 + 1e-3 * Math.abs(want)
  expect(near, `${what}: analytic ${got}, numeric ${want}`).toBe(true)
}

/** The same numbers, exact in both dtypes, through the fast kernels and through the float64 ones. */
function compareDtypes(call: Call, c: Case, dtype: 'float32' | 'bfloat16' | 'float16', gradient: boolean, tolerance: number): void {
  const results = (run: DType): { ys: Nd[]; gs: Nd[] } => scope(() => {
    const { leaves, inputs } = make({ ...c, inputs: rounded(c, dtype) }, run)
    const ys = call(inputs, c.args)
    const gs = gradient && leaves.length > 0 ? gradients(total(ys), leaves) : []
    return { ys: ys.map(read), gs: gs.flatMap((g) => (g ? [read(g)] : [])) }
  })
  const [fast, plain] = [results(dtype), results('float64')]
  fast.ys.forEach((y, i) => expectClose(y, plain.ys[i]!, tolerance, tolerance, `${dtype} ${label(c)}`))
  fast.gs.forEach((g, i) => expectClose(g, plain.gs[i]!, 4 * tolerance, 4 * tolerance, `${dtype} gradient ${i} ${label(c)}`))
}

/** The operands' numbers rounded to `dtype`. */
function rounded(c: Case, dtype: DType): InputSpec[] {
  const floats = floatInputs(c)
  return c.inputs.map((spec, i) => {
    if (!floats.includes(i)) return spec
    const shape = shapeOf(spec)
    const numbers = scope(() => read(tensor(Float64Array.from(values(spec, i, 'float64')), { shape: [...shape], dtype })).data)
    return { shape, values: numbers }
  })
}

/** Equal shapes, and elements within atol + rtol · max(|want|, rms(want)); NaN equals NaN, and an infinity itself. */
export function expectClose(got: Nd, want: Nd, rtol: number, atol: number, what: string): void {
  expect(got.shape, `shape of ${what}`).toEqual([...want.shape])
  const finite = want.data.filter(Number.isFinite)
  const rms = Math.sqrt(finite.reduce((sum, v) => sum + v * v, 0) / Math.max(1, finite.length))
  const bad = want.data.findIndex((w, i) => {
    const g = got.data[i]!
    if (Number.isNaN(w) || Number.isNaN(g) || !Number.isFinite(w) || !Number.isFinite(g)) return !Object.is(g, w) && !(g === w)
    return Math.abs(g - w) > atol + rtol * Math.max(Math.abs(w), rms)
  })
  if (bad !== -1) expect.fail(`${what}: element ${bad} is ${got.data[bad]}, the reference says ${want.data[bad]}`)
}
