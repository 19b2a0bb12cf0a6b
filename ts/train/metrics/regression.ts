import { type Tensor, tensor } from '../../index.js'
import { ratio } from './accuracy.js'
import { alignedLabels, Metric, type Task } from './metric.js'

/** A mean over all outputs of a function of the error. */
abstract class MeanError extends Metric {
  protected abstract of(error: Tensor): Tensor

  update(output: Tensor, labels: Tensor, _task: Task): void {
    const wide = output.to('float64')
    this.add('sum', this.of(wide.sub(alignedLabels(output, labels).to('float64'))).sum())
    this.add('count', tensor(output.size, { dtype: 'float64', device: output.device }))
  }

  async compute(): Promise<number> {
    return ratio(await this.read('sum'), await this.read('count'))
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
