// Reading and writing safetensors: tensors by name and strings by name, nothing that could run.
import { createHash, type Hash } from 'node:crypto'
import { type FileHandle, open, stat } from 'node:fs/promises'
import { type DType, FileFormatError, tensor, Tensor, ValueError } from '../index.js'
import { checkStrings, kindOf, settle, unscoped, withFileErrors } from '../internal.js'
import { type FileSystem, writeDurably } from './durable.js'
import { recognise, recogniseBytes } from './foreign.js'
import { encodeHeader, type Entry, type Header, itemBytes, layOut, maxHeaderBytes, metadataKey, parseHeader } from './safetensors-header.js'

/** The content of a safetensors file. */
export interface Safetensors {
  /** Tensors by name, in the order of the file. */
  tensors: Record<string, Tensor>
  /** The file's strings by name. */
  metadata: Record<string, string>
}

/** Options of `saveSafetensors`. */
export interface SaveOptions {
  /** Strings to keep beside the tensors. */
  metadata?: Record<string, string>
  /** The file system to write through. Default `node:fs/promises`. */
  fs?: FileSystem
}

const checksumKey = 'ferrograd_sha256'
const noChecksum = '0'.repeat(64)
/** Says that a checksum must be there: damage to either of the two keys alone is noticed by the other. */
const markerKey = 'ferrograd_checksum'
/** Bytes handled in one go: a millisecond of hashing, so that the event loop stays free. */
const chunkBytes = 1 << 20

/**
 * Writes tensors to `path`, durably: the file is the old one or the new one, never half of either. The values are those of the moment of
 * the call; what runs later does not show. Equal contents give equal bytes. A SHA-256 of header and tensors is kept in the metadata and
 * compared by `loadSafetensors`.
 * @throws ValueError for what is no tensor or no string, and where `path` is a folder or a device; FileError where the system refuses (a full disk ...); the old file is whole then
 */
