import { recordAll } from '../autograd.js'
import { ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import type { RecurrentResult } from './gru.js'
import { bothBiases, present, project, type RecurrentOptions, refuseMaskGradient, refuseSecond, weightGradient } from './recurrent.js'

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
    const projected = project(x, weightIh, bothBiases(biasIh, biasHh), inputMask)
    const [output, hidden, previous] = run.rnn(projected, weightHh, h0, lengths, mask, recurrentMask, reverse, relu)
    const optional = present({ lengths, mask, recurrentMask })
    recordAll([output, hidden], {
      op: 'rnn',
      inputs: [projected, weightHh, ...present({ h0 }).tensors],
      saved: [weightHh, output, previous, ...optional.tensors],
      backward: ([doutput = null, dhidden = null], weight, output, previous, ...kept) => {
        refuseSecond('rnn')
        const { lengths, mask, recurrentMask } = optional.of(kept)
        const [dprojected, dh0] = run.rnnGrad(doutput, dhidden, weight!, output!, lengths, mask, recurrentMask, reverse, relu)
        return [() => dprojected, () => weightGradient(dprojected, previous!), ...(h0 === null ? [] : [() => dh0])]
      },
    })
    return { output, hidden }
  })
}
