import { positive, switches, wrong } from '../nn/arguments.js'
import { Sequential } from '../nn/container.js'
import { Conv2d } from '../nn/conv.js'
import { kaimingNormal, zeros } from '../nn/init.js'
import { Linear } from '../nn/linear.js'
import { Module } from '../nn/module.js'
import { BatchNorm2d } from '../nn/norm.js'
import { convNormRelu, normRelu } from '../nn/norm-relu.js'
import { MaxPool2d } from '../nn/pool.js'
import { settle } from '../options.js'
import type { Parameter, Tensor } from '../tensor.js'

/** Options of the ResNets. The defaults are those of the paper's network of that depth: 20 and 56 are made for CIFAR, the others for ImageNet. */
export interface ResNetOptions {
  /** Channels of the images (3). */
  inChannels?: number
  /** How many classes, and so logits (10 for CIFAR, 1000 for ImageNet). */
  classes?: number
  /** The first layers. 'cifar': a 3x3 convolution that keeps the size. 'imagenet': 7x7 and max pooling, each of stride 2: a quarter of the size. */
  stem?: 'cifar' | 'imagenet'
  /** Channels of the first stage; each further one has twice as many (16 for CIFAR, 64 for ImageNet). */
  width?: number
  /**
   * What goes around a block that changes the shape. 'projection' (ImageNet): a 1x1 convolution with batch normalisation, the paper's option B,
   * and torchvision's. 'padding' (CIFAR): every second pixel and new channels of zeros on both sides, option A, without parameters.
   */
  shortcut?: 'projection' | 'padding'
  /** Starts each block as its shortcut: the last normalisation's factors are 0 (false). Goyal et al., 2017. */
  zeroInitResidual?: boolean
}

type Config = Required<ResNetOptions>
type Shortcut = Config['shortcut']

const convolution = (from: number, to: number, size: 1 | 3, stride = 1): Conv2d =>
  new Conv2d(from, to, size, { stride, padding: size === 3 ? 1 : 0, bias: false })

/** Two 3x3 convolutions around which the input passes: [N, H, W, from] -> [N, H / stride, W / stride, width]. torchvision: `BasicBlock`. */
export class BasicBlock extends Module {
  /** Channels out, as a multiple of the width. */
  static readonly expansion: number = 1
  /** 3 x 3, with the stride. */
  conv1: Conv2d
  /** After `conv1`, before the ReLU. */
  bn1: BatchNorm2d
  /** 3 x 3. */
  conv2: Conv2d
  /** After `conv2`, before the sum. */
  bn2: BatchNorm2d
  /** What brings the input to the size of the sum; null where it fits as it is. */
  downsample: Module | null

  constructor(from: number, width: number, stride: number, shortcut: Shortcut) {
    super()
    this.conv1 = convolution(from, width, 3, stride)
    this.bn1 = new BatchNorm2d(width)
    this.conv2 = convolution(width, width, 3)
    this.bn2 = new BatchNorm2d(width)
    this.downsample = around(from, width, stride, shortcut)
  }

  forward(x: Tensor): Tensor {
    const inner = convNormRelu(this.conv1, this.bn1, x)
    return normRelu(this.bn2, this.conv2.forward(inner), this.downsample?.forward(x) ?? x)
  }

  /** The factors of the residual's last normalisation. */
  get lastFactors(): Parameter {
    return this.bn2.weight as Parameter
  }
}

/**
 * 1x1, 3x3 and 1x1 convolutions, narrow between, around which the input passes: [N, H, W, from] -> [N, H / stride, W / stride, 4 width]. The
 * stride is the 3x3's, as in torchvision's `Bottleneck`; in the paper it was the first 1x1's.
 */
export class Bottleneck extends Module {
  /** Channels out, as a multiple of the width. */
  static readonly expansion: number = 4
  /** 1 x 1, down to the width. */
  conv1: Conv2d
  /** After `conv1`, before the ReLU. */
  bn1: BatchNorm2d
  /** 3 x 3, with the stride. */
  conv2: Conv2d
  /** After `conv2`, before the ReLU. */
  bn2: BatchNorm2d
  /** 1 x 1, up to four times the width. */
  conv3: Conv2d
  /** After `conv3`, before the sum. */
  bn3: BatchNorm2d
  /** What brings the input to the size of the sum; null where it fits as it is. */
  downsample: Module | null

