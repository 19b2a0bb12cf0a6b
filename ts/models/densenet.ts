import { isAutocastEnabled } from '../autocast.js'
import { checkpoint } from '../autograd.js'
import { ReLU } from '../nn/activation.js'
import { numbers, positive, switches, wrong } from '../nn/arguments.js'
import { ModuleDict } from '../nn/container.js'
import { Conv2d } from '../nn/conv.js'
import { Dropout } from '../nn/dropout.js'
import { kaimingNormal, zeros } from '../nn/init.js'
import { Linear } from '../nn/linear.js'
import { Module, plain, running } from '../nn/module.js'
import { BatchNorm2d } from '../nn/norm.js'
import { normRelu } from '../nn/norm-relu.js'
import { AvgPool2d, MaxPool2d } from '../nn/pool.js'
import { run } from '../native/run.js'
import { concat } from '../ops/concat.js'
import { denseBlock, type DenseNorm, type DenseOperands } from '../ops/dense-block.js'
import { settle } from '../options.js'
import type { Tensor } from '../tensor.js'

/** Options of `densenet` and `densenet121`, whose defaults stand in this order. */
export interface DenseNetOptions {
  /** Channels of the images (3). */
  inChannels?: number
  /** How many classes, and so logits (10; 1000). */
  classes?: number
  /** The first layers. 'cifar': a 3x3 convolution. 'imagenet': 7x7 and max pooling, each of stride 2. */
  stem?: 'cifar' | 'imagenet'
  /** Channels that each layer adds (12; 32). */
  growthRate?: number
  /** Layers in each dense block ([16, 16, 16]; [6, 12, 24, 16]). */
  blockConfig?: readonly number[]
  /** Channels of the stem (24; 64). */
  numInitFeatures?: number
  /** The 1x1 convolution in a layer has bnSize · growthRate channels (4). */
  bnSize?: number
  /** The share of each layer's output left out in training (0). */
  dropRate?: number
  /** Computes what a layer has between its convolutions again for the backward pass, instead of keeping it; the same bits (false). */
  memoryEfficient?: boolean
}

type Config = Required<DenseNetOptions>

/**
 * One layer of a dense block: normalisation, ReLU and a 1x1 convolution over all features so far, the same with 3x3 for what it adds.
 * Features [N, H, W, c] in one tensor or several -> [N, H, W, growthRate].
 */
class DenseLayer extends Module {
  norm1: BatchNorm2d
  conv1: Conv2d
  norm2: BatchNorm2d
  conv2: Conv2d
  dropout: Dropout | null

  constructor(channels: number, { growthRate, bnSize, dropRate }: Config) {
    super()
    const narrow = bnSize * growthRate
    this.norm1 = new BatchNorm2d(channels)
    this.conv1 = new Conv2d(channels, narrow, 1, { bias: false })
    this.norm2 = new BatchNorm2d(narrow)
    this.conv2 = new Conv2d(narrow, growthRate, 3, { padding: 1, bias: false })
    this.dropout = dropRate > 0 ? new Dropout(dropRate) : null
  }

  forward(features: readonly Tensor[], memoryEfficient: boolean): Tensor {
    const narrow = memoryEfficient ? checkpoint((...again) => this.#bottleneck(again), ...features) : this.#bottleneck(features)
    const added = this.conv2.forward(normRelu(this.norm2, narrow))
    return this.dropout?.forward(added) ?? added
  }

  #bottleneck(features: readonly Tensor[]): Tensor {
    return this.conv1.forward(normRelu(this.norm1, joined(features)))
  }

  /** What `denseBlock` takes; null where a layer is in evaluation or does anything of its own. */
  operands(dtype: string): DenseOperands | null {
    const { norm1, conv1, norm2, conv2 } = this
    const [first, second] = [trainingNorm(norm1), trainingNorm(norm2)]
    const alike = plain(this, DenseLayer) && this.dropout === null && squareConv(conv1, 1, dtype) && squareConv(conv2, 3, dtype)
    return alike && first && second ? { norm1: first, conv1: conv1.weight, norm2: second, conv2: conv2.weight } : null
  }
}

/** A convolution that keeps height and width, with nothing but a kernel of `side` x `side`. */
function squareConv(conv: Conv2d, side: number, dtype: string): boolean {
  const { kernelSize, stride, dilation, padding, groups, bias, weight } = conv
  return plain(conv, Conv2d) && kernelSize.every((size) => size === side) && [...stride, ...dilation, groups].every((step) => step === 1)
    && padding === (side - 1) / 2 && bias === null && weight.dtype === dtype
}

