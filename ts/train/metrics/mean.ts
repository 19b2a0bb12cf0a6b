import { stack, type Tensor, ValueError } from '../../index.js'
import { Metric } from './metric.js'

/** The mean of a batch figure over samples: the loss of an epoch. */
export class Mean extends Metric {
  readonly name: string

  constructor(name: string = 'loss') {
    super()
    this.name = name
  }

  /** Takes in a batch's mean over `size` samples. */
  gather(value: Tensor, size: number): void {
    const wide = value.to('float64').reshape([])
    // Sum and count in one tensor, made from the value: a failed batch is in neither.
    this.add('sum', stack([wide.mul(size), wide.isnan().to('float64').mul(0).add(size)]))
  }

  update(): void {
    throw new ValueError('Mean: use gather(value, size).')
  }

  async compute(): Promise<number> {
    const [sum = 0, count = 0] = await this.read('sum')
    return count === 0 ? NaN : sum / count
  }
}
