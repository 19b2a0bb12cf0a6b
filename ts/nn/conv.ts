import { ShapeError, ValueError } from '../errors.js'
import { settle } from '../options.js'
import type { Parameter, Tensor } from '../tensor.js'
import { border, type Pair, pair, positive, sameDType, switches } from './arguments.js'
import { uniformParameter } from './init.js'
import { Module } from './module.js'
import { conv1d, conv2d, conv2dPool, convTranspose2d } from './ops.js'

/** One number for all sides, [height, width], [top, bottom, left, right], 'same' (size of the input, stride 1), or 'valid' (none). */
export type Padding2d = number | readonly [number, number] | readonly [number, number, number, number] | 'same' | 'valid'

/** Options of `Conv2d`. */
export interface Conv2dOptions {
  /** Steps of the window (1). */
  stride?: Pair
  /** Zeros around the input (0). */
  padding?: Padding2d
  /** Distance of the kernel's taps (1). */
  dilation?: Pair
  /** The channels fall into this many groups that do not see each other (1). */
  groups?: number
  /** Adds a learned bias (true). */
  bias?: boolean
}

/** kaiming_uniform with a = √5, PyTorch's default, is uniform in ±1/√fan_in; the bias has the same bound. */
function weights(shape: number[], fanIn: number, out: number, bias: boolean): { weight: Parameter; bias: Parameter | null } {
  const bound = 1 / Math.sqrt(fanIn)
  return { weight: uniformParameter(shape, bound), bias: bias ? uniformParameter([out], bound) : null }
}

function checkGroups(layer: string, inChannels: number, outChannels: number, groups: number): void {
  positive(layer, { inChannels, outChannels, groups })
  if (inChannels % groups !== 0 || outChannels % groups !== 0) {
    throw new ValueError(`${layer}: groups ${groups} must divide inChannels ${inChannels} and outChannels ${outChannels}`)
  }
}

/** 'same' keeps the size, which a larger step cannot. */
function checkSame(layer: string, padding: unknown, stride: readonly number[]): void {
  if (padding !== 'same' || stride.every((step) => step === 1)) return
  throw new ValueError(`${layer}: padding 'same' needs stride 1, not ${String(stride)}. Give the padding in numbers`)
}

function checkChannels(
  name: string, x: Tensor, weight: Tensor, rank: number, letters: string, inChannels: number, remake: (channels: number) => string,
): void {
  const channels = x.shape[rank - 1]
  if (x.shape.length !== rank) {
    throw new ShapeError(
      `${name}: the input [${x.shape.join(', ')}] has ${x.shape.length} dimensions, expected ${rank} (${letters}). ` +
        'Use x.unsqueeze(0) for a single sample',
      { shapes: [x.shape] },
    )
  }
  if (channels === inChannels) return sameDType(name, x, weight)
  const second = x.shape[1] === inChannels ? ` The second dimension is ${inChannels}: channels are last here, use x.movedim(1, -1).` : ''
  throw new ShapeError(
    `${name}: the input [${x.shape.join(', ')}] (${letters}) has ${channels} channels, the layer expects ${inChannels}: ` +
      `use ${remake(channels as number)}.${second}`,
    { shapes: [x.shape] },
  )
}

/**
 * 2-D convolution (cross-correlation) of images [N, H, W, inChannels] -> [N, OH, OW, outChannels]; weight [outChannels, KH, KW, inChannels
 * / groups].
 * OH = ⌊(H + top + bottom - dilation (KH - 1) - 1) / stride⌋ + 1. PyTorch: `nn.Conv2d`, with channels second there.
 * @throws ShapeError where the channels do not fit, or the window is larger than the padded image.
 */
export class Conv2d extends Module {
  /** [outChannels, KH, KW, inChannels / groups]. */
  weight: Parameter
  /** [outChannels], or null for none. */
  bias: Parameter | null
  /** Size of the window, [height, width]. */
  readonly kernelSize: [number, number]
  /** Elements of the input from one window to the next, [height, width]. */
  readonly stride: [number, number]
  /** The border of the input. */
  readonly padding: Padding2d
  /** Elements from one of the kernel's taps to the next, [height, width]. */
  readonly dilation: [number, number]
  /** Channels fall into this many groups that do not see each other. */
  readonly groups: number

  constructor(
    /** Size of the last dimension of the input. */
    readonly inChannels: number,
    /** Size of the last dimension of the output. */
    readonly outChannels: number,
    kernelSize: Pair,
    options: Conv2dOptions = {},
  ) {
    super()
    const { stride, padding, dilation, groups, bias } = settle('Conv2d', options, {
      stride: 1, padding: 0, dilation: 1, groups: 1, bias: true,
    })
    checkGroups('Conv2d', inChannels, outChannels, groups)
    switches('Conv2d', { bias })
    this.kernelSize = pair('Conv2d', 'kernelSize', kernelSize, 1)
    this.stride = pair('Conv2d', 'stride', stride, 1)
    border('Conv2d', padding, { 2: '[height, width]', 4: '[top, bottom, left, right]' }, ['same', 'valid'])
    checkSame('Conv2d', padding, this.stride)
    this.padding = padding
    this.dilation = pair('Conv2d', 'dilation', dilation, 1)
    this.groups = groups
    const [height, width] = this.kernelSize
    const within = inChannels / groups
    ;({ weight: this.weight, bias: this.bias } = weights([outChannels, height, width, within], within * height * width, outChannels, bias))
  }

