import { recordAll } from '../autograd.js'
import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'
import type { LstmOptions, LstmResult } from './lstm.js'
import { bothBiases, factored, present, refuseSecond } from './recurrent.js'
import { tracked } from './support.js'

/** What makes an LSTM another than the common one. */
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
  const { h0, c0, lengths, mask, recurrentMask, reverse, weightHr, peephole, normIh, normHh, normC, biasC } = options
  const { x: input, inputMask } = factored(x, options.inputMask)
  const bias = bothBiases(options.biasIh, options.biasHh)
  const learnt = present({ weightHr, peephole, normIh, normHh, normC, biasC, bias, h0, c0 })
  const inputs = [input, weightIh, weightHh, ...learnt.tensors]
  const [output, hidden, cell, saved, cells] = run.lstmVariant(
    input, weightIh, weightHh, weightHr, peephole, normIh, normHh, normC, biasC, bias, h0, c0, lengths, mask, inputMask, recurrentMask, reverse, inputs.some(tracked),
  )
  const optional = present({ weightHr, peephole, normIh, normHh, normC, biasC, h0, c0, lengths, mask, inputMask, recurrentMask })
  const inputGrad = tracked(input)
  recordAll([output, hidden, cell], {
    op: 'lstm',
    inputs,
    saved: [input, weightIh, weightHh, output, saved, cells, ...optional.tensors],
    backward: ([doutput = null, dhidden = null, dcell = null], x, weightIh, weightHh, output, saved, cells, ...kept) => {
      refuseSecond('lstm')
      const { weightHr, peephole, normIh, normHh, normC, biasC, h0, c0, lengths, mask, inputMask, recurrentMask } = optional.of(kept)
      const [dx, dweightIh, dweightHh, dweightHr, dpeephole, dnormIh, dnormHh, dnormC, dbiasC, dbias, dh0, dc0] = run.lstmVariantGrad(
        doutput, dhidden, dcell, x!, weightIh!, weightHh!, weightHr, peephole, normIh, normHh, normC, biasC, output!, saved!, cells!,
        h0, c0, lengths, mask, inputMask, recurrentMask, reverse, inputGrad,
      )
      return [
        () => dx, () => dweightIh, () => dweightHh,
        ...learnt.pick({
          weightHr: () => dweightHr, peephole: () => dpeephole, normIh: () => dnormIh, normHh: () => dnormHh, normC: () => dnormC, biasC: () => dbiasC,
          bias: () => dbias, h0: () => dh0, c0: () => dc0,
        }),
      ]
    },
  })
  return { output, hidden, cell }
}
