import { orthogonal, xavierUniform, zeros } from '../nn/init.js'
import type { LSTM } from '../nn/lstm.js'
import { noGrad, scope } from '../scope.js'

/** Starts an LSTM as Keras does: Glorot and orthogonal matrices, forget gates open (a bias of 1; Jozefowicz et al. 2015). */
export function startOpen(lstm: LSTM): void {
  const { hiddenSize } = lstm
  for (const { weightIh, weightHh, biasIh, biasHh } of lstm.everyWeights()) {
    xavierUniform(weightIh)
    orthogonal(weightHh)
    zeros(biasIh!)
    zeros(biasHh!)
    noGrad(() => scope(() => biasIh!.slice(0, hiddenSize, 2 * hiddenSize).fill_(1)))
  }
}