export async function saveSafetensors(
  path: string,
  tensors: Readonly<Record<string, Tensor>>,
  options: SaveOptions = {},
): Promise<void> {
  const { metadata, fs } = settle('saveSafetensors', options, { metadata: {}, fs: undefined })
  checkStrings('saveSafetensors', metadata, [markerKey, checksumKey])
  const named = tensorsOf(tensors)
  const entries = layOut(named.map(([name, { dtype, shape }]) => ({ name, dtype, shape })))
  const strings = { ...metadata, [markerKey]: 'sha256', [checksumKey]: noChecksum }
  // Made before the file is begun, as it may be refused.
  const header = encodeHeader(entries, strings)
  // All snapshots are asked for before the first await: together they are one point of the stream.
  const snapshots = new Map(named.map(([name, value]) => [name, value.data() as Promise<Values>]))
  const settled = await Promise.allSettled(snapshots.values())
  const failed = settled.find((result) => result.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  await writeDurably(
    path,
    async (write) => {
      const hash = createHash('sha256')
      const emit = async (bytes: Uint8Array): Promise<void> => {
        for (let at = 0; at < bytes.length; at += chunkBytes) {
          const chunk = bytes.subarray(at, at + chunkBytes)
          hash.update(chunk)
          await write(chunk)
        }
      }
      // The length of a digest is known, so the header's place is too: it is written first without it, and once more at the end.
      await emit(header)
      for (const { name, dtype } of entries) {
        await emit(toBytes((await snapshots.get(name)) as Values, dtype))
        snapshots.delete(name)
      }
      await write(encodeHeader(entries, { ...strings, [checksumKey]: hash.digest('hex') }), 0)
    },
    fs,
  )
}

/** The tensors by name. @throws ValueError for what is none, and for the one name that a file has no place for */
function tensorsOf(tensors: unknown): [string, Tensor][] {
  const op = 'saveSafetensors'
  if (typeof tensors !== 'object' || tensors === null || tensors instanceof Tensor || Array.isArray(tensors))
    throw new ValueError(`${op}: takes tensors by name, got ${kindOf(tensors)}.\n  ${op}(path, { weight: tensor }), or model.stateDict().`, { op })
  return Object.entries(tensors).map(([name, value]: [string, unknown]) => {
    if (!(value instanceof Tensor)) throw new ValueError(`${op}: ${name} must be a tensor, got ${kindOf(value)}.\n  Make one with tensor(...).`, { op })
    if (name === metadataKey) throw new ValueError(`${op}: no tensor can be called ${name}, where the format keeps its strings.\n  Give it another name.`, { op })
    return [name, value]
  })
}

/** Options of `loadSafetensors`. */
export interface LoadSafetensorsOptions {
  /** Reads only the tensors whose name passes. Default all. */
  filter?: (name: string) => boolean
}

/**
 * Reads a safetensors file. Every length is checked before it is used, and the checksum where Ferrograd wrote one.
 * @throws FileFormatError for a damaged or foreign file, with the way to convert what is recognised (PyTorch, Keras, NumPy, GGUF ...);
 * FileError where there is none or it cannot be read
 */
export async function loadSafetensors(path: string, options: LoadSafetensorsOptions = {}): Promise<Safetensors> {
  const { filter } = settle('loadSafetensors', options, { filter: undefined })
  const tensors: Record<string, Tensor> = Object.create(null) as Record<string, Tensor>
  return withFile(path, async (file) => {
    const { header, hash, start } = await readHeader(file, path)
    for (const entry of header.entries) {
      const wanted = filter === undefined || filter(entry.name)
      if (!wanted && hash === null) continue
      const bytes = await readExactly(file, start + entry.begin, entry.end - entry.begin, path, hash)
      if (wanted) tensors[entry.name] = toTensor(bytes, entry)
    }
    if (hash !== null && hash.digest('hex') !== header.metadata[checksumKey]) {
      for (const loaded of Object.values(tensors)) loaded.dispose()
      throw new FileFormatError(`safetensors: ${path}: ${damaged}`)
    }
    const { [checksumKey]: _, [markerKey]: __, ...metadata } = header.metadata
    return { tensors, metadata }
  })
}

/** What a file holds, without reading any tensor (the checksum is not compared then). @throws FileFormatError as `loadSafetensors` */
export async function inspectSafetensors(path: string): Promise<Header> {
  return withFile(path, async (file) => (await readHeader(file, path)).header)
}

const damaged = 'the checksum does not fit; the file was damaged after it was written.\n  Restore it from a copy.'

type Values = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array | Int8Array

function withFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  return withFileErrors('load', path, false, () => openFile(path, use))
}

async function openFile<T>(path: string, use: (file: FileHandle) => Promise<T>): Promise<T> {
  // Before it is opened: to open a pipe that nobody writes to would never end.
  const stats = await stat(path)
  if (!stats.isFile())
    throw new FileFormatError(`safetensors: ${path} is ${stats.isDirectory() ? 'a folder' : 'no regular file'}; give the .safetensors file.`)
  const file = await open(path, 'r')
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}

async function readHeader(file: FileHandle, path: string): Promise<{ header: Header; hash: Hash | null; start: number }> {
  const { size } = await file.stat()
  const head = await readExactly(file, 0, Math.min(size, recogniseBytes), path)
  const length = head.length < 8 ? -1 : Number(new DataView(head.buffer, head.byteOffset).getBigUint64(0, true))
  const brace = head[8] === 0x7b
  if (length < 2 || length > size - 8 || length > maxHeaderBytes || !brace)
    throw new FileFormatError(`safetensors: ${path}: ${fault(head, length, size, path)}`)
  const bytes = await readExactly(file, 8, length, path)
  const header = parseHeader(bytes, size - 8 - length, path)
  const digest = header.metadata[checksumKey]
  if ((digest === undefined) !== (header.metadata[markerKey] === undefined)) throw new FileFormatError(`safetensors: ${path}: ${damaged}`)
  if (digest === undefined) return { header, hash: null, start: 8 + length }
  // The digest covers the header as it was with zeros in the digest's place.
  const hash = createHash('sha256').update(head.subarray(0, 8))
  const field = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const place = field.indexOf(`"${checksumKey}":"${digest}"`)
  if (place >= 0 && digest.length === noChecksum.length) field.write(noChecksum, place + checksumKey.length + 4)
  return { header, hash: hash.update(bytes), start: 8 + length }
}

