// The networks that are measured, by the benches and beside the peers alike.
import { nn } from 'ferrograd'
import { densenet, resnet18 } from 'ferrograd/models'
import { articleCnn } from './article-cnn.js'
import { mlp } from './mlp.js'
import { biGruReader, biLstmReader, gruBefore, lstmReader, lstmVariant, WORDS } from './readers.js'

export interface Network {
  build: () => nn.Module
  /** One example's shape, channels last; of sequences, how long one is where nobody says otherwise. */
  input: readonly number[]
  /** Inputs are whole numbers below this. */
  ids?: number
  /** Linear weights that read a flattened image, and its channels: their columns stand in another order where channels come first. */
  flattened?: Readonly<Record<string, number>>
}

export const networks: Readonly<Record<string, Network>> = {
  cnn: { build: articleCnn, input: [32, 32, 3], flattened: { '9.weight': 64 } },
  mlp: { build: mlp, input: [784] },
  resnet18: { build: () => resnet18({ stem: 'cifar', classes: 10 }), input: [32, 32, 3] },
  densenet: { build: () => densenet(), input: [32, 32, 3] },
  // With input and recurrent dropout, and without.
  lstm: { build: () => lstmReader(0.2), input: [80], ids: WORDS },
  'lstm-norec': { build: () => lstmReader(0), input: [80], ids: WORDS },
  'lstm-peephole': { build: () => lstmVariant({ peephole: true }), input: [80], ids: WORDS },
  'lstm-projected': { build: () => lstmVariant({ projSize: 64 }), input: [80], ids: WORDS },
  'lstm-normed': { build: () => lstmVariant({ layerNorm: true }), input: [80], ids: WORDS },
  'gru-before': { build: gruBefore, input: [80], ids: WORDS },
  bilstm: { build: biLstmReader, input: [100], ids: WORDS },
  bigru: { build: biGruReader, input: [100], ids: WORDS },
}

const WITH_PRODUCTS = ['Conv2d', 'Linear', 'LSTM', 'GRU']

/** Flops of one example's forward pass in layers with products, two a multiply-add, one a bias; and of a training step, where images need no gradient, but vectors of words do. */
export function flopsOf({ build, input, ids }: Network): { forward: number; step: number } {
  const { rows } = nn.summary(build(), [1, ...input], { dtype: ids === undefined ? 'float32' : 'int32' })
  const products = rows.filter(({ type }) => WITH_PRODUCTS.includes(type)).map(({ flops }) => flops)
  const forward = products.reduce((a, b) => a + b, 0)
  return { forward, step: 3 * forward - (ids === undefined ? products[0] ?? 0 : 0) }
}
