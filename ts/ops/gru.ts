import { recordAll } from '../autograd.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { factored, present, type RecurrentOptions, refuseMaskGradient, refuseSecond } from './recurrent.js'
import { tracked } from './support.js'

/** Options of {@link gru}. */
export interface GruOptions extends RecurrentOptions {
  /**
   * Whether r multiplies what the recurrent weight gives (true, the default, as in PyTorch and Keras), or the state that enters it (false, as in
   * Cho et al. 2014, Keras' `reset_after=False` and ONNX' `linear_before_reset=0`).
   */
  resetAfter?: boolean
}

/** What {@link gru} and `rnn` give. */
export interface RecurrentResult {
  /** h of every step, [N, T, H]. */
  output: Tensor
  /** h after each row's last step, [N, H]. */
  hidden: Tensor
}

/**
 * One layer of GRU in one direction, all steps in one call: r, z = σ(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh),
 * n = tanh(W_in x_t + b_in + r (W_hn h_{t-1} + b_hn)), h_t = (1 - z) n + z h_{t-1}. x [N, T, I], weightIh [3 H, I], weightHh [3 H, H], gates in
 * PyTorch's order r, z, n. PyTorch: `torch.nn.GRU`, `batch_first`; Keras: `GRU(reset_after=True)`. With `resetAfter: false`,
 * n = tanh(W_in x_t + b_in + W_hn (r h_{t-1}) + b_hn). A length outside of 0..=T is a late IndexError.
 * @throws ShapeError; NoGradientError for a second derivative, or that of recurrentMask
 * @example const { output, hidden } = gru(x, weightIh, weightHh, { biasIh, biasHh, lengths })
 */
export function gru(
  x: Tensor,
  weightIh: Tensor,
  weightHh: Tensor,
  { biasIh = null, biasHh = null, h0 = null, lengths = null, mask = null, inputMask = null, recurrentMask = null, reverse = false, resetAfter = true }: GruOptions = {},
): RecurrentResult {
  refuseMaskGradient('gru', recurrentMask)
  return scope(() => {
    const { x: input, inputMask: factors } = factored(x, inputMask)
    const operands = present({ biasIh, biasHh, h0 })
    const inputs = [input, weightIh, weightHh, ...operands.tensors]
    const [output, hidden, saved] = run.gru(input, weightIh, weightHh, biasIh, biasHh, h0, lengths, mask, factors, recurrentMask, reverse, !resetAfter, inputs.some(tracked))
    const optional = present({ h0, lengths, mask, inputMask: factors, recurrentMask })
    const inputGrad = tracked(input)
    recordAll([output, hidden], {
      op: 'gru',
      inputs,
      saved: [input, weightIh, weightHh, output, saved, ...optional.tensors],
      backward: ([doutput = null, dhidden = null], x, weightIh, weightHh, output, saved, ...kept) => {
        refuseSecond('gru')
        const { h0, lengths, mask, inputMask, recurrentMask } = optional.of(kept)
        const [dx, dweightIh, dweightHh, dbiasIh, dbiasHh, dh0] = run.gruGrad(
          doutput, dhidden, x!, weightIh!, weightHh!, output!, saved!, h0, lengths, mask, inputMask, recurrentMask, reverse, !resetAfter, inputGrad,
        )
        return [() => dx, () => dweightIh, () => dweightHh, ...operands.pick({ biasIh: () => dbiasIh, biasHh: () => dbiasHh, h0: () => dh0 })]
      },
    })
    return { output, hidden }
  })
}
