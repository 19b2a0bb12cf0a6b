import { ValueError } from '../errors.js'
import { dropout } from '../ops/dropout.js'
import type { Generator } from '../random.js'
import type { Tensor } from '../tensor.js'
import { Module } from './module.js'

/**
 * In training each element is zero with probability `p`, and the others are divided by 1 - p; in evaluation the input passes.
 * Srivastava et al., 2014. PyTorch: `nn.Dropout`.
 */
export class Dropout extends Module {
  readonly #generator: Generator | undefined

  /** @param generator draws the masks; without it the default one does. */
  constructor(readonly p: number = 0.5, { generator }: { generator?: Generator } = {}) {
    super()
    if (!(p >= 0 && p <= 1)) throw new ValueError(`Dropout: p must lie between 0 and 1, not ${p}`)
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