/** A normalisation by the batch, with parameters, and its running statistics' part. */
function trainingNorm(norm: BatchNorm2d): DenseNorm | null {
  const { weight, bias, eps, momentum, runningMean, runningVar, numBatchesTracked } = norm
  if (!plain(norm, BatchNorm2d) || !norm.training || weight === null || bias === null) return null
  const update = (mean: Tensor, variance: Tensor, samples: number): void => running(norm, () => {
    if (runningMean && runningVar && numBatchesTracked) run.batchNormUpdate(mean, variance, runningMean, runningVar, numBatchesTracked, samples, momentum ?? -1)
  })
  return { weight, bias, eps, update }
}

const joined = (features: readonly Tensor[]): Tensor => (features.length === 1 ? (features[0] as Tensor) : concat(features, -1))

/**
 * Layers that each see what all before them gave: [N, H, W, c] -> [N, H, W, c + layers · growthRate].
 *
 * In training all layers run as one op, `denseBlock`, on one buffer: memory is linear in the depth, and memory-efficient alone leaves out what
 * each layer has between its convolutions. Otherwise (in evaluation, with dropout, hooks or autocast) layers run one by one. Plainly, each one's
 * input is then the one before with the new channels appended; what of it waits for a backward pass grows with the square of the depth.
 * Memory-efficient, only the channels that each layer adds wait; the appended, normalised and activated tensors live while a layer runs, forward
 * and again backward. Memory-efficient or not, the bits are the same.
 */
class DenseBlock extends Module {
  [layer: `denselayer${number}`]: DenseLayer

  constructor(channels: number, readonly layers: number, readonly config: Config) {
    super()
    for (let i = 0; i < layers; i++) this[`denselayer${i + 1}`] = new DenseLayer(channels + i * config.growthRate, config)
  }

  forward(x: Tensor): Tensor {
    const operands = this.#operands(x)
    if (operands !== null) return denseBlock(x, operands, !this.config.memoryEfficient)
    let features = [x]
    for (let i = 1; i <= this.layers; i++) {
      const added = (this[`denselayer${i}`] as DenseLayer).forward(features, this.config.memoryEfficient)
      features = this.config.memoryEfficient ? [...features, added] : [joined([...features, added])]
    }
    return joined(features)
  }

  /** The block and what `transition` has before its convolution as one op; null where they do not fit one. */
  pooled(x: Tensor, transition: Transition): Tensor | null {
    const [operands, behind] = plain(this, DenseBlock) ? [this.#operands(x), transition.operands()] : [null, null]
    if (operands === null || behind === null || (x.shape[1] as number) < 2 || (x.shape[2] as number) < 2) return null
    return running(this, () => denseBlock(x, operands, !this.config.memoryEfficient, behind))
  }

  /** The layers' operands where all of them can run as one op. */
  #operands(x: Tensor): DenseOperands[] | null {
    const { norm1 } = this.denselayer1 as DenseLayer
    const fits = x.ndim === 4 && x.shape[3] === norm1.numFeatures && x.size / norm1.numFeatures > 1
    if (!fits || isAutocastEnabled()) return null
    const layers = Array.from({ length: this.layers }, (_, i) => (this[`denselayer${i + 1}`] as DenseLayer).operands(x.dtype))
    return layers.includes(null) ? null : (layers as DenseOperands[])
  }
}

/**
 * Between dense blocks: half the channels by a 1x1 convolution, half the height and width by 2x2 means. Both are linear and neither sees what the
 * other works on, so that the means come first: the convolution then has a quarter of the pixels.
 */
class Transition extends Module {
  norm: BatchNorm2d
  conv: Conv2d
  pool: AvgPool2d = new AvgPool2d(2)

  constructor(from: number, to: number) {
    super()
    this.norm = new BatchNorm2d(from)
    this.conv = new Conv2d(from, to, 1, { bias: false })
  }

  forward(x: Tensor): Tensor {
    return this.conv.forward(this.pool.forward(normRelu(this.norm, x)))
  }

  /** Its normalisation, where a dense block can take that and the means along; null where it does anything of its own. */
  operands(): DenseNorm | null {
    const halves = plain(this.pool, AvgPool2d) && this.pool.kernelSize === 2 && Object.keys(this.pool.options).length === 0
    return plain(this, Transition) && halves ? trainingNorm(this.norm) : null
  }
}