  forward(x: Tensor): Tensor {
    return this.#convolve(x, 'none')
  }

  /** ReLU of `forward` in one pass over memory; the same bits. `Sequential` calls it where a ReLU follows. */
  forwardRelu(x: Tensor): Tensor {
    return this.#convolve(x, 'relu')
  }

  /** The maximum over windows of the ReLU of `forward`, in one pass. `Sequential` calls it where a ReLU and a MaxPool2d follow. */
  forwardReluPool(x: Tensor, pool: readonly [number, number]): Tensor {
    this.#checkInput(x)
    const { stride, padding, dilation, groups } = this
    return conv2dPool(x, this.weight, this.bias, pool, { stride, padding, dilation, groups, activation: 'relu' })
  }

  #convolve(x: Tensor, activation: 'none' | 'relu'): Tensor {
    this.#checkInput(x)
    const { stride, padding, dilation, groups } = this
    return conv2d(x, this.weight, this.bias, { stride, padding, dilation, groups, activation })
  }

  #checkInput(x: Tensor): void {
    checkChannels('Conv2d', x, this.weight, 4, 'N H W C', this.inChannels, (c) => `new nn.Conv2d(${c}, ${this.outChannels}, ...)`)
  }

  override flops(_inputs: readonly Tensor[], output: Tensor): number {
    const taps = this.weight.size / this.outChannels
    return output.size * (2 * taps + (this.bias === null ? 0 : 1))
  }

  override extraRepr(): string {
    return describe(this, this.kernelSize.join('x'))
  }
}

/** Options of `Conv1d`; as for `Conv2d`, with one number each. */
export interface Conv1dOptions {
  /** Elements of the input from one window to the next. Default 1. */
  stride?: number
  /** A border of zeros: a number, [before, after], 'same' (the length stays) or 'valid' (none). Default 0. */
  padding?: number | readonly [number, number] | 'same' | 'valid'
  /** Elements from one of the kernel's taps to the next. Default 1. */
  dilation?: number
  /** Channels fall into this many groups that do not see each other. Default 1. */
  groups?: number
  /** Adds a number a channel. Default true. */
  bias?: boolean
}

/**
 * Convolution along sequences [N, T, inChannels] -> [N, OT, outChannels]; weight [outChannels, K, inChannels / groups]. PyTorch:
 * `nn.Conv1d`.
 */
export class Conv1d extends Module {
  /** [outChannels, K, inChannels / groups]. */
  weight: Parameter
  /** [outChannels], or null for none. */
  bias: Parameter | null
  /** Elements of the input from one window to the next. */
  readonly stride: number
  /** The border of the input. */
  readonly padding: number | readonly [number, number] | 'same' | 'valid'
  /** Elements from one of the kernel's taps to the next. */
  readonly dilation: number
  /** Channels fall into this many groups that do not see each other. */
  readonly groups: number

  constructor(
    /** Size of the last dimension of the input. */
    readonly inChannels: number,
    /** Size of the last dimension of the output. */
    readonly outChannels: number,
    /** Size of the window. */
    readonly kernelSize: number,
    options: Conv1dOptions = {},
  ) {
    super()
    const { stride, padding, dilation, groups, bias } = settle('Conv1d', options, {
      stride: 1, padding: 0, dilation: 1, groups: 1, bias: true,
    })
    checkGroups('Conv1d', inChannels, outChannels, groups)
    positive('Conv1d', { kernelSize, stride, dilation })
    switches('Conv1d', { bias })
    border('Conv1d', padding, { 2: '[before, after]' }, ['same', 'valid'])
    checkSame('Conv1d', padding, [stride])
    this.stride = stride
    this.padding = padding
    this.dilation = dilation
    this.groups = groups
    const within = inChannels / groups
    ;({ weight: this.weight, bias: this.bias } = weights([outChannels, kernelSize, within], within * kernelSize, outChannels, bias))
  }

  forward(x: Tensor): Tensor {
    checkChannels('Conv1d', x, this.weight, 3, 'N T C', this.inChannels, (c) => `new nn.Conv1d(${c}, ${this.outChannels}, ...)`)
    const { stride, padding, dilation, groups } = this
    return conv1d(x, this.weight, this.bias, { stride, padding, dilation, groups })
  }

  override flops(_inputs: readonly Tensor[], output: Tensor): number {
    return output.size * (2 * (this.weight.size / this.outChannels) + (this.bias === null ? 0 : 1))
  }

