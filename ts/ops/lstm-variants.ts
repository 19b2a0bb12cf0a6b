import { zeros } from '../create.js'
import type { Tensor } from '../tensor.js'
import { split, stack, unbind } from './concat.js'
import { layerNorm } from './layer-norm.js'
import { linear } from './linear.js'
import type { LstmOptions, LstmResult } from './lstm.js'
import { bothBiases, project } from './recurrent.js'
import { checkOperands } from './recurrent-shapes.js'
import { bySteps, countedSteps } from './recurrent-steps.js'

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
  const { biasIh, biasHh, c0, h0, lengths, mask, inputMask, recurrentMask, weightHr, peephole, normIh, normHh, normC, biasC } = options
  const h = Math.floor((weightIh.shape[0] ?? 0) / 4)
  const units = weightHr?.shape[0] ?? h
  checkOperands('lstm', 4, x, units, h, { weightIh, weightHh, biasIh, biasHh, h0, c0, lengths, mask, inputMask, recurrentMask, weightHr, peephole, normIh, normHh, normC, biasC })
  const [n, t] = x.shape as [number, number]
  const normed = (sums: Tensor, weight: Tensor | null): Tensor => (weight === null ? sums : layerNorm(sums, 4 * h, { weight }))
  const bias = bothBiases(biasIh, biasHh)
  const counted = countedSteps(x, options)
  const inputs = normIh === null ? project(counted, weightIh, bias, inputMask) : plus(normed(project(counted, weightIh, null, inputMask), normIh), bias)
  // All at once: a step's own gradient by itself would come with zeros for all other steps.
  const now = unbind(inputs, 1)
  const peepholes = peephole === null ? [] : split(peephole, h)
  const peep = (sum: Tensor, at: number, c: Tensor): Tensor => (peephole === null ? sum : sum.add(c.mul(peepholes[at]!)))
  const zero = (width: number): Tensor => zeros([n, width], { dtype: x.dtype as 'float32', device: x.device })
  const { outputs, states: [hidden, cell] } = bySteps(t, [h0 ?? zero(units), c0 ?? zero(h)] as const, options, (at, [before, c]) => {
    const entering = recurrentMask === null ? before : before.mul(recurrentMask)
    const [sumI, sumF, sumG, sumO] = split(now[at]!.add(normed(linear(entering, weightHh), normHh)), h, -1) as [Tensor, Tensor, Tensor, Tensor]
    const [i, f] = [peep(sumI, 0, c).sigmoid(), peep(sumF, 1, c).sigmoid()]
    const next = f.mul(c).add(i.mul(sumG.tanh()))
    const o = peep(sumO, 2, next).sigmoid()
    const seen = normC === null ? plus(next, biasC) : layerNorm(next, h, { weight: normC, bias: biasC })
    const out = o.mul(seen.tanh())
    return [weightHr === null ? out : linear(out, weightHr), next]
  })
  return { output: t === 0 ? inputs.slice(2, 0, units) : stack(outputs, 1), hidden, cell }
}

function plus(x: Tensor, bias: Tensor | null): Tensor {
  return bias === null ? x : x.add(bias)
}
