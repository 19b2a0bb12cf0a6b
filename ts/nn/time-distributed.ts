import { ShapeError, ValueError } from '../errors.js'
import { kindOf } from '../explain.js'
import { Tensor } from '../tensor.js'
import { Module } from './module.js'

/**
 * Applies a module to every step on its own: [N, T, ...] goes through it as [N T, ...]. Keras: `TimeDistributed`.
 * @throws ShapeError for an input of fewer than two dimensions
 * @example new nn.TimeDistributed(new nn.Conv2d(3, 8, 3)).forward(frames)   // frames [N, T, H, W, 3]
 */
export class TimeDistributed extends Module {
  constructor(
    /** What each step goes through. */
    readonly module: Module,
  ) {
    super()
  }

  forward(x: Tensor): Tensor {
    const [rows, steps, ...rest] = x.shape
    if (rows === undefined || steps === undefined) {
      throw new ShapeError(`TimeDistributed: the input is [${x.shape.join(', ')}], expected [N, T, ...].\n  Add the missing dimension with x.unsqueeze(0).`, { op: 'TimeDistributed', shapes: [x.shape] })
    }
    const y: unknown = this.module.forward(x.reshape([rows * steps, ...rest]))
    if (!(y instanceof Tensor)) {
      throw new ValueError(`TimeDistributed: ${this.module.constructor.name} gives ${kindOf(y)}, no tensor.\n  Wrap it in a Module whose forward hands on the result that is meant.`, { op: 'TimeDistributed' })
    }
    return y.reshape([rows, steps, ...y.shape.slice(1)])
  }
}
