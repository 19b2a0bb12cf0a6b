import { ReLU } from '../nn/activation.js'
import { numbers, positive, wrong } from '../nn/arguments.js'
import { Sequential } from '../nn/container.js'
import { Dropout } from '../nn/dropout.js'
import { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { Flatten } from '../nn/shape.js'
import { settle } from '../options.js'
import type { Tensor } from '../tensor.js'

/** Options of `mlp`. */
export interface MlpOptions {
  /** Numbers in one example; of images height · width · channels (1024, grey images of 32x32). */
  inFeatures?: number
  /** The hidden layers' widths; none is a linear classifier ([512, 256]). */
  hidden?: readonly number[]
  /** How many classes, and so logits (10). */
  classes?: number
  /** The share of each hidden layer left out in training (0). */
  dropout?: number
}

/**
 * A multilayer perceptron: Linear and ReLU for each hidden width, with dropout where asked for, then a Linear to the classes.
 * Examples [N, ...] of inFeatures numbers each -> logits [N, classes]; 658,698 parameters by default.
 */
export class Mlp extends Module {
  /** The options it was made with, defaults filled in. */
  readonly config: Required<MlpOptions>
  /** The layers, in the order in which they run. */
  layers: Sequential

  constructor(options: MlpOptions = {}) {
    super()
    const { inFeatures, hidden, classes, dropout } = settle('mlp', options, { inFeatures: 1024, hidden: [512, 256], classes: 10, dropout: 0 })
    if (!Array.isArray(hidden)) throw wrong('mlp', 'hidden', 'a list of widths', hidden)
    positive('mlp', { inFeatures, classes, ...Object.fromEntries(hidden.map((width, i) => [`hidden[${i}]`, width])) })
    numbers('mlp', { dropout }, 0, 1)
    this.config = { inFeatures, hidden: [...hidden], classes, dropout }
    const widths = [inFeatures, ...hidden]
    this.layers = new Sequential(
      new Flatten(),
      ...hidden.flatMap((width, i) => [new Linear(widths[i] as number, width), new ReLU(), ...(dropout > 0 ? [new Dropout(dropout)] : [])]),
      new Linear(widths.at(-1) as number, classes),
    )
  }

  forward(examples: Tensor): Tensor {
    return this.layers.forward(examples)
  }
}

/** A multilayer perceptron. @see Mlp */
export function mlp(options: MlpOptions = {}): Mlp {
  return new Mlp(options)
}
