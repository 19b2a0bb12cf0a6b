import { recordAll } from '../autograd.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { type LstmVariants, lstmVariants } from './lstm-variants.js'
import { factored, present, type RecurrentOptions, refuseMaskGradient, refuseSecond } from './recurrent.js'
import { tracked } from './support.js'

/** Options of {@link lstm}. */
export interface LstmOptions extends RecurrentOptions, LstmVariants {
  /** The cell before the first step, [N, H]. Default zeros. */
  c0?: Tensor | null
}

/** What {@link lstm} gives; with `weightHr` h is [N, P]. */
export interface LstmResult {
  /** h of every step, [N, T, H]. */
  output: Tensor
  /** h after each row's last step, [N, H]. */
  hidden: Tensor
  /** c after each row's last step, [N, H]. */
  cell: Tensor
}

/**
 * One layer of LSTM in one direction, all steps in one call: [i, f, g, o] = W_ih x_t + b_ih + W_hh h_{t-1} + b_hh,
 * c_t = σ(f) c_{t-1} + σ(i) tanh(g), h_t = σ(o) tanh(c_t). x [N, T, I], weightIh [4 H, I], weightHh [4 H, H], gates in PyTorch's order.
 * PyTorch: `torch.nn.LSTM`, `batch_first`. A length outside of 0..=T is a late IndexError. With projections, peepholes and normalised sums as
 * {@link LstmVariants} says.
 * @throws ShapeError; NoGradientError for a second derivative, or that of recurrentMask
 * @example const { output, hidden } = lstm(x, weightIh, weightHh, { biasIh, biasHh, lengths })
 */
export function lstm(
  x: Tensor,
  weightIh: Tensor,
  weightHh: Tensor,
  {
    biasIh = null, biasHh = null, h0 = null, c0 = null, lengths = null, mask = null, inputMask = null, recurrentMask = null, reverse = false,
    weightHr = null, peephole = null, normIh = null, normHh = null, normC = null, biasC = null,
  }: LstmOptions = {},
): LstmResult {
  refuseMaskGradient('lstm', recurrentMask)
  return scope(() => {
    const variants = { weightHr, peephole, normIh, normHh, normC, biasC }
    if (Object.values(variants).some((given) => given !== null)) {
      return lstmVariants(x, weightIh, weightHh, { biasIh, biasHh, h0, c0, lengths, mask, inputMask, recurrentMask, reverse, ...variants })
    }
    const { x: input, inputMask: factors } = factored(x, inputMask)
    const operands = present({ biasIh, biasHh, h0, c0 })
    const inputs = [input, weightIh, weightHh, ...operands.tensors]
    const [output, hidden, cell, saved, cells] = run.lstm(input, weightIh, weightHh, biasIh, biasHh, h0, c0, lengths, mask, factors, recurrentMask, reverse, inputs.some(tracked))
    const optional = present({ h0, c0, lengths, mask, inputMask: factors, recurrentMask })
    const inputGrad = tracked(input)
    recordAll([output, hidden, cell], {
      op: 'lstm',
      inputs,
      saved: [input, weightIh, weightHh, output, saved, cells, ...optional.tensors],
      backward: ([doutput = null, dhidden = null, dcell = null], x, weightIh, weightHh, output, saved, cells, ...kept) => {
        refuseSecond('lstm')
        const { h0, c0, lengths, mask, inputMask, recurrentMask } = optional.of(kept)
        const [dx, dweightIh, dweightHh, dbias, dh0, dc0] = run.lstmGrad(
          doutput, dhidden, dcell, x!, weightIh!, weightHh!, output!, saved!, cells!, h0, c0, lengths, mask, inputMask, recurrentMask, reverse, inputGrad,
        )
        return [() => dx, () => dweightIh, () => dweightHh, ...operands.pick({ biasIh: () => dbias, biasHh: () => dbias, h0: () => dh0, c0: () => dc0 })]
      },
    })
    return { output, hidden, cell }
  })
}
