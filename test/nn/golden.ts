// PyTorch's values for the cases of test/golden/make_nn.py and make_models.py, and the formula by which both sides of the former make weights
// and inputs.
import { readFileSync } from 'node:fs'
import { expect } from 'vitest'
import { type DType, tensor, type Tensor } from '../../ts/index.js'

export interface LayerCase {
  kind: 'layer'
  name: string
  layer: string
  args: unknown[]
  shape: number[]
  training: boolean
  scale: number
  ids: number | null
  passes: number
}

export interface InputSpec {
  kind: 'float' | 'unit' | 'rows' | 'labels' | 'sign' | 'onehot'
  shape: number[]
  seed: number
  scale?: number
  classes?: number
  ignore?: number
  grad?: boolean
}

export interface LossCase {
  kind: 'loss'
  name: string
  loss: string
  options: Record<string, unknown>
  inputs: InputSpec[]
}

export interface Golden<Case> {
  cases: Case[]
  /** Expected numbers and shape by `case.what`; undefined where nothing is stored. */
  expected(key: string): { shape: number[]; data: Float64Array } | undefined
  /** The keys that begin so. */
  keys(prefix: string): string[]
}

export function readGolden<Case = LayerCase | LossCase>(name = 'nn'): Golden<Case> {
  const file = readFileSync(new URL(`../golden/${name}.safetensors`, import.meta.url))
  const length = Number(file.readBigUInt64LE(0))
  type Header = Record<string, { shape: number[]; data_offsets: [number, number] }> & { __metadata__: { cases: string } }
  const header = JSON.parse(file.toString('utf8', 8, 8 + length)) as Header
  const body = 8 + length
  return {
    cases: JSON.parse(header.__metadata__.cases) as Case[],
    keys: (prefix) => Object.keys(header).filter((key) => key.startsWith(prefix)),
    expected(key) {
      const entry = header[key]
      if (entry === undefined) return undefined
      const [begin, end] = entry.data_offsets
      return { shape: entry.shape, data: new Float64Array(new Uint8Array(file.subarray(body + begin, body + end)).buffer) }
    },
  }
}

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1)

/** The formula of make_nn.py: numbers between -1 and 1, no two of them equal within 10,007. */
export function values(shape: readonly number[], seed: number, scale = 1): Float64Array {
  return Float64Array.from({ length: sizeOf(shape) }, (_, i) => (((i * 7919 + seed * 104729) % 10007) / 5003.5 - 1) * scale)
}

export function formula(shape: readonly number[], seed: number, dtype: DType, scale = 1): Tensor {
  return tensor(values(shape, seed, scale), { shape, dtype })
}

/** A loss's input by its description. */
export function makeInput(spec: InputSpec, dtype: DType): Tensor {
  const { shape } = spec
  const n = sizeOf(shape)
  const index = Array.from({ length: n }, (_, i) => i)
  const float = (data: ArrayLike<number>): Tensor => tensor(Float64Array.from(data), { shape, dtype })
  switch (spec.kind) {
    case 'float': return formula(shape, spec.seed, dtype, spec.scale)
    case 'unit': return float(values(shape, spec.seed).map((v) => v * 0.45 + 0.5))
    case 'rows': {
      const raw = values(shape, spec.seed).map((v) => v + 1.1)
      const width = shape[shape.length - 1] as number
      return float(raw.map((v, i) => v / raw.subarray(i - (i % width), i - (i % width) + width).reduce((a, b) => a + b, 0)))
    }
    case 'labels': {
      const labels = index.map((i) => (spec.ignore !== undefined && i % 3 === 1 ? spec.ignore : (i * 7 + 3) % (spec.classes as number)))
      return tensor(Int32Array.from(labels), { shape, dtype: 'int32' })
    }
    case 'sign': return float(index.map((i) => (i % 3 === 0 ? -1 : 1)))
    case 'onehot': {
      const width = shape[shape.length - 1] as number
      return float(index.map((i) => (i % width === (Math.floor(i / width) * 7 + 3) % width ? 1 : 0)))
    }
    default: throw new Error(`unknown kind ${String(spec.kind)}`)
  }
}

/** Compares with PyTorch's: 1e-9 in float64, 1e-5 in float32, relative to 1 + the expected magnitude. */
export function expectClose(key: string, actual: Tensor | null, expected: { shape: number[]; data: Float64Array }): void {
  expect(actual, key).not.toBeNull()
  const tensor = actual as Tensor
  expect(tensor.shape, `${key}: shape`).toEqual(expected.shape)
  const data = Array.from(tensor.dataSync() as ArrayLike<number>, Number)
  const tolerance = tensor.dtype === 'float32' ? 1e-5 : 1e-9
  expected.data.forEach((want, i) => {
    const got = data[i] as number
    const off = Math.abs(got - want) / (1 + Math.abs(want))
    if (!(off <= tolerance)) expect.fail(`${key}[${i}]: ${got} instead of ${want}`)
  })
}
