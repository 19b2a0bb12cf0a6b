import { stack, type Tensor, ValueError } from '../../index.js'
import { Metric } from './metric.js'

/** The mean of a figure over batches, each weighed by what its own mean was divided by: the loss of an epoch. */
export class Mean extends Metric {
  readonly name: string

  constructor(name: string = 'loss') {
    super()
    this.name = name
  }

  /** Takes in a batch's mean over `size` samples, or labels that count. A batch where none counts has no mean (NaN), and is left out. */
  gather(value: Tensor, size: number | Tensor): void {
    const wide = value.to('float64').reshape([])
    // Sum and count in one tensor, made from the value: a failed batch is in neither.
    if (typeof size !== 'number') {
      const count = size.to('float64')
      return this.add('sum', stack([count.eq(0).where(0, wide.mul(count)), count]))
    }
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
