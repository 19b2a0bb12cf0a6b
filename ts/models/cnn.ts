import { ValueError } from '../errors.js'
import { Module } from '../nn/module.js'
import { Conv2d } from '../nn/conv.js'
import { Flatten } from '../nn/shape.js'
import { Linear } from '../nn/linear.js'
import { MaxPool2d } from '../nn/pool.js'
import { ReLU } from '../nn/activation.js'
import { Sequential } from '../nn/container.js'
import { settle } from '../options.js'
import type { Tensor } from '../tensor.js'

/** Options of `cnn`. */
export interface CnnOptions {
  /** Channels of the images: 3 for colour (3), 1 for grey. */
  inChannels?: number
  /** How many classes, and so logits (10). */
  classes?: number
  /** Height and width of the images, at least 18 (32). */
  imageSize?: number
}

/**
 * The article's image classifier: three 3x3 convolutions of 32, 64 and 64 channels with ReLU, 2x2 max pooling after the first two, a hidden
 * layer of 64.
 * Images [N, imageSize, imageSize, inChannels] -> logits [N, classes]; 122,570 parameters on CIFAR-10.
 */
export class ArticleCnn extends Module {
  /** The options it was made with, defaults filled in. */
  readonly config: Required<CnnOptions>
  /** The layers, in the order in which they run. */
  layers: Sequential

  constructor(options: CnnOptions = {}) {
    super()
    const { inChannels, classes, imageSize } = settle('cnn', options, { inChannels: 3, classes: 10, imageSize: 32 })
    this.config = { inChannels, classes, imageSize }
    const side = Math.floor((Math.floor((imageSize - 2) / 2) - 2) / 2) - 2
    if (!Number.isInteger(imageSize) || side < 1) {
      throw new ValueError(`cnn: imageSize must be an integer of at least 18, not ${imageSize}. Use data resized to 32x32`)
    }
    this.layers = new Sequential(
      new Conv2d(inChannels, 32, 3), new ReLU(), new MaxPool2d(2),
      new Conv2d(32, 64, 3), new ReLU(), new MaxPool2d(2),
      new Conv2d(64, 64, 3), new ReLU(), new Flatten(),
      new Linear(side * side * 64, 64), new ReLU(), new Linear(64, classes),
    )
  }

  forward(images: Tensor): Tensor {
    return this.layers.forward(images)
  }
}

/** The article's image classifier. @see ArticleCnn */
export function cnn(options: CnnOptions = {}): ArticleCnn {
  return new ArticleCnn(options)
}
