import { zeros } from '../create.js'
import { ShapeError } from '../errors.js'
import type { Tensor } from '../tensor.js'
import { stack } from './concat.js'
import { layerNorm } from './layer-norm.js'
import { linear } from './linear.js'
import type { LstmOptions, LstmResult } from './lstm.js'
import { bothBiases, project } from './recurrent.js'
import { bySteps } from './recurrent-steps.js'

/** What makes an LSTM another than the one that has a kernel. */
export interface LstmVariants {
  /** [P, H]: h_t = W_hr (σ(o) tanh(c_t)), fewer units than cells (Sak et al. 2014); weightHh is [4 H, P] then, h0 [N, P]. PyTorch: `proj_size`. */
  weightHr?: Tensor | null
  /** [3 H]: factors of c_{t-1} in the sums of i and f, and of c_t in that of o, in this order (Gers et al. 2002; ONNX' `P` has i, o, f). */
  peephole?: Tensor | null
  /** [4 H]: W_ih x_t is normalised over all its sums and multiplied by these, before the biases (Ba et al. 2016). */
  normIh?: Tensor | null
  /** [4 H]: the same of W_hh h_{t-1}. */
  normHh?: Tensor | null
  /** [H]: c_t is normalised on its way into the output, and multiplied by these. */
  normC?: Tensor | null
  /** [H]: added to c_t on its way into the output, behind its normalisation. */
  biasC?: Tensor | null
}

/** The options of `lstm`, none left open. */
type Settled = Required<LstmOptions>

/** `lstm` with projections, peepholes or normalised sums. */
export function lstmVariants(x: Tensor, weightIh: Tensor, weightHh: Tensor, options: Settled): LstmResult {
  const { biasIh, biasHh, c0, h0, inputMask, recurrentMask, weightHr, peephole, normIh, normHh, normC, biasC } = options
  const h = Math.floor((weightIh.shape[0] ?? 0) / 4)
  const units = weightHr?.shape[0] ?? h
  const [n, t] = x.shape as [number, number]
  checkShapes(x, h, units, { weightIh, weightHh, ...options })
  const normed = (sums: Tensor, weight: Tensor | null): Tensor => (weight === null ? sums : layerNorm(sums, 4 * h, { weight }))
  const bias = bothBiases(biasIh, biasHh)
  const inputs = normIh === null ? project(x, weightIh, bias, inputMask) : plus(normed(project(x, weightIh, null, inputMask), normIh), bias)
  const block = (of: Tensor, at: number): Tensor => of.slice(-1, at * h, (at + 1) * h)
  const peep = (sum: Tensor, at: number, c: Tensor): Tensor => (peephole === null ? sum : sum.add(c.mul(block(peephole, at))))
  const zero = (width: number): Tensor => zeros([n, width], { dtype: x.dtype as 'float32', device: x.device })
  const { outputs, states: [hidden, cell] } = bySteps(t, [h0 ?? zero(units), c0 ?? zero(h)] as const, options, (at, [before, c]) => {
    const entering = recurrentMask === null ? before : before.mul(recurrentMask)
    const sums = inputs.select(1, at).add(normed(linear(entering, weightHh), normHh))
    const [i, f] = [peep(block(sums, 0), 0, c).sigmoid(), peep(block(sums, 1), 1, c).sigmoid()]
    const next = f.mul(c).add(i.mul(block(sums, 2).tanh()))
    const o = peep(block(sums, 3), 2, next).sigmoid()
    const seen = normC === null ? plus(next, biasC) : layerNorm(next, h, { weight: normC, bias: biasC })
    const out = o.mul(seen.tanh())
    return [weightHr === null ? out : linear(out, weightHr), next]
  })
  return { output: t === 0 ? inputs.slice(2, 0, units) : stack(outputs, 1), hidden, cell }
}

function plus(x: Tensor, bias: Tensor | null): Tensor {
  return bias === null ? x : x.add(bias)
}

/** The rules that the kernel's row has, and those of the operands it lacks. */
function checkShapes(x: Tensor, h: number, units: number, given: Settled & { weightIh: Tensor; weightHh: Tensor }): void {
  const [n, t, features] = x.shape
  const letters = `N = ${n}, T = ${t}, I = ${features}, H = ${h}, P = ${units}`
  const need = (name: keyof typeof given, said: string, shape: readonly (number | undefined)[]): void => {
    const found = given[name] as Tensor | null
    if (found === null || found.shape.join() === shape.join()) return
    throw new ShapeError(`lstm: ${name} must be ${said} = [${shape.join(', ')}], got [${found.shape.join(', ')}].\n  x [${x.shape.join(', ')}], ${letters}`, { op: 'lstm', shapes: [x.shape, found.shape] })
  }
  if (x.ndim !== 3) throw new ShapeError(`lstm: x must be [N, T, I], got [${x.shape.join(', ')}].\n  Add the batch dimension with x.unsqueeze(0).`, { op: 'lstm', shapes: [x.shape] })
  need('weightIh', '[4 H, I]', [4 * h, features])
  need('weightHr', '[P, H]', [units, h])
  need('weightHh', given.weightHr === null ? '[4 H, H]' : '[4 H, P]', [4 * h, units])
  for (const name of ['biasIh', 'biasHh', 'normIh', 'normHh'] as const) need(name, '[4 H]', [4 * h])
  for (const name of ['normC', 'biasC'] as const) need(name, '[H]', [h])
  need('peephole', '[3 H]', [3 * h])
  for (const name of ['h0', 'recurrentMask'] as const) need(name, given.weightHr === null ? '[N, H]' : '[N, P]', [n, units])
  need('c0', '[N, H]', [n, h])
  need('inputMask', '[N, I]', [n, features])
  need('lengths', 'int32 [N]', [n])
  need('mask', 'bool [N, T]', [n, t])
}