/**
 * DenseNet-BC: a stem, dense blocks with transitions between them that halve channels, height and width, normalisation, ReLU, the mean over all
 * positions, one Linear. Images [N, H, W, inChannels] -> logits [N, classes].
 * Huang et al., Densely Connected Convolutional Networks, 2017. Fields are named, and weights start, as in torchvision's `DenseNet`.
 */
export class DenseNet extends Module {
  /** The options it was made with, defaults filled in. */
  readonly config: Config
  /** All but the last layer, by torchvision's names. */
  features: ModuleDict
  /** From the last features to the logits. */
  classifier: Linear

  constructor(name: string, options: DenseNetOptions, defaults: Config) {
    super()
    const config: Config = settle(name, options, defaults)
    const { inChannels, classes, stem, growthRate, blockConfig, numInitFeatures, bnSize, dropRate, memoryEfficient } = config
    if (!Array.isArray(blockConfig) || blockConfig.length === 0) throw wrong(name, 'blockConfig', 'a list of layer counts', blockConfig)
    if (stem !== 'cifar' && stem !== 'imagenet') throw wrong(name, 'stem', "'cifar' or 'imagenet'", stem)
    const blocks = Object.fromEntries(blockConfig.map((layers, i) => [`blockConfig[${i}]`, layers]))
    positive(name, { inChannels, classes, growthRate, numInitFeatures, bnSize, ...blocks })
    numbers(name, { dropRate }, 0, 1)
    switches(name, { memoryEfficient })
    this.config = { ...config, blockConfig: [...blockConfig] }

    this.features = new ModuleDict(first(config))
    let channels = numInitFeatures
    blockConfig.forEach((layers, i) => {
      this.features.set(`denseblock${i + 1}`, new DenseBlock(channels, layers, this.config))
      channels += layers * growthRate
      if (i === blockConfig.length - 1) return
      const half = Math.floor(channels / 2)
      this.features.set(`transition${i + 1}`, new Transition(channels, half))
      channels = half
    })
    // torchvision's number, however many blocks there are.
    this.features.set('norm5', new BatchNorm2d(channels))
    this.classifier = new Linear(channels, classes)
    for (const module of this.modules()) if (module instanceof Conv2d) kaimingNormal(module.weight)
    zeros(this.classifier.bias as Tensor)
  }

  /** The classifier reads means, not a flattened image. */
  override get flattened(): Readonly<Record<string, number>> {
    return { classifier: 0 }
  }

  forward(images: Tensor): Tensor {
    let [x, before]: [Tensor, Tensor | null] = [images, null]
    const layers = [...this.features]
    layers.forEach(([name, layer], i) => {
      const next = layers[i + 1]?.[1]
      if (before !== null) {
        // The block has brought this transition to its convolution.
        const [pooled, { conv }] = [before, layer as Transition]
        x = running(layer, () => conv.forward(pooled))
        before = null
        return
      }
      before = layer instanceof DenseBlock && next instanceof Transition ? layer.pooled(x, next) : null
      if (before === null) x = name === 'norm5' ? normRelu(layer, x) : layer.forward(x)
    })
    return this.classifier.forward(x.mean([1, 2]))                // [N, C] -> [N, classes]
  }
}

function first({ stem, inChannels, numInitFeatures: to }: Config): Record<string, Module> {
  if (stem === 'cifar') return { conv0: new Conv2d(inChannels, to, 3, { padding: 1, bias: false }) }
  return {
    conv0: new Conv2d(inChannels, to, 7, { stride: 2, padding: 3, bias: false }),
    norm0: new BatchNorm2d(to),
    relu0: new ReLU(),
    pool0: new MaxPool2d(3, { stride: 2, padding: 1 }),
  }
}

const bc = { inChannels: 3, bnSize: 4, dropRate: 0, memoryEfficient: false }

/** DenseNet-BC for CIFAR, by default with 100 layers and growth rate 12: 769,162 parameters. @see DenseNet */
export function densenet(options: DenseNetOptions = {}): DenseNet {
  return new DenseNet('densenet', options, { ...bc, classes: 10, stem: 'cifar', growthRate: 12, blockConfig: [16, 16, 16], numInitFeatures: 24 })
}

/** DenseNet-121 for ImageNet: 7,978,856 parameters. @see DenseNet */
export function densenet121(options: DenseNetOptions = {}): DenseNet {
  return new DenseNet('densenet121', options, {
    ...bc, classes: 1000, stem: 'imagenet', growthRate: 32, blockConfig: [6, 12, 24, 16], numInitFeatures: 64,
  })
}