  override extraRepr(): string {
    return describe(this, String(this.kernelSize))
  }
}

/** Options of `ConvTranspose2d`. */
export interface ConvTranspose2dOptions {
  /** Elements of the output from one window to the next: a number, or [height, width]. Default 1. */
  stride?: Pair
  /** Rows and columns cut off each side of the output: a number, or [height, width]. Default 0. */
  padding?: Pair
  /** Rows and columns added at the bottom and right, to choose among the sizes that one stride maps to the same input (0). */
  outputPadding?: Pair
  /** Elements from one of the kernel's taps to the next: a number, or [height, width]. Default 1. */
  dilation?: Pair
  /** Channels fall into this many groups that do not see each other. Default 1. */
  groups?: number
  /** Adds a number a channel. Default true. */
  bias?: boolean
}

/**
 * Transposed convolution, the gradient of `Conv2d` with respect to its input: [N, H, W, inChannels] -> [N, OH, OW, outChannels],
 * OH = (H - 1) stride - 2 padding + dilation (KH - 1) + outputPadding + 1; weight [inChannels, KH, KW, outChannels / groups].
 * PyTorch: `nn.ConvTranspose2d`.
 */
export class ConvTranspose2d extends Module {
  /** [inChannels, KH, KW, outChannels / groups]. */
  weight: Parameter
  /** [outChannels], or null for none. */
  bias: Parameter | null
  /** Size of the window, [height, width]. */
  readonly kernelSize: [number, number]
  /** Elements of the output from one window to the next, [height, width]. */
  readonly stride: [number, number]
  /** Rows and columns cut off each side of the output, [height, width]. */
  readonly padding: [number, number]
  /** Rows and columns added at the bottom and right, [height, width]. */
  readonly outputPadding: [number, number]
  /** Elements from one of the kernel's taps to the next, [height, width]. */
  readonly dilation: [number, number]
  /** Channels fall into this many groups that do not see each other. */
  readonly groups: number

  constructor(
    /** Size of the last dimension of the input. */
    readonly inChannels: number,
    /** Size of the last dimension of the output. */
    readonly outChannels: number,
    kernelSize: Pair,
    options: ConvTranspose2dOptions = {},
  ) {
    super()
    const layer = 'ConvTranspose2d'
    const { stride, padding, outputPadding, dilation, groups, bias } = settle(layer, options, {
      stride: 1, padding: 0, outputPadding: 0, dilation: 1, groups: 1, bias: true,
    })
    checkGroups(layer, inChannels, outChannels, groups)
    switches(layer, { bias })
    this.kernelSize = pair(layer, 'kernelSize', kernelSize, 1)
    this.stride = pair(layer, 'stride', stride, 1)
    this.padding = pair(layer, 'padding', padding, 0)
    this.outputPadding = pair(layer, 'outputPadding', outputPadding, 0)
    this.dilation = pair(layer, 'dilation', dilation, 1)
    if (this.outputPadding.some((size, i) => size >= Math.max(this.stride[i]!, this.dilation[i]!))) {
      throw new ValueError(`${layer}: outputPadding ${String(this.outputPadding)} must be smaller than stride or dilation`)
    }
    this.groups = groups
    const [height, width] = this.kernelSize
    const out = outChannels / groups
    ;({ weight: this.weight, bias: this.bias } = weights([inChannels, height, width, out], out * height * width, outChannels, bias))
  }

  forward(x: Tensor): Tensor {
    checkChannels('ConvTranspose2d', x, this.weight, 4, 'N H W C', this.inChannels, (c) => `new nn.ConvTranspose2d(${c}, ${this.outChannels}, ...)`)
    const { stride, padding, outputPadding, dilation, groups } = this
    return convTranspose2d(x, this.weight, this.bias, { stride, padding, outputPadding, dilation, groups })
  }

  override flops(inputs: readonly Tensor[], output: Tensor): number {
    const spread = (inputs[0]?.size ?? 0) * 2 * (this.weight.size / this.inChannels)
    return spread + (this.bias === null ? 0 : output.size)
  }

  override extraRepr(): string {
    return describe(this, this.kernelSize.join('x'))
  }
}

interface Described {
  inChannels: number
  outChannels: number
  stride: unknown
  padding: unknown
  dilation: unknown
  groups: number
  bias: Parameter | null
}

function describe(layer: Described, kernel: string): string {
  const differs = (name: string, value: unknown, usual: string): string => {
    const text = String(value)
    return text === usual || text === `${usual},${usual}` ? '' : `, ${name}=${text}`
  }
  return `${layer.inChannels}, ${layer.outChannels}, ${kernel}` +
    differs('stride', layer.stride, '1') + differs('padding', layer.padding, '0') +
    differs('dilation', layer.dilation, '1') + differs('groups', layer.groups, '1') + (layer.bias === null ? ', bias=false' : '')
}
