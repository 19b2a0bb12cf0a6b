import { ReLU } from '../nn/activation.js'
import { positive } from '../nn/arguments.js'
import { Sequential } from '../nn/container.js'
import { Conv2d } from '../nn/conv.js'
import { kaimingNormal, normal, zeros } from '../nn/init.js'
import { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { BatchNorm2d } from '../nn/norm.js'
import { MaxPool2d } from '../nn/pool.js'
import { Flatten } from '../nn/shape.js'
import { ValueError } from '../errors.js'
import { settle } from '../options.js'
import type { Tensor } from '../tensor.js'

/** Options of `vggSmall`. */
export interface VggSmallOptions {
  /** Channels of the images (3). */
  inChannels?: number
  /** How many classes, and so logits (10). */
  classes?: number
  /** Height and width of the images, at least 8 (32). */
  imageSize?: number
  /** Channels of the first stage; each further one has twice as many (64). */
  width?: number
}

/**
 * VGG for small images: three stages of two 3x3 convolutions with batch normalisation and ReLU, of width, 2 width and 4 width channels, each
 * stage closed by 2x2 max pooling, and one Linear to the classes.
 * Images [N, imageSize, imageSize, inChannels] -> logits [N, classes]; 1,187,274 parameters on CIFAR-10.
 * Simonyan & Zisserman, 2015, with batch normalisation, weights as torchvision starts them; the VGG-Small of Cai et al., 2017, is width 128.
 */
export class VggSmall extends Module {
  /** The options it was made with, defaults filled in. */
  readonly config: Required<VggSmallOptions>
  /** The layers, in the order in which they run. */
  layers: Sequential

  constructor(options: VggSmallOptions = {}) {
    super()
    const { inChannels, classes, imageSize, width } = settle('vggSmall', options, { inChannels: 3, classes: 10, imageSize: 32, width: 64 })
    positive('vggSmall', { inChannels, classes, width })
    this.config = { inChannels, classes, imageSize, width }
    const side = Math.floor(imageSize / 8)
    if (!Number.isInteger(imageSize) || side < 1) throw new ValueError(`vggSmall: imageSize must be an integer of at least 8, not ${imageSize}`)
    this.layers = new Sequential(
      ...stage(inChannels, width), ...stage(width, 2 * width), ...stage(2 * width, 4 * width),
      new Flatten(), new Linear(side * side * 4 * width, classes),
    )
    for (const layer of this.layers) {
      if (layer instanceof Conv2d) kaimingNormal(layer.weight, { mode: 'fanOut', nonlinearity: 'relu' })
      if (!(layer instanceof Linear)) continue
      normal(layer.weight, 0, 0.01)
      zeros(layer.bias as Tensor)
    }
  }

  forward(images: Tensor): Tensor {
    return this.layers.forward(images)
  }
}

function stage(from: number, to: number): Module[] {
  // The normalisation has a summand of its own.
  const convolution = (from: number): Module[] => [new Conv2d(from, to, 3, { padding: 1, bias: false }), new BatchNorm2d(to), new ReLU()]
  return [...convolution(from), ...convolution(to), new MaxPool2d(2)]
}

/** VGG for small images. @see VggSmall */
export function vggSmall(options: VggSmallOptions = {}): VggSmall {
  return new VggSmall(options)
}
