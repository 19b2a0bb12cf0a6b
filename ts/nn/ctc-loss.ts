import type { CtcLossOptions } from '../ops/index.js'
import { settle } from '../options.js'
import type { Tensor } from '../tensor.js'
import { Module } from './module.js'
import { ctcLoss } from './ops.js'

/**
 * `ctcLoss` with its options: the loss of labels whose places among the steps are not known. logProbs [N, T, C], targets int32 [N, S] -> a scalar, or [N]
 * with reduction 'none'. PyTorch: `nn.CTCLoss`, which takes [T, N, C]: `{ batchFirst: false }`.
 * @example const loss = new nn.CTCLoss({ zeroInfinity: true }).forward(logits.logSoftmax(-1), targets, inputLengths, targetLengths)
 */
export class CTCLoss extends Module {
  readonly #options: CtcLossOptions

  constructor(options: CtcLossOptions = {}) {
    super()
    this.#options = settle('CTCLoss', options, { blank: 0, reduction: 'mean', zeroInfinity: false, batchFirst: true })
  }

  forward(logProbs: Tensor, targets: Tensor, inputLengths: Tensor | null = null, targetLengths: Tensor | null = null): Tensor {
    return ctcLoss(logProbs, targets, inputLengths, targetLengths, this.#options)
  }
}
