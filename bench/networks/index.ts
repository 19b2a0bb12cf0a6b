// The networks that are measured, by the benches and beside the peers alike.
import type { nn } from 'ferrograd'
import { articleCnn } from './article-cnn.js'
import { densenet } from './densenet.js'
import { mlp } from './mlp.js'
import { resnet18 } from './resnet18.js'

export interface Network {
  build: () => nn.Module
  /** One example's shape, channels last. */
  input: readonly number[]
  /** Linear weights that read a flattened image, and its channels: their columns stand in another order where channels come first. */
  flattened?: Readonly<Record<string, number>>
}

export const networks: Readonly<Record<string, Network>> = {
  cnn: { build: articleCnn, input: [32, 32, 3], flattened: { '9.weight': 64 } },
  mlp: { build: mlp, input: [784] },
  resnet18: { build: resnet18, input: [32, 32, 3] },
  densenet: { build: densenet, input: [32, 32, 3] },
}
