// The one map from Keras' recurrent weights to ours: there matrices are [features, G H], a GRU's gates go z, r, h, and its bias is [2, 3 H].
import { ShapeError, ValueError } from '../errors.js'
import { noGrad } from '../autograd.js'
import { assign_ } from '../ops/assign.js'
import { concat } from '../ops/concat.js'
import { scope } from '../scope.js'
import { kindOf, noTensor } from '../explain.js'
import { Tensor } from '../tensor.js'
import { Bidirectional } from './bidirectional.js'
import { GRU } from './gru.js'
import { LSTM } from './lstm.js'
import type { Recurrent } from './recurrent.js'
import { RNN } from './rnn.js'

/** For each of our gates, which of Keras' it is. */
const GATES = (layer: Recurrent): readonly number[] => (layer instanceof LSTM ? [0, 1, 2, 3] : layer instanceof GRU ? [1, 0, 2] : [0])

/**
 * Puts the weights of a Keras layer, as `layer.get_weights()` gives them, into a recurrent layer of ours: [kernel, recurrent_kernel, bias] of `LSTM`
 * (gates i, f, c, o), `GRU` (z, r, h; `resetAfter` as its reset_after) or `SimpleRNN`; of `Bidirectional`, those of both directions one after the other, into
 * an `nn.Bidirectional`, or a layer with `bidirectional: true`, which gives what Keras' gives but for masked steps: there it carries the state on, Keras has 0.
 * @throws ShapeError where they do not fit; ValueError for a layer of several layers, and for what are no tensors
 * @example loadKerasWeights(new nn.LSTM(128, 64), [kernel, recurrentKernel, bias])
 */
export function loadKerasWeights<L extends LSTM | GRU | RNN | Bidirectional>(layer: L, weights: readonly Tensor[]): L {
  if (!Array.isArray(weights)) throw new ValueError(`loadKerasWeights: takes the list of tensors that get_weights() gave, got ${kindOf(weights)}.`, { op: 'loadKerasWeights' })
  weights.forEach((array: unknown, i) => {
    if (!(array instanceof Tensor)) throw noTensor('loadKerasWeights', `array ${i}`, array)
  })
  if (layer instanceof Bidirectional) {
    const first = arraysOf(layer.ahead)
    load(layer.ahead, weights.slice(0, first))
    load(layer.back, weights.slice(first))
  } else if (layer instanceof LSTM || layer instanceof GRU || layer instanceof RNN) {
    load(layer, weights)
  } else {
    throw new ValueError(`loadKerasWeights: takes an LSTM, GRU, RNN or Bidirectional, got ${kindOf(layer)}.`, { op: 'loadKerasWeights' })
  }
  return layer
}

/** How many arrays Keras has for a layer. */
function arraysOf({ bidirectional, bias }: Recurrent): number {
  return (bidirectional ? 2 : 1) * (bias ? 3 : 2)
}

function load(layer: LSTM | GRU | RNN, weights: readonly Tensor[]): void {
  const name = layer.constructor.name
  if (layer.numLayers !== 1) throw new ValueError(`loadKerasWeights: a Keras layer is one layer, this ${name} has ${layer.numLayers}.\n  Load each into one of its own.`, { op: 'loadKerasWeights' })
  if (layer instanceof LSTM && (layer.projSize > 0 || layer.peephole || layer.layerNorm)) {
    throw new ValueError('loadKerasWeights: Keras has no LSTM with projections, peepholes or normalised sums.\n  Load into one without.', { op: 'loadKerasWeights' })
  }
  const places = layer.bidirectional ? ['L0', 'L0Reverse'] : ['L0']
  const each = layer.bias ? 3 : 2
  if (weights.length !== arraysOf(layer)) {
    throw new ShapeError(`loadKerasWeights: ${name} takes ${arraysOf(layer)} arrays, got ${weights.length}.\n  Give what get_weights() gave.`, { op: 'loadKerasWeights' })
  }
  const order = GATES(layer)
  const h = layer.hiddenSize
  noGrad(() => scope(() => places.forEach((place, i) => {
    const [kernel, recurrent, bias] = weights.slice(i * each) as [Tensor, Tensor, Tensor]
    const own = layer.weights(place)
    /** [..., G H] in our order of gates, and those in front. */
    const ordered = (array: Tensor): Tensor => concat(order.map((gate) => array.slice(-1, gate * h, (gate + 1) * h)), -1)
    const put = (target: Tensor, what: string, array: Tensor, expected: readonly number[]): void => {
      if (array.shape.join() !== expected.join()) {
        throw new ShapeError(`loadKerasWeights: the ${what} is [${array.shape.join(', ')}], expected [${expected.join(', ')}].\n  Make the ${name} with the sizes of the Keras layer${layer instanceof GRU ? `, and resetAfter: ${String(bias?.ndim === 2)}` : ''}.`, { op: 'loadKerasWeights', shapes: [array.shape] })
      }
      const value = ordered(array)
      assign_(target, value.ndim === 2 && target.ndim === 2 ? value.t() : value)
    }
    put(own.weightIh, 'kernel', kernel, [layer.inputSize, order.length * h])
    put(own.weightHh, 'recurrent kernel', recurrent, [h, order.length * h])
    if (!layer.bias) return
    if (layer instanceof GRU && layer.resetAfter) {
      if (bias.ndim !== 2) put(own.biasIh!, 'bias', bias, [2, order.length * h])
      put(own.biasIh!, 'input bias', bias.select(0, 0), [order.length * h])
      put(own.biasHh!, 'recurrent bias', bias.select(0, 1), [order.length * h])
    } else {
      put(own.biasIh!, 'bias', bias, [order.length * h])
      own.biasHh!.fill_(0)
    }
  })))
}