  constructor(from: number, width: number, stride: number, shortcut: Shortcut) {
    super()
    const to = width * Bottleneck.expansion
    this.conv1 = convolution(from, width, 1)
    this.bn1 = new BatchNorm2d(width)
    this.conv2 = convolution(width, width, 3, stride)
    this.bn2 = new BatchNorm2d(width)
    this.conv3 = convolution(width, to, 1)
    this.bn3 = new BatchNorm2d(to)
    this.downsample = around(from, to, stride, shortcut)
  }

  forward(x: Tensor): Tensor {
    const narrow = convNormRelu(this.conv1, this.bn1, x)
    const inner = convNormRelu(this.conv2, this.bn2, narrow)
    return normRelu(this.bn3, this.conv3.forward(inner), this.downsample?.forward(x) ?? x)
  }

  /** The factors of the residual's last normalisation. */
  get lastFactors(): Parameter {
    return this.bn3.weight as Parameter
  }
}

/** Every `stride`th pixel, and zeros as new channels on both sides: [N, H, W, from] -> [N, H / stride, W / stride, to]. */
class PaddedShortcut extends Module {
  constructor(readonly inChannels: number, readonly outChannels: number, readonly stride: number) {
    super()
  }

  forward(x: Tensor): Tensor {
    const added = this.outChannels - this.inChannels
    const before = Math.floor(added / 2)
    const step = `::${this.stride}`
    return x.at('...', step, step, ':').pad([before, added - before])
  }

  override extraRepr(): string {
    return `${this.inChannels}, ${this.outChannels}, stride=${this.stride}`
  }
}

/** What goes around a block; null where its input fits as it is. */
function around(from: number, to: number, stride: number, shortcut: Shortcut): Module | null {
  if (from === to && stride === 1) return null
  return shortcut === 'padding' ? new PaddedShortcut(from, to, stride) : new Sequential(convolution(from, to, 1, stride), new BatchNorm2d(to))
}

/** The depths that there are. */
export type ResNetDepth = 18 | 20 | 34 | 50 | 56

interface Depth { block: typeof BasicBlock | typeof Bottleneck; stages: readonly number[]; made: 'cifar' | 'imagenet' }

/** Blocks in each stage, from the paper's tables 1 and 6. */
const depths: Readonly<Record<ResNetDepth, Depth>> = {
  18: { block: BasicBlock, stages: [2, 2, 2, 2], made: 'imagenet' },
  20: { block: BasicBlock, stages: [3, 3, 3], made: 'cifar' },
  34: { block: BasicBlock, stages: [3, 4, 6, 3], made: 'imagenet' },
  50: { block: Bottleneck, stages: [3, 4, 6, 3], made: 'imagenet' },
  56: { block: BasicBlock, stages: [9, 9, 9], made: 'cifar' },
}

const defaults = {
  cifar: { inChannels: 3, classes: 10, stem: 'cifar', width: 16, shortcut: 'padding', zeroInitResidual: false },
  imagenet: { inChannels: 3, classes: 1000, stem: 'imagenet', width: 64, shortcut: 'projection', zeroInitResidual: false },
} as const

/**
 * A residual network: a stem, stages of blocks (each stage but the first halves height and width and doubles the channels), the mean over all
 * positions, one Linear. Images [N, H, W, inChannels] of any size -> logits [N, classes].
 * He et al., Deep Residual Learning for Image Recognition, 2016. Fields are named as torchvision's, so that its weights load:
 * `await resnet18().load('resnet18.safetensors', { from: 'torch' })`.
 */
export class ResNet extends Module {
  /** The options it was made with, defaults filled in. */
  readonly config: Config
  /** The stem: 7 x 7 with stride 2 for ImageNet, 3 x 3 for CIFAR. */
  conv1: Conv2d
  /** After `conv1`, before the ReLU. */
  bn1: BatchNorm2d
  /** 3 x 3 with stride 2 in the stem for ImageNet; null in that for CIFAR. */
  maxpool: MaxPool2d | null
  /** The first stage, at the size that the stem gives. */
  layer1: Sequential
  /** The second stage: half the size, twice the width. */
  layer2: Sequential
  /** The third stage: half the size, twice the width. */
  layer3: Sequential
  /** Networks made for CIFAR have three stages. */
  layer4: Sequential | null
  /** From the averaged features to the logits. */
  fc: Linear

