// Weights and batches as every implementation reads them: made once by a seeded formula, in one safetensors file, channels last.
import { readFileSync, writeFileSync } from 'node:fs'

export interface Values { shape: readonly number[]; data: Float32Array | Int32Array }
export type Tensors = Record<string, Values>

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1)

/** mulberry32, seeded by the tensor's name (FNV-1a): the same name gives the same values on every machine. */
function generator(name: string): () => number {
  let state = 2166136261
  for (const letter of name) state = Math.imul(state ^ letter.charCodeAt(0), 16777619)
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296
  }
}

export function uniform(name: string, shape: readonly number[], low: number, high: number): Values {
  const next = generator(name)
  return { shape, data: Float32Array.from({ length: sizeOf(shape) }, () => low + (high - low) * next()) }
}

export function integers(name: string, shape: readonly number[], below: number): Values {
  const next = generator(name)
  return { shape, data: Int32Array.from({ length: sizeOf(shape) }, () => Math.floor(next() * below)) }
}

/** A parameter's start: He's uniform range for weights, around 1 for factors of a normalisation, small for biases. */
export function initial(name: string, shape: readonly number[]): Values {
  if (shape.length === 1) return name.endsWith('weight') ? uniform(name, shape, 0.5, 1.5) : uniform(name, shape, -0.1, 0.1)
  const bound = Math.sqrt(6 / sizeOf(shape.slice(1)))
  return uniform(name, shape, -bound, bound)
}

export function write(file: string, tensors: Tensors): void {
  const header: Record<string, unknown> = {}
  let offset = 0
  for (const [name, { shape, data }] of Object.entries(tensors)) {
    header[name] = { dtype: data instanceof Int32Array ? 'I32' : 'F32', shape, data_offsets: [offset, offset += data.byteLength] }
  }
  const text = Buffer.from(JSON.stringify(header))
  const padded = Buffer.concat([text, Buffer.alloc(-text.length & 7, ' ')])
  const length = Buffer.alloc(8)
  length.writeBigUInt64LE(BigInt(padded.length))
  const parts = Object.values(tensors).map(({ data }) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  writeFileSync(file, Buffer.concat([length, padded, ...parts]))
}

interface Row { dtype: string; shape: number[]; data_offsets: [number, number] }

export function read(file: string): Tensors {
  // Into an ArrayBuffer of its own: small files come from a pool, at offsets that no Float32Array may start at.
  const bytes = new Uint8Array(readFileSync(file)).buffer
  const end = 8 + Number(new DataView(bytes).getBigUint64(0, true))
  const header = JSON.parse(Buffer.from(bytes, 8, end - 8).toString()) as Record<string, Row>
  return Object.fromEntries(Object.entries(header).map(([name, { dtype, shape, data_offsets: [start] }]) =>
    [name, { shape, data: new (dtype === 'I32' ? Int32Array : Float32Array)(bytes, end + start, sizeOf(shape)) }]))
}
