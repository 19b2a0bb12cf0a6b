import { ValueError } from '../errors.js'
import { ReLU } from '../nn/activation.js'
import { positive } from '../nn/arguments.js'
import { Sequential } from '../nn/container.js'
import { Conv2d } from '../nn/conv.js'
import { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { MaxPool2d } from '../nn/pool.js'
import { Flatten } from '../nn/shape.js'
import { settle } from '../options.js'
import type { Tensor } from '../tensor.js'

/** Options of `lenet`. */
export interface LeNetOptions {
  /** Channels of the images: 1 for grey (1), 3 for colour. */
  inChannels?: number
  /** How many classes, and so logits (10). */
  classes?: number
  /** Height and width of the images, at least 16 (32). */
  imageSize?: number
}

/**
 * LeNet-5 as it is taught today: two 5x5 convolutions of 6 and 16 channels, each with ReLU and 2x2 max pooling, then layers of 120 and 84.
 * Images [N, imageSize, imageSize, inChannels] -> logits [N, classes]; 61,706 parameters on grey images of 32x32.
 * LeCun et al., Gradient-Based Learning Applied to Document Recognition, 1998, which has tanh, means with learned factors, and a sparse table
 * of connections in place of these.
 */
export class LeNet extends Module {
  /** The options it was made with, defaults filled in. */
  readonly config: Required<LeNetOptions>
  /** The layers, in the order in which they run. */
  layers: Sequential

  constructor(options: LeNetOptions = {}) {
    super()
    const { inChannels, classes, imageSize } = settle('lenet', options, { inChannels: 1, classes: 10, imageSize: 32 })
    positive('lenet', { inChannels, classes })
    this.config = { inChannels, classes, imageSize }
    const side = Math.floor((Math.floor((imageSize - 4) / 2) - 4) / 2)
    if (!Number.isInteger(imageSize) || side < 1) {
      throw new ValueError(`lenet: imageSize must be an integer of at least 16, not ${imageSize}. Use data resized to 32x32`)
    }
    this.layers = new Sequential(
      new Conv2d(inChannels, 6, 5), new ReLU(), new MaxPool2d(2),
      new Conv2d(6, 16, 5), new ReLU(), new MaxPool2d(2), new Flatten(),
      new Linear(side * side * 16, 120), new ReLU(), new Linear(120, 84), new ReLU(), new Linear(84, classes),
    )
  }

  forward(images: Tensor): Tensor {
    return this.layers.forward(images)
  }
}

/** LeNet-5. @see LeNet */
export function lenet(options: LeNetOptions = {}): LeNet {
  return new LeNet(options)
}
