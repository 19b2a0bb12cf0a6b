// Initialisers: each writes into a parameter in place, without a gradient, and gives it back. Weights are [out, ..., in], so a Linear's
// fan-in is
// its last dimension and a convolution's the product of all but the first.
import { dtypeCode, type FloatDType } from '../dtype.js'
import { ShapeError, ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { settle } from '../options.js'
import { type Generator, defaultGenerator } from '../random.js'
import { noGrad, scope } from '../scope.js'
import { Parameter, type Tensor } from '../tensor.js'

/** Where an initialiser draws from; without it from the default generator (`manualSeed`). */
export interface InitOptions {
  /** Where the numbers come from; the default one if left out. */
  generator?: Generator | undefined
}

/** How a weight's variance follows from its sizes. */
export interface KaimingOptions extends InitOptions {
  /** Slope of the leaky ReLU that follows (0). */
  a?: number
  /** Keeps the variance in the forward pass ('fanIn') or the backward pass ('fanOut'). */
  mode?: 'fanIn' | 'fanOut'
  /** What follows ('leakyRelu'). */
  nonlinearity?: Nonlinearity
}

/** The activations that `init.gain` and the kaiming initialisers know. */
export type Nonlinearity = 'linear' | 'sigmoid' | 'tanh' | 'relu' | 'leakyRelu' | 'selu'

/** The factor that keeps the variance through a nonlinearity; `slope` is the leaky ReLU's (0.01). PyTorch: `nn.init.calculate_gain`. */
export function gain(nonlinearity: Nonlinearity, slope: number = 0.01): number {
  switch (nonlinearity) {
    case 'linear': case 'sigmoid': return 1
    case 'tanh': return 5 / 3
    case 'relu': return Math.SQRT2
    case 'leakyRelu': return Math.sqrt(2 / (1 + slope * slope))
    case 'selu': return 0.75
    default: throw new ValueError(`init: no nonlinearity "${String(nonlinearity)}"; there are linear, sigmoid, tanh, relu, leakyRelu, selu`)
  }
}

/** Inputs and outputs that one element of the layer sees: Linear [O, I], convolutions [O, ..., I]. */
export function fans(weight: Tensor): { fanIn: number; fanOut: number } {
  const { shape } = weight
  if (shape.length < 2) throw wrongRank('fans need at least two dimensions', shape)
  const receptive = shape.slice(1, -1).reduce((product, size) => product * size, 1)
  return { fanIn: (shape[shape.length - 1] as number) * receptive, fanOut: (shape[0] as number) * receptive }
}

/** Uniform in [low, high). */
export function uniform<T extends Tensor>(target: T, low: number = 0, high: number = 1, options: InitOptions = {}): T {
  return fill(target, plain('uniform', options), (key, dtype) => run.uniform(key, target.shape, dtype, low, high))
}

/** Normal with the given mean and standard deviation. */
export function normal<T extends Tensor>(target: T, mean: number = 0, std: number = 1, options: InitOptions = {}): T {
  return fill(target, plain('normal', options), (key, dtype) => run.normal(key, target.shape, dtype, mean, std))
}

/** Normal, drawn again outside [low, high] (absolute bounds). PyTorch: `trunc_normal_`. */
export function truncatedNormal<T extends Tensor>(
  target: T, mean: number = 0, std: number = 1, low: number = -2, high: number = 2, options: InitOptions = {},
): T {
  return fill(target, plain('truncatedNormal', options), (key, dtype) => run.truncatedNormal(key, target.shape, dtype, mean, std, low, high))
}

/** Every element `value`. */
export function constant<T extends Tensor>(target: T, value: number): T {
  noGrad(() => run.fill(target, value))
  return target
}

/** Zeros. */
export function zeros<T extends Tensor>(target: T): T {
  return constant(target, 0)
}

/** Ones. */
export function ones<T extends Tensor>(target: T): T {
  return constant(target, 1)
}

/** Glorot's uniform: ±gain √(6 / (fanIn + fanOut)). Glorot & Bengio, 2010. */
export function xavierUniform<T extends Tensor>(target: T, options: InitOptions & { gain?: number } = {}): T {
  const { gain, generator } = scaled('xavierUniform', options)
  const { fanIn, fanOut } = fans(target)
  const bound = gain * Math.sqrt(6 / (fanIn + fanOut))
  return uniform(target, -bound, bound, { generator })
}

/** Glorot's normal: standard deviation gain √(2 / (fanIn + fanOut)). */
export function xavierNormal<T extends Tensor>(target: T, options: InitOptions & { gain?: number } = {}): T {
  const { gain, generator } = scaled('xavierNormal', options)
  const { fanIn, fanOut } = fans(target)
  return normal(target, 0, gain * Math.sqrt(2 / (fanIn + fanOut)), { generator })
}

/** He's uniform: ±gain √(3 / fan). He et al., 2015. PyTorch's layers use it with a = √5. */
export function kaimingUniform<T extends Tensor>(target: T, options: KaimingOptions = {}): T {
  const { std, generator } = kaiming('kaimingUniform', target, options)
  const bound = Math.sqrt(3) * std
  return uniform(target, -bound, bound, { generator })
}

/** He's normal: standard deviation gain / √fan. */
export function kaimingNormal<T extends Tensor>(target: T, options: KaimingOptions = {}): T {
  const { std, generator } = kaiming('kaimingNormal', target, options)
  return normal(target, 0, std, { generator })
}

function kaiming(name: string, target: Tensor, options: KaimingOptions): { std: number; generator: Generator | undefined } {
  const { a, mode, nonlinearity, generator } = settle(`init.${name}`, options, {
    a: 0, mode: 'fanIn', nonlinearity: 'leakyRelu', generator: undefined,
  })
  const fan = fans(target)[mode] as number | undefined
  if (fan === undefined) throw new ValueError(`init: mode is 'fanIn' or 'fanOut', not "${String(mode)}"`)
  return { std: fan === 0 ? 0 : gain(nonlinearity, a) / Math.sqrt(fan), generator }
}

/** LeCun's uniform: ±√(3 / fanIn). */
export function lecunUniform<T extends Tensor>(target: T, options: InitOptions = {}): T {
  const bound = Math.sqrt(3 / fans(target).fanIn)
  return uniform(target, -bound, bound, { generator: plain('lecunUniform', options) })
}

/** LeCun's normal: standard deviation √(1 / fanIn). */
export function lecunNormal<T extends Tensor>(target: T, options: InitOptions = {}): T {
  return normal(target, 0, Math.sqrt(1 / fans(target).fanIn), { generator: plain('lecunNormal', options) })
}

/**
 * Rows (or, where there are more rows than columns, columns) of length `gain` at right angles; all but the first dimension count as one.
 * Saxe et al., 2013.
 */
export function orthogonal<T extends Tensor>(target: T, options: InitOptions & { gain?: number } = {}): T {
  const { gain, generator } = scaled('orthogonal', options)
  if (target.shape.length < 2) throw wrongRank('orthogonal needs at least two dimensions', target.shape)
  const rows = target.shape[0] as number
  const columns = rows === 0 ? 0 : target.size / rows
  return fill(target, generator, (key, dtype) => {
    const matrix = run.orthogonal(run.normal(key, [rows, columns], dtype, 0, 1))
    return run.mulScalar(run.reshape(matrix, target.shape), gain)
  })
}

/** The identity for a convolution [O, ..., I]: channel i passes at the kernel's centre. PyTorch: `dirac_`. */
export function dirac<T extends Tensor>(target: T, options: { groups?: number } = {}): T {
  const { groups } = settle('init.dirac', options, { groups: 1 })
  const { shape } = target
  if (shape.length < 3) throw wrongRank("dirac needs a convolution's weight [O, ..., I]", shape)
  const [out, inner] = [shape[0] as number, shape[shape.length - 1] as number]
  if (!(groups >= 1) || out % groups !== 0) throw new ValueError(`init: dirac: ${out} output channels do not fall into ${groups} groups`)
  const spatial = shape.slice(1, -1)
  const centre = spatial.reduce((flat, size) => flat * size + Math.floor(size / 2), 0)
  const perGroup = out / groups
  zeros(target)
  noGrad(() => scope(() => {
    for (let channel = 0; channel < out; channel++) {
      const within = channel % perGroup
      if (within >= inner) continue
      let place: Tensor = run.select(target, 0, channel)
      for (let rest = centre, dim = spatial.length - 1; dim >= 0; rest = Math.floor(rest / (spatial[dim] as number)), dim--) {
        place = run.select(place, dim, rest % (spatial[dim] as number))
      }
      run.fill(run.select(place, 0, within), 1)
    }
  }))
  return target
}

/** Normal(0, std), with the given share of each column (each input's weights) zero. PyTorch: `sparse_`. */
export function sparse<T extends Tensor>(target: T, sparsity: number, std: number = 0.01, options: InitOptions = {}): T {
  if (target.shape.length !== 2) throw wrongRank('sparse needs a matrix', target.shape)
  const generator = plain('sparse', options) ?? defaultGenerator()
  const zeroed = Math.ceil(sparsity * (target.shape[0] as number))
  return fill(target, generator, (key, dtype) => {
    // The rows with the smallest draws of each column are zero.
    const [, order] = run.sort(run.uniform(generator.key(), target.shape, dtypeCode('float32'), 0, 1), 0, false)
    const [, rank] = run.sort(order, 0, false)
    return run.mul(run.normal(key, target.shape, dtype, 0, std), run.cast(run.geScalar(rank, zeroed), dtype))
  })
}

function wrongRank(needs: string, shape: readonly number[]): ShapeError {
  return new ShapeError(`init: ${needs}, got [${shape.join(', ')}]`, { shapes: [shape] })
}

function plain(name: string, options: InitOptions): Generator | undefined {
  return settle(`init.${name}`, options, { generator: undefined }).generator
}

function scaled(name: string, options: InitOptions & { gain?: number }): { gain: number; generator: Generator | undefined } {
  return settle(`init.${name}`, options, { gain: 1, generator: undefined })
}

function fill<T extends Tensor>(
  target: T, generator: Generator = defaultGenerator(), make: (key: Tensor, dtype: number) => Tensor,
): T {
  noGrad(() => scope(() => {
    run.assign(target, make(generator.key(), dtypeCode(target.dtype)))
  }))
  return target
}

/** A parameter that starts uniform in ±bound. */
export function uniformParameter(shape: readonly number[], bound: number, dtype: FloatDType = 'float32'): Parameter {
  return scope(() => new Parameter(run.uniform(defaultGenerator().key(), shape, dtypeCode(dtype), -bound, bound) as Tensor<FloatDType>))
}

/** A parameter that starts normal around zero. */
export function normalParameter(shape: readonly number[], std: number): Parameter {
  return scope(() => new Parameter(run.normal(defaultGenerator().key(), shape, dtypeCode('float32'), 0, std) as Tensor<FloatDType>))
}

/** A parameter of one value. */
export function constantParameter(shape: readonly number[], value: number): Parameter {
  return scope(() => new Parameter(run.full(shape, dtypeCode('float32'), value) as Tensor<FloatDType>))
}

/** Sets one row of a table to zero. */
export function zeroRow(table: Tensor, row: number): void {
  noGrad(() => scope(() => run.fill(run.select(table, 0, row), 0)))
}