function fault(head: Uint8Array, length: number, size: number, path: string): string {
  if (size === 0) return 'the file is empty.\n  The download or the copy did not finish; get it again.'
  const known = head[8] === 0x7b && length > 0 ? null : recognise(head, path)
  if (known !== null) return known
  if (size < 10) return `the file has ${size} bytes, too few for a header.\n  The download or the copy did not finish; get it again.`
  if (head[8] !== 0x7b)
    return (
      'the file is no safetensors file: no header stands at its start.\n' +
      '  Save the weights with safetensors.torch.save_file or model.save.'
    )
  if (length > maxHeaderBytes)
    return `the header claims ${length} bytes; at most ${maxHeaderBytes} are allowed.\n  The file is damaged; get it again.`
  return `the header claims ${length} bytes, the file has ${size}.\n  The file is truncated; get it again.`
}

/** Reads a range in chunks, hashing on the way. */
async function readExactly(
  file: FileHandle,
  position: number,
  length: number,
  path: string,
  hash: Hash | null = null,
): Promise<Uint8Array> {
  // Its own memory, aligned for every element type (a Buffer from the pool is not).
  const bytes = new Uint8Array(length)
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, Math.min(chunkBytes, length - done), position + done)
    if (bytesRead === 0)
      throw new FileFormatError(`safetensors: ${path}: the file ends ${length - done} bytes early; it shrank while it was read.`)
    hash?.update(bytes.subarray(done, done + bytesRead))
    done += bytesRead
  }
  return bytes
}

function toTensor(bytes: Uint8Array, { dtype, shape }: Entry): Tensor {
  const { buffer } = bytes
  const values = {
    float32: () => new Float32Array(buffer),
    float64: () => new Float64Array(buffer),
    int64: () => new BigInt64Array(buffer),
    int32: () => new Int32Array(buffer),
    int8: () => new Int8Array(buffer),
    uint8: () => bytes,
    bool: () => bytes,
    bfloat16: () => widen(new Uint16Array(buffer), fromBfloat16),
    float16: () => widen(new Uint16Array(buffer), fromFloat16),
  }[dtype]()
  // No scope spans a read from a file: the tensors are the caller's, which is meant and no reason to warn.
  return unscoped(() => tensor(values, { dtype, shape, transfer: true }))
}

/** A tensor's values as the file holds them (little-endian, as is every machine that Node runs on but s390x). */
function toBytes(values: Values, dtype: DType): Uint8Array {
  if (dtype === 'bfloat16' || dtype === 'float16') {
    const narrow = dtype === 'bfloat16' ? toBfloat16 : toFloat16
    return new Uint8Array(Uint16Array.from(values as Float32Array, narrow).buffer)
  }
  if (values.byteLength !== values.length * itemBytes(dtype))
    throw new FileFormatError(`safetensors: ${dtype} data came as ${values.constructor.name}`)
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

const word = new DataView(new ArrayBuffer(4))

function widen(codes: Uint16Array, value: (code: number) => number): Float32Array {
  return Float32Array.from(codes, value)
}

function fromBfloat16(code: number): number {
  word.setUint32(0, code << 16)
  return word.getFloat32(0)
}

/** Exact for values that came from bfloat16. */
function toBfloat16(value: number): number {
  word.setFloat32(0, value)
  return word.getUint16(0)
}

function fromFloat16(code: number): number {
  const sign = code & 0x8000 ? -1 : 1
  const exponent = (code >> 10) & 31
  const fraction = code & 1023
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25))
}

/** Exact for values that came from float16. */
function toFloat16(value: number): number {
  word.setFloat32(0, value)
  const bits = word.getUint32(0)
  const sign = (bits >>> 16) & 0x8000
  if (Number.isNaN(value)) return sign | 0x7e00
  const size = Math.abs(value)
  if (size >= 65536) return sign | 0x7c00
  if (size < 2 ** -14) return sign | (size * 2 ** 24)
  return sign | ((((bits >>> 23) & 255) - 112) << 10) | ((bits >>> 13) & 1023)
}
