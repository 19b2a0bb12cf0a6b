import { recordAll } from '../autograd.js'
import { ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import type { RecurrentResult } from './gru.js'
import { factored, present, type RecurrentOptions, refuseMaskGradient, refuseSecond } from './recurrent.js'
import { tracked } from './support.js'

/** Options of {@link rnn}. */
export interface RnnOptions extends RecurrentOptions {
  /** 'tanh' (the default) or 'relu'. */
  nonlinearity?: 'tanh' | 'relu'
}

/**
 * One plain recurrent layer in one direction, all steps in one call: h_t = f(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), f tanh or ReLU.
 * x [N, T, I], weightIh [H, I], weightHh [H, H]. PyTorch: `torch.nn.RNN`, `batch_first`. A length outside of 0..=T is a late IndexError.
 * @throws ShapeError, ValueError for another nonlinearity; NoGradientError for a second derivative, or that of recurrentMask
 * @example const { output, hidden } = rnn(x, weightIh, weightHh, { nonlinearity: 'relu' })
 */
export function rnn(
  x: Tensor,
  weightIh: Tensor,
  weightHh: Tensor,
  { biasIh = null, biasHh = null, h0 = null, lengths = null, mask = null, inputMask = null, recurrentMask = null, reverse = false, nonlinearity = 'tanh' }: RnnOptions = {},
): RecurrentResult {
  if (nonlinearity !== 'tanh' && nonlinearity !== 'relu') {
    throw new ValueError(`rnn: nonlinearity is 'tanh' or 'relu', got '${String(nonlinearity)}'.`, { op: 'rnn' })
  }
  const relu = nonlinearity === 'relu'
  refuseMaskGradient('rnn', recurrentMask)
  return scope(() => {
    const { x: input, inputMask: factors } = factored(x, inputMask)
    const operands = present({ biasIh, biasHh, h0 })
    const [output, hidden] = run.rnn(input, weightIh, weightHh, biasIh, biasHh, h0, lengths, mask, factors, recurrentMask, reverse, relu)
    const optional = present({ h0, lengths, mask, inputMask: factors, recurrentMask })
    const inputGrad = tracked(input)
    recordAll([output, hidden], {
      op: 'rnn',
      inputs: [input, weightIh, weightHh, ...operands.tensors],
      saved: [input, weightIh, weightHh, output, ...optional.tensors],
      backward: ([doutput = null, dhidden = null], x, weightIh, weightHh, output, ...kept) => {
        refuseSecond('rnn')
        const { h0, lengths, mask, inputMask, recurrentMask } = optional.of(kept)
        const [dx, dweightIh, dweightHh, dbias, dh0] = run.rnnGrad(
          doutput, dhidden, x!, weightIh!, weightHh!, output!, h0, lengths, mask, inputMask, recurrentMask, reverse, relu, inputGrad,
        )
        return [() => dx, () => dweightIh, () => dweightHh, ...operands.pick({ biasIh: () => dbias, biasHh: () => dbias, h0: () => dh0 })]
      },
    })
    return { output, hidden }
  })
}
