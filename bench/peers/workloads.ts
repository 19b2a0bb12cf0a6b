// The work that is compared: THE table of names. A row tells what the peers are told, and makes the tensors that all of them read.
import { join } from 'node:path'
import { networks } from '../networks/index.js'
import { type Convolution, convolutions, outSide, type Product, products } from '../shapes.js'
import { initial, integers, type Tensors, uniform } from './tensors.js'

/** What is asked of an implementation; each has one function a kind. */
export type Kind = 'gemm' | 'conv' | 'train' | 'infer' | 'stream' | 'text'
export type ComputeType = 'float32' | 'bfloat16'

export interface Workload {
  name: string
  kind: Kind
  dtype: ComputeType
  /** Workloads of one group share a peer's process; training steps have one each, so that none lives with another's memory. */
  group: string
  /** What the implementations are told beside kind, dtype and file: sizes, names. */
  work: Record<string, unknown>
  /** Calls whose results are compared before any is timed. */
  checks: number
  /** Shares of our values' root mean square, one a value; the last for all further ones. */
  tolerances: readonly number[]
  tensors: () => Tensors
}

/** Operands that calls take in turns, so that none finds its own left in the cache by the call before. */
const ROTATED = 4

const rotated = (name: string, shape: readonly number[], count: number = ROTATED): Tensors =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`${name}.${i}`, uniform(`${name}.${i}`, shape, -1, 1)]))

function gemm({ name, m, k, n, transposeA = false, transposeB = false, fixedB = false }: Product, dtype: ComputeType): Workload {
  return {
    name: dtype === 'float32' ? name : `${name}-bf16`, kind: 'gemm', dtype, group: 'gemm',
    work: { m, k, n, transposeA, transposeB, fixedB },
    checks: 1, tolerances: [dtype === 'float32' ? 1e-4 : 2e-2],
    tensors: () => ({ ...rotated('a', transposeA ? [k, m] : [m, k]), ...rotated('b', transposeB ? [n, k] : [k, n], fixedB ? 1 : ROTATED) }),
  }
}

function conv(shape: Convolution, pass: 'forward' | 'data' | 'weights'): Workload {
  const { name, batch, side, cin, cout, padding } = shape
  const out = outSide(shape)
  return {
    name: `${name}-${pass}`, kind: 'conv', dtype: 'float32', group: 'conv', work: { pass, padding }, checks: 1, tolerances: [1e-4],
    tensors: () => ({ ...rotated('x', [batch, side, side, cin]), ...rotated('w', [cout, 3, 3, cin]), ...rotated('dy', [batch, out, out, cout]) }),
  }
}

const CLASSES = 10

/** The network's parameters under `model.`, and batches. */
function modelTensors(name: string, batch: number, input: readonly number[]): Tensors {
  const network = networks[name]!
  const model = network.build()
  const found: Tensors = {}
  for (const [path, parameter] of model.namedParameters()) {
    found[`model.${path}`] = initial(path, parameter.shape)
    parameter.dispose()
  }
  for (let i = 0; i < ROTATED; i++) {
    const shape = [batch, ...input]
    found[`inputs.${i}`] = network.ids === undefined ? uniform(`inputs.${i}`, shape, 0, 1) : integers(`inputs.${i}`, shape, network.ids)
    found[`labels.${i}`] = integers(`labels.${i}`, [batch], CLASSES)
  }
  return found
}

const model = (kind: 'train' | 'infer' | 'stream', name: string, network: string, batch: number, input = networks[network]!.input): Omit<Workload, 'checks' | 'tolerances' | 'dtype'> => ({
  name, kind, group: name,
  work: { network, batch, input, flattened: networks[network]!.flattened ?? {}, learningRate: 1e-3 },
  tensors: () => modelTensors(network, batch, input),
})

// A first loss agrees to rounding. Later ones have been through Adam, whose first steps are signs of gradients: where a gradient is next to
// nothing rounding decides, and in a deep network with normalisation that grows.
const step = (name: string, network: string, batch: number): Workload =>
  ({ ...model('train', name, network, batch), dtype: 'float32', checks: 3, tolerances: [1e-4, 2e-2] })
/**
 * Over sequences of so many steps. What dropout leaves out is drawn by each implementation for itself, so that losses are only alike. In bfloat16 by
 * each one's autocast: parameters stay float32.
 */
const reading = (name: string, network: string, batch: number, steps: number, dtype: ComputeType = 'float32'): Workload => ({
  ...model('train', dtype === 'float32' ? name : `${name}-bf16`, network, batch, [steps]), dtype,
  checks: 3, tolerances: network === 'lstm' ? [0.1] : dtype === 'float32' ? [1e-4, 2e-2] : [1e-2, 5e-2],
})
const prediction = (name: string, network: string, batch: number): Workload =>
  ({ ...model('infer', name, network, batch), dtype: 'float32', checks: 2, tolerances: [1e-4] })
/** One word after the other, from its number in the language to scores in the language; the states go from call to call. */
const stream = (name: string, network: string): Workload => ({ ...model('stream', name, network, 1, [1]), dtype: 'float32', checks: 8, tolerances: [1e-4] })

/**
 * IMDB's 25,000 training reviews: a vocabulary of 20,000 words learned from them, or their ids in rows of 200. Lower case, without punctuation, cut at whitespace;
 * letters beyond ASCII become spaces first, for Keras' lower case and whitespace are ASCII's alone. Each side reads the files; checksums are compared.
 */
const text = (pass: 'adapt' | 'encode'): Workload => ({
  name: `text-imdb-${pass}`, kind: 'text', dtype: 'float32', group: 'text',
  work: { pass, folder: join(process.env.FERROGRAD_DATA ?? '', 'imdb'), words: 20_000, length: 200 },
  checks: 1, tolerances: [0], tensors: () => ({}),
})

export const workloads: readonly Workload[] = [
  ...products.flatMap((product) => [gemm(product, 'float32'), gemm(product, 'bfloat16')]),
  ...convolutions.flatMap((shape) => (['forward', 'data', 'weights'] as const).map((pass) => conv(shape, pass))),
  step('cnn-b32', 'cnn', 32),
  step('cnn-b128', 'cnn', 128),
  step('mlp-b64', 'mlp', 64),
  step('resnet18-b64', 'resnet18', 64),
  step('densenet-b64', 'densenet', 64),
  ...(['float32', 'bfloat16'] as const).flatMap((dtype) => [80, 200].flatMap((steps) => [
    reading(`lstm-s${steps}`, 'lstm', 32, steps, dtype),
    reading(`lstm-s${steps}-norec`, 'lstm-norec', 32, steps, dtype),
  ])),
  reading('bilstm-s100', 'bilstm', 64, 100),
  reading('bigru-s100', 'bigru', 64, 100),
  prediction('cnn-infer-b1', 'cnn', 1),
  stream('lstm-stream', 'lstm-norec'),
  text('adapt'),
  text('encode'),
]
