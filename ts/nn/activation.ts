import {
  elu, gelu, hardsigmoid, hardswish, hardtanh, leakyRelu, logSigmoid, mish, prelu, relu, relu6, selu, sigmoid, silu, softsign,
} from '../ops/activation.js'
import { ShapeError, ValueError } from '../errors.js'
import { tanh } from '../ops/pointwise.js'
import { settle } from '../options.js'
import type { Parameter, Tensor } from '../tensor.js'
import { aboveZero, integers, numbers, positive, sameDType, wrong } from './arguments.js'
import { constantParameter } from './init.js'
import { Module } from './module.js'
import { logSoftmax, softmax, softplus } from './ops.js'

// Each layer is its function: formulas and sources stand in ts/ops/activation.ts.

/** One function applied to every element; counted as one operation each. */
abstract class Activation extends Module {
  /** Those that take nothing have no constructor of their own: what comes here is a mistake. */
  constructor(...none: readonly never[]) {
    super()
    if (none.length > 0 && none[0] !== undefined) throw wrong(new.target.name, 'the argument', 'left out', none[0])
  }

  abstract override forward(x: Tensor): Tensor

  override flops(inputs: readonly Tensor[]): number {
    return inputs[0]?.size ?? 0
  }
}

/** max(x, 0). PyTorch: `nn.ReLU`. */
export class ReLU extends Activation {
  forward(x: Tensor): Tensor {
    return relu(x)
  }
}

/** x above 0, slope · x below. PyTorch: `nn.LeakyReLU`. */
export class LeakyReLU extends Activation {
  constructor(
    /** The factor below 0. */
    readonly slope: number = 0.01,
  ) {
    super()
    numbers('LeakyReLU', { slope })
  }

  forward(x: Tensor): Tensor {
    return leakyRelu(x, this.slope)
  }

  override extraRepr(): string {
    return String(this.slope)
  }
}

/**
 * x above 0, weight · x below, the weight learned: one number, or one a channel (the last dimension). Weight decay pulls it towards a ReLU: He et
 * al., 2015, train it without. PyTorch: `nn.PReLU`, whose channels are the second dimension.
 */
export class PReLU extends Activation {
  /** The factors below 0, [numParameters]. */
  weight: Parameter

  constructor(
    /** 1, or the size of the input's last dimension. */
    readonly numParameters: number = 1,
    options: {
      /** What the factors begin with (0.25). */
      init?: number
    } = {},
  ) {
    super()
    const { init } = settle('PReLU', options, { init: 0.25 })
    positive('PReLU', { numParameters })
    numbers('PReLU', { init })
    this.weight = constantParameter([numParameters], init)
  }

  forward(x: Tensor): Tensor {
    const channels = x.shape.at(-1)
    if (this.numParameters !== 1 && channels !== this.numParameters) {
      throw new ShapeError(
        `PReLU: the input [${x.shape.join(', ')}] has ${channels ?? 'no'} channels (the last dimension), the layer expects ${this.numParameters}: ` +
          `use new nn.PReLU(${channels ?? 1}), or new nn.PReLU() for one factor`,
        { op: 'PReLU', shapes: [x.shape, this.weight.shape] },
      )
    }
    sameDType('PReLU', x, this.weight)
    return prelu(x, this.weight)
  }

  override extraRepr(): string {
    return String(this.numParameters)
  }
}

/** x bounded to [0, 6]. PyTorch: `nn.ReLU6`. */
export class ReLU6 extends Activation {
  forward(x: Tensor): Tensor {
    return relu6(x)
  }
}

/** x bounded to [min, max]. PyTorch: `nn.Hardtanh`. */
export class Hardtanh extends Activation {
  constructor(
    /** The least answer. */
    readonly min: number = -1,
    /** The largest answer. */
    readonly max: number = 1,
  ) {
    super()
    numbers('Hardtanh', { min, max })
    if (min >= max) throw new ValueError(`Hardtanh: min ${min} must lie below max ${max}`, { op: 'Hardtanh' })
  }

  forward(x: Tensor): Tensor {
    return hardtanh(x, this.min, this.max)
  }

  override extraRepr(): string {
    return `${this.min}, ${this.max}`
  }
}

/** x above 0, alpha (eˣ - 1) below. PyTorch: `nn.ELU`. */
export class ELU extends Activation {
  constructor(
    /** Minus the value it falls to, far below 0. */
    readonly alpha: number = 1,
  ) {
    super()
    numbers('ELU', { alpha })
  }

