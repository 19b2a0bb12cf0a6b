import { dropout } from '../ops/dropout.js'
import { settle } from '../options.js'
import { Generator } from '../random.js'
import type { Tensor } from '../tensor.js'
import { numbers, wrong } from './arguments.js'
import { Module } from './module.js'

/**
 * In training each element is zero with probability `p`, and the others are divided by 1 - p; in evaluation the input passes.
 * Srivastava et al., 2014. PyTorch: `nn.Dropout`.
 */
export class Dropout extends Module {
  readonly #generator: Generator | undefined

  /** @param generator draws the masks; without it the default one does. */
  constructor(
    /** The share of elements that become 0. */
    readonly p: number = 0.5,
    options: { generator?: Generator } = {},
  ) {
    super()
    const { generator } = settle('Dropout', options, { generator: undefined })
    numbers('Dropout', { p }, 0, 1)
    if (generator !== undefined && !(generator instanceof Generator)) throw wrong('Dropout', 'generator', 'a Generator', generator)
    this.#generator = generator
  }

  forward(x: Tensor): Tensor {
    return dropout(x, this.p, this.training, this.#generator)
  }

  override flops(inputs: readonly Tensor[]): number {
    return this.training ? (inputs[0]?.size ?? 0) : 0
  }

  override extraRepr(): string {
    return `p=${this.p}`
  }
}
