// The shapes of recurrent operands, for what is made of single ops; kernels have rules of their own.
import { DTypeError, ShapeError } from '../errors.js'
import type { Tensor } from '../tensor.js'

/** Operands by name; which there are differs from op to op. */
export type Operands = Readonly<Record<string, Tensor | null>>

/** Of those that are not numbers like x. */
const DTYPES: Readonly<Record<string, string>> = { lengths: 'int32', mask: 'bool' }

/** @throws ShapeError where x is no batch of sequences or an operand does not fit, DTypeError for lengths and masks of others */
export function checkOperands(op: string, gates: number, x: Tensor, units: number, hidden: number, operands: Operands): void {
  if (x.ndim !== 3) throw new ShapeError(`${op}: x must be [N, T, I], got [${x.shape.join(', ')}].\n  Add the batch dimension with x.unsqueeze(0).`, { op, shapes: [x.shape] })
  const [n, t, features] = x.shape as [number, number, number]
  const out = operands.weightHr ? 'P' : 'H'
  const expected: Readonly<Record<string, readonly [said: string, shape: readonly number[]]>> = {
    weightIh: [`[${gates} H, I]`, [gates * hidden, features]],
    weightHr: ['[P, H]', [units, hidden]],
    weightHh: [`[${gates} H, ${out}]`, [gates * hidden, units]],
    ...Object.fromEntries(['biasIh', 'biasHh', 'normIh', 'normHh'].map((name) => [name, [`[${gates} H]`, [gates * hidden]]])),
    normC: ['[H]', [hidden]],
    biasC: ['[H]', [hidden]],
    peephole: ['[3 H]', [3 * hidden]],
    h0: [`[N, ${out}]`, [n, units]],
    recurrentMask: [`[N, ${out}]`, [n, units]],
    c0: ['[N, H]', [n, hidden]],
    inputMask: ['[N, I]', [n, features]],
    lengths: ['int32 [N]', [n]],
    mask: ['bool [N, T]', [n, t]],
  }
  const letters = `N = ${n}, T = ${t}, I = ${features}, H = ${hidden}${out === 'P' ? `, P = ${units}` : ''}`
  for (const [name, [said, shape]] of Object.entries(expected)) {
    const found = operands[name] ?? null
    if (found === null) continue
    if (found.shape.join() !== shape.join()) {
      throw new ShapeError(`${op}: ${name} must be ${said} = [${shape.join(', ')}], got [${found.shape.join(', ')}].\n  x [${x.shape.join(', ')}], ${letters}`, { op, shapes: [x.shape, found.shape] })
    }
    const own = DTYPES[name]
    const dtype = own ?? x.dtype
    if (found.dtype !== dtype) throw new DTypeError(`${op}: ${name} must be ${own ?? `${dtype}, as x is`}, got ${found.dtype}.\n  Convert it with .to('${dtype}').`, { op })
  }
}
