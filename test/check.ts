// The checker of ops: values against a plain float64 reference, gradients and their gradients by central finite differences (PyTorch's
// gradcheck: eps 1e-6, atol 1e-5, rtol 1e-3), every fast path against the float64 one, forward and gradient, and integers exactly.
import { describe, expect, test } from 'vitest'
import { type DType, grad, NoGradientError, scope, type Tensor } from '../ts/index.js'
import { expectClose } from './close.js'
import { type Call, checkGradient, checkSecond, gradients, total } from './differences.js'
import { type Case, floatInputs, label, make, read, rounded, shapeOf } from './operands.js'
import { type Nd, numel } from './reference.js'
import { expectRan, rowName } from './rows.js'

export { type Case, numbers, read, shapeOf } from './operands.js'

export interface OpCheck<Args = any> {
  op: (inputs: Tensor[], args: Args) => Tensor | readonly Tensor[]
  /** The same on plain arrays. */
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
      for (const c of cases)
        scope(() => {
          const inputs = make(c, 'float64').inputs
          const want = [reference(inputs.map(read), c.args!)].flat() as Nd[]
          call(inputs, c.args!).forEach((y, i) => expectClose(read(y), want[i]!, tolerance.float64, tolerance.float64, label(c)))
        })
    })

    if (gradient)
      test('gradients by finite differences', () => {
        for (const c of cases) checkGradient(call, c)
      })

    if (gradient && second === true)
      test('second derivatives by finite differences', () => {
        const some = cases.filter((c) => floatInputs(c).length > 0 && floatInputs(c).every((i) => numel(shapeOf(c.inputs[i]!)) > 0))
        for (const c of some.slice(0, 4)) checkSecond(call, c)
      })
    if (second === 'refused')
      test('a second derivative is refused', () => {
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

    if (integers.length > 0)
      test(`integers: ${integers.join(', ')}`, () => {
        for (const dtype of integers)
          for (const c of cases)
            scope(() => {
              const inputs = make(c, dtype).inputs
              const want = [reference(inputs.map(read), c.args!)].flat() as Nd[]
              call(inputs, c.args!).forEach((y, i) => expectClose(read(y), want[i]!, 1e-6, 1e-6, `${dtype} ${label(c)}`))
            })
      })

    test('ran the rows that it names', () => expectRan([rowName(name), ...rows]))
  })
}

/** The same numbers, exact in both dtypes, through the fast kernels and through the float64 ones. */
function compareDtypes(call: Call, c: Case, dtype: 'float32' | 'bfloat16' | 'float16', gradient: boolean, tolerance: number): void {
  const results = (run: DType): { ys: Nd[]; gs: Nd[] } =>
    scope(() => {
      const { leaves, inputs } = make({ ...c, inputs: rounded(c, dtype) }, run)
      const ys = call(inputs, c.args)
      const gs = gradient && leaves.length > 0 ? gradients(total(ys), leaves) : []
      return { ys: ys.map(read), gs: gs.flatMap((g) => (g ? [read(g)] : [])) }
    })
  const [fast, plain] = [results(dtype), results('float64')]
  fast.ys.forEach((y, i) => expectClose(y, plain.ys[i]!, tolerance, tolerance, `${dtype} ${label(c)}`))
  fast.gs.forEach((g, i) => expectClose(g, plain.gs[i]!, 4 * tolerance, 4 * tolerance, `${dtype} gradient ${i} ${label(c)}`))
}
