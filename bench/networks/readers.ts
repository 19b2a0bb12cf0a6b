import { nn, type Tensor } from 'ferrograd'

/** Different words. */
export const WORDS = 20_000

/** Words to vectors of 128, one recurrent layer of 128 or a stack of them, its last states to ten classes. */
export class Reader extends nn.Module {
  embedding = new nn.Embedding(WORDS, 128)
  head: nn.Linear

  constructor(readonly recurrent: nn.LSTM | nn.GRU) {
    super()
    this.head = new nn.Linear(recurrent.outputSize * (recurrent.bidirectional ? 2 : 1), 10)
  }

  forward(ids: Tensor): Tensor {
    return this.head.forward(this.recurrent.forward(this.embedding.forward(ids)).hidden)
  }
}

export const lstmReader = (dropout: number): nn.Module => new Reader(new nn.LSTM(128, 128, { inputDropout: dropout, recurrentDropout: dropout }))

/** With projections, peepholes or normalised sums. */
export const lstmVariant = (options: nn.LstmLayerOptions): nn.Module => new Reader(new nn.LSTM(128, 128, options))
/** r multiplies the state before the product. */
export const gruBefore = (): nn.Module => new Reader(new nn.GRU(128, 128, { resetAfter: false }))

const stack = { numLayers: 2, bidirectional: true }
export const biLstmReader = (): nn.Module => new Reader(new nn.LSTM(128, 256, stack))
export const biGruReader = (): nn.Module => new Reader(new nn.GRU(128, 256, stack))
