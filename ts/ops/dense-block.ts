import { isGradEnabled, isRecomputing, record } from '../autograd.js'
import { dtypeCode } from '../dtype.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { activationGradient } from './activation-code.js'
import { batchNorm } from './batch-norm.js'
import { concat } from './concat.js'
import type { Geometry } from './conv-options.js'
import { convolve, inputGradient, weightGradient } from './conv2d-record.js'
import { composed } from './norm-record.js'
import { shapeOf, sumBack } from './pointwise-table.js'
import { tracked } from './support.js'

/** A batch normalisation in training: its parameters [C], and what its running statistics make of the batch's. */
export interface DenseNorm {
  weight: Tensor
  bias: Tensor
  eps: number
  update: (mean: Tensor, variance: Tensor, samples: number) => void
}

/** What a dense layer is made of; conv1 [narrow, 1, 1, c], conv2 [growth, 3, 3, narrow]. */
export interface DenseOperands {
  norm1: DenseNorm
  conv1: Tensor
  norm2: DenseNorm
  conv2: Tensor
}

/** Parameters of a layer, in the order of the op's inputs. */
const PARAMETERS = 6
const parametersOf = ({ norm1, conv1, norm2, conv2 }: DenseOperands): Tensor[] => [norm1.weight, norm1.bias, conv1, norm2.weight, norm2.bias, conv2]

const window = (border: number): Geometry => ({ stride: [1, 1], padding: [border, border, border, border], dilation: [1, 1], groups: 1 })
const [POINT, AROUND] = [window(0), window(1)]

/** The block's features with statistics of each channel; of each layer what its first convolution gives, with its statistics, and what its second. */
interface Features { buffer: Tensor; mean: Tensor; variance: Tensor }
type Inner = readonly [narrow: Tensor, mean: Tensor, variance: Tensor]
type Kept = readonly [...inner: Inner, added: Tensor]

/**
 * A dense block in training: x [N, H, W, c] -> [N, H, W, c + layers · growth], where each layer appends
 * conv2(relu(norm2(conv1(relu(norm1(all channels so far)))))), a 1x1 and a padded 3x3 convolution.
 *
 * All channels lie in one buffer, into which each layer writes its own; their statistics, the same for every layer that reads them, are computed
 * once; what the normalisations give is never stored. The gradient of the buffer is added to in place. `keep`: each layer's tensors wait
 * for the backward pass, instead of being computed again; the same bits. `behind`: a normalisation of all features, ReLU and means over windows of
 * 2 x 2 follow, [N, H / 2, W / 2, c + layers · growth]. Huang et al., 2017; Pleiss et al., 2017.
 */
export function denseBlock(x: Tensor, layers: readonly DenseOperands[], keep = true, behind: DenseNorm | null = null): Tensor {
  const inputs = [x, ...layers.flatMap(parametersOf), ...(behind ? [behind.weight, behind.bias] : [])]
  return scope(() => {
    const [n, h, w, start] = x.shape as [number, number, number, number]
    const growth = layers[0]!.conv2.shape[0]!
    const width = start + layers.length * growth
    const features = empty([n, h, w, width], x)
    run.appendChannels(features.buffer, features.mean, features.variance, x, 0)
    const kept = layers.flatMap((layer, i) => scope(() => {
      const at = start + i * growth
      const inner = bottleneck(features, parametersOf(layer), layer)
      if (!isRecomputing()) {
        layer.norm1.update(features.mean.narrow(0, 0, at), features.variance.narrow(0, 0, at), n * h * w)
        layer.norm2.update(inner[1], inner[2], n * h * w)
      }
      const added = run.normReluConv3x3(...inner, layer.norm2.weight, layer.norm2.bias, layer.conv2, layer.norm2.eps)
      run.appendChannels(features.buffer, features.mean, features.variance, added, at)
      return keep ? [...inner, added] : []
    }))
    const { buffer, mean, variance } = features
    if (behind && !isRecomputing()) behind.update(mean, variance, n * h * w)
    const y = behind ? run.normReluPool(buffer, mean, variance, behind.weight, behind.bias, behind.eps) : buffer
    if (!inputs.some(tracked)) return y
    const likes = inputs.map(shapeOf)
    return record(y, {
      op: 'denseBlock',
      inputs,
      saved: [...inputs, buffer, mean, variance, ...kept],
      backward: (dy, ...saved) => {
        const [x, parameters] = [saved[0]!, layers.map((_, i) => saved.slice(1 + i * PARAMETERS, 1 + (i + 1) * PARAMETERS))]
        const [buffer, mean, variance, ...inner] = saved.slice(inputs.length) as [Tensor, Tensor, Tensor, ...Tensor[]]
        const tail = behind && { weight: saved[inputs.length - 2]!, bias: saved[inputs.length - 1]!, eps: behind.eps }
        const kept = layers.map((_, i) => (keep ? inner.slice(4 * i, 4 * i + 4) as unknown as Kept : null))
        const gradients = isGradEnabled()
          ? composedGradient(dy, x, parameters, layers, tail)
          : gradient(dy, { buffer, mean, variance }, x, parameters, layers, kept, tail)
        return gradients.map((g, i) => () => sumBack(g, likes[i]!))
      },
    })
  })
}

/** A buffer of features of x's dtype, which it is filled with, and room for statistics. */
function empty(shape: number[], x: Tensor): Features {
  const statistics = (): Tensor => run.full(shape.slice(-1), statisticsCode(x), 0, x._device)
  return { buffer: run.full(shape, x._code, 0, x._device), mean: statistics(), variance: statistics() }
}

const statisticsCode = (x: Tensor): number => (x.dtype === 'float64' ? x._code : dtypeCode('float32'))