  forward(x: Tensor): Tensor {
    return elu(x, this.alpha)
  }

  override extraRepr(): string {
    return String(this.alpha)
  }
}

/** The self-normalising unit. PyTorch: `nn.SELU`. */
export class SELU extends Activation {
  forward(x: Tensor): Tensor {
    return selu(x)
  }
}

/** x Φ(x), or its tanh approximation. PyTorch: `nn.GELU`. */
export class GELU extends Activation {
  /** 'none' for the exact one, 'tanh' for the approximation. */
  readonly approximate: 'none' | 'tanh'

  constructor(options: { approximate?: 'none' | 'tanh' } = {}) {
    super()
    const { approximate } = settle('GELU', options, { approximate: 'none' })
    if (approximate !== 'none' && approximate !== 'tanh') throw wrong('GELU', 'approximate', "'none' or 'tanh'", approximate)
    this.approximate = approximate
  }

  forward(x: Tensor): Tensor {
    return gelu(x, this.approximate)
  }

  override extraRepr(): string {
    return this.approximate === 'none' ? '' : `approximate=${this.approximate}`
  }
}

/** x sigmoid(x), also called swish. PyTorch: `nn.SiLU`. */
export class SiLU extends Activation {
  forward(x: Tensor): Tensor {
    return silu(x)
  }
}

/** x tanh(softplus(x)). PyTorch: `nn.Mish`. */
export class Mish extends Activation {
  forward(x: Tensor): Tensor {
    return mish(x)
  }
}

/** 1 / (1 + e⁻ˣ). PyTorch: `nn.Sigmoid`. */
export class Sigmoid extends Activation {
  forward(x: Tensor): Tensor {
    return sigmoid(x)
  }
}

/** Hyperbolic tangent. PyTorch: `nn.Tanh`. */
export class Tanh extends Activation {
  forward(x: Tensor): Tensor {
    return tanh(x)
  }
}

/**
 * Probabilities along `dim` (the last). Cross-entropy takes logits: leave this layer out, or pass `fromLogits: false`. PyTorch:
 * `nn.Softmax`.
 */
export class Softmax extends Activation {
  constructor(
    /** The dimension that the probabilities of one decision lie along. */
    readonly dim: number = -1,
  ) {
    super()
    integers('Softmax', { dim })
  }

  forward(x: Tensor): Tensor {
    return softmax(x, this.dim)
  }

  override extraRepr(): string {
    return `dim=${this.dim}`
  }
}

/** Logarithms of the probabilities along `dim` (the last). PyTorch: `nn.LogSoftmax`. */
export class LogSoftmax extends Activation {
  constructor(
    /** The dimension that the probabilities of one decision lie along. */
    readonly dim: number = -1,
  ) {
    super()
    integers('LogSoftmax', { dim })
  }

  forward(x: Tensor): Tensor {
    return logSoftmax(x, this.dim)
  }

  override extraRepr(): string {
    return `dim=${this.dim}`
  }
}

/** log(1 + e^(beta x)) / beta. PyTorch: `nn.Softplus`. */
export class Softplus extends Activation {
  /** How sharp the bend is. */
  readonly beta: number
  /** Where beta x is larger, the answer is x itself. */
  readonly threshold: number

  constructor(options: { beta?: number; threshold?: number } = {}) {
    super()
    const { beta, threshold } = settle('Softplus', options, { beta: 1, threshold: 20 })
    aboveZero('Softplus', { beta })
    numbers('Softplus', { threshold })
    this.beta = beta
    this.threshold = threshold
  }

  forward(x: Tensor): Tensor {
    return softplus(x, this.beta, this.threshold)
  }

  override extraRepr(): string {
    return `beta=${this.beta}, threshold=${this.threshold}`
  }
}

/** x relu6(x + 3) / 6. PyTorch: `nn.Hardswish`. */
export class Hardswish extends Activation {
  forward(x: Tensor): Tensor {
    return hardswish(x)
  }
}

/** relu6(x + 3) / 6. PyTorch: `nn.Hardsigmoid`. */
export class Hardsigmoid extends Activation {
  forward(x: Tensor): Tensor {
    return hardsigmoid(x)
  }
}

/** x / (1 + |x|). PyTorch: `nn.Softsign`. */
export class Softsign extends Activation {
  forward(x: Tensor): Tensor {
    return softsign(x)
  }
}

/** log sigmoid(x). PyTorch: `nn.LogSigmoid`. */
export class LogSigmoid extends Activation {
  forward(x: Tensor): Tensor {
    return logSigmoid(x)
  }
}