  constructor(
    /** Layers with weights, which name the network. */
    readonly depth: ResNetDepth,
    options: ResNetOptions = {},
  ) {
    super()
    if (!Object.hasOwn(depths, depth)) throw wrong('ResNet', 'depth', '18, 20, 34, 50 or 56', depth)
    const { block, stages, made } = depths[depth]
    const name = `resnet${depth}`
    const config: Config = settle(name, options, defaults[made])
    const { inChannels, classes, stem, width, shortcut, zeroInitResidual } = this.config = config
    positive(name, { inChannels, classes, width })
    switches(name, { zeroInitResidual })
    oneOf(name, { stem }, ['cifar', 'imagenet'])
    oneOf(name, { shortcut }, ['projection', 'padding'])
    const large = stem === 'imagenet'
    this.conv1 = large ? new Conv2d(inChannels, width, 7, { stride: 2, padding: 3, bias: false }) : convolution(inChannels, width, 3)
    this.bn1 = new BatchNorm2d(width)
    this.maxpool = large ? new MaxPool2d(3, { stride: 2, padding: 1 }) : null
    let channels = width
    const layers = stages.map((blocks, stage) => new Sequential(...Array.from({ length: blocks }, (_, i) => {
      const [from, inner] = [channels, width * 2 ** stage]
      channels = inner * block.expansion
      return new block(from, inner, stage > 0 && i === 0 ? 2 : 1, shortcut)
    })))
    ;[this.layer1, this.layer2, this.layer3] = layers as [Sequential, Sequential, Sequential]
    this.layer4 = layers[3] ?? null
    this.fc = new Linear(channels, classes)
    this.#initialise(zeroInitResidual)
  }

  /** Convolutions by He's normal over the outputs; normalisations start at 1 and 0, the Linear as every one does. */
  #initialise(zeroInitResidual: boolean): void {
    for (const module of this.modules()) {
      if (module instanceof Conv2d) kaimingNormal(module.weight, { mode: 'fanOut', nonlinearity: 'relu' })
      if (zeroInitResidual && (module instanceof BasicBlock || module instanceof Bottleneck)) zeros(module.lastFactors)
    }
  }

  /** The stages' output, [N, h, w, C]: what a head of another kind stands on. */
  features(images: Tensor): Tensor {
    let x = convNormRelu(this.conv1, this.bn1, images)        // [N, H, W, width], or half the size
    if (this.maxpool !== null) x = this.maxpool.forward(x)
    for (const layer of [this.layer1, this.layer2, this.layer3, this.layer4]) if (layer !== null) x = layer.forward(x)
    return x
  }

  forward(images: Tensor): Tensor {
    return this.fc.forward(this.features(images).mean([1, 2]))    // [N, C] -> [N, classes]
  }
}

function oneOf(owner: string, named: Readonly<Record<string, string>>, words: readonly string[]): void {
  for (const [name, word] of Object.entries(named)) {
    if (!words.includes(word)) throw wrong(owner, name, words.map((known) => `'${known}'`).join(' or '), word)
  }
}

/** ResNet-18 for ImageNet: 11,689,512 parameters; 11,173,962 with { stem: 'cifar', classes: 10 }. @see ResNet */
export function resnet18(options: ResNetOptions = {}): ResNet {
  return new ResNet(18, options)
}

/** ResNet-20 for CIFAR-10: 269,722 parameters; 272,474 with { shortcut: 'projection' }. @see ResNet */
export function resnet20(options: ResNetOptions = {}): ResNet {
  return new ResNet(20, options)
}

/** ResNet-34 for ImageNet: 21,797,672 parameters. @see ResNet */
export function resnet34(options: ResNetOptions = {}): ResNet {
  return new ResNet(34, options)
}

/** ResNet-50 for ImageNet: 25,557,032 parameters. @see ResNet */
export function resnet50(options: ResNetOptions = {}): ResNet {
  return new ResNet(50, options)
}

/** ResNet-56 for CIFAR-10: 853,018 parameters; 855,770 with { shortcut: 'projection' }. @see ResNet */
export function resnet56(options: ResNetOptions = {}): ResNet {
  return new ResNet(56, options)
}