/** norm1, ReLU, conv1 of the channels that conv1 reads. */
function bottleneck({ buffer, mean, variance }: Features, [weight1, bias1, conv1]: Tensor[], { norm1 }: DenseOperands): Inner {
  return run.normReluConv(buffer, mean, variance, weight1!, bias1!, conv1!, norm1.eps)
}

/** What follows the block: a normalisation, ReLU, means. */
type Tail = Pick<DenseNorm, 'weight' | 'bias' | 'eps'> | null

/** The gradients of x, of every layer's parameters, and of those behind. */
function gradient(
  dy: Tensor, features: Features, x: Tensor, parameters: Tensor[][], layers: readonly DenseOperands[], kept: readonly (Kept | null)[], tail: Tail,
): Tensor[] {
  const { buffer, mean, variance } = features
  const width = buffer.shape[3]!
  // Its own, to which every layer adds.
  const [dbuffer, correction, ...last] = tail
    ? run.normReluPoolGrad(dy, buffer, mean, variance, tail.weight, tail.bias, tail.eps)
    : [run.contiguous(dy), run.full([2, width], statisticsCode(buffer), 0, buffer._device)]
  const all: Tensor[][] = []
  let end = width
  for (let i = layers.length - 1; i >= 0; i--) {
    const [layer, own] = [layers[i]!, parameters[i]!]
    const [weight1, bias1, conv1, weight2, bias2, conv2] = own as [Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
    const growth = conv2.shape[0]!
    end -= growth
    all[i] = scope(() => {
      const [narrow, mean2, variance2, added] = kept[i] ?? [...bottleneck(features, own, layer), buffer.narrow(3, end, growth)]
      const dadded = run.appendChannelsGrad(dbuffer, added, mean, correction, end)
      const [dnarrow, correction2, dconv2, dweight2, dbias2] = run.normReluConv3x3Grad(dadded, narrow, mean2, variance2, weight2, bias2, conv2, layer.norm2.eps)
      const [dconv1, dweight1, dbias1] = run.normReluConvGrad(
        dnarrow, narrow, mean2, correction2, buffer, mean, variance, weight1, bias1, conv1, dbuffer, correction, layer.norm1.eps,
      )
      return [dweight1, dbias1, dconv1, dweight2, dbias2, dconv2]
    })
  }
  return [run.appendChannelsGrad(dbuffer, x, mean, correction, 0), ...all.flat(), ...last]
}

/** The same by public ops, whose own gradients follow. */
function composedGradient(dy: Tensor, x: Tensor, parameters: Tensor[][], layers: readonly DenseOperands[], tail: Tail): Tensor[] {
  const norm = (x: Tensor, weight: Tensor, bias: Tensor, eps: number): Tensor => batchNorm(x, { weight, bias, eps, training: true, activation: 'relu' })
  const normGradient = (d: Tensor, x: Tensor, y: Tensor, weight: Tensor, eps: number): Tensor[] =>
    composed(activationGradient('relu', y, d), x, weight, (t) => t, [0, 1, 2], eps)
  let features = x
  const steps = parameters.map(([weight1, bias1, conv1, weight2, bias2, conv2], i) => {
    const wide = features
    const wideActive = norm(wide, weight1!, bias1!, layers[i]!.norm1.eps)
    const narrow = convolve(wideActive, conv1!, null, POINT, 'none')
    const active = norm(narrow, weight2!, bias2!, layers[i]!.norm2.eps)
    features = concat([wide, convolve(active, conv2!, null, AROUND, 'none')], -1)
    return { wide, wideActive, narrow, active }
  })
  const [, h, w] = x.shape as [number, number, number]
  const last: Tensor[] = []
  if (tail) {
    const active = norm(features, tail.weight, tail.bias, tail.eps)
    const [d, dweight, dbias] = normGradient(meansGradient(dy, h, w), features, active, tail.weight, tail.eps)
    dy = d!
    last.push(dweight!, dbias!)
  }
  const all: Tensor[][] = []
  for (let i = steps.length - 1; i >= 0; i--) {
    const { wide, wideActive, narrow, active } = steps[i]!
    const [weight1, , conv1, weight2, , conv2] = parameters[i]!
    const [before, growth] = [wide.shape[3]!, conv2!.shape[0]!]
    const dadded = dy.narrow(3, before, growth)
    const [dnarrow, dweight2, dbias2] = normGradient(inputGradient(dadded, conv2!, h, w, AROUND), narrow, active, weight2!, layers[i]!.norm2.eps)
    const [dwide, dweight1, dbias1] = normGradient(inputGradient(dnarrow!, conv1!, h, w, POINT), wide, wideActive, weight1!, layers[i]!.norm1.eps)
    const convs = [weightGradient(wideActive, dnarrow!, [1, 1], POINT), weightGradient(active, dadded, [3, 3], AROUND)] as const
    all[i] = [dweight1!, dbias1!, convs[0], dweight2!, dbias2!, convs[1]]
    dy = dy.narrow(3, 0, before).add(dwide!)
  }
  return [dy, ...all.flat(), ...last]
}

/** The gradient of the means over windows of 2 x 2 of [N, h, w, C]: a last odd row or column is in none. */
function meansGradient(dy: Tensor, h: number, w: number): Tensor {
  const [n, rows, cols, c] = dy.shape as [number, number, number, number]
  const spread = dy.mul(0.25).reshape([n, rows, 1, cols, 1, c]).expand([n, rows, 2, cols, 2, c]).reshape([n, 2 * rows, 2 * cols, c])
  return spread.pad([0, 0, 0, w - 2 * cols, 0, h - 2 * rows])
}
