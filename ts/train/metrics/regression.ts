import { stack, type Tensor } from '../../index.js'
import { ratio } from './accuracy.js'
import { alignedLabels, Metric, type Task } from './metric.js'

/** A mean over all outputs of a function of the error. */
abstract class MeanError extends Metric {
  protected abstract of(error: Tensor): Tensor

  update(output: Tensor, labels: Tensor, _task: Task): void {
    const error = this.of(output.to('float64').sub(alignedLabels(output, labels).to('float64')))
    this.add('sums', stack([error.sum(), error.isnan().to('float64').mul(0).add(1).sum()]))
  }

  async compute(): Promise<number> {
    return ratio(await this.read('sums'))
  }
}

/** The mean absolute error. */
export class MeanAbsoluteError extends MeanError {
  readonly name = 'mae'
  protected of(error: Tensor): Tensor {
    return error.abs()
  }
}

/** The mean squared error. */
export class MeanSquaredError extends MeanError {
  readonly name = 'mse'
  protected of(error: Tensor): Tensor {
    return error.square()
  }
}
