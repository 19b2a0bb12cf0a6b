// The header of a safetensors file: 8 bytes of length, then JSON. Nothing in it is believed before it is checked.
import { type DType, FileFormatError, ValueError } from '../index.js'

/** One tensor of a file: where its bytes lie, counted from the end of the header. */
export interface Entry {
  name: string
  dtype: DType
  shape: number[]
  begin: number
  end: number
}

/** A checked header: entries in the order of their bytes. */
export interface Header {
  entries: Entry[]
  metadata: Record<string, string>
}

/** What the format keeps strings under. */
export const metadataKey = '__metadata__'
/** The format's own limit on the header. */
export const maxHeaderBytes = 100_000_000
/** The most dimensions a tensor has here. */
const maxRank = 8

const toDType: Record<string, DType> = {
  F64: 'float64',
  F32: 'float32',
  BF16: 'bfloat16',
  F16: 'float16',
  I64: 'int64',
  I32: 'int32',
  I8: 'int8',
  U8: 'uint8',
  BOOL: 'bool',
}
const foreignDTypes = new Set(['I16', 'U16', 'U32', 'U64', 'F8_E4M3', 'F8_E5M2', 'F8_E8M0', 'F4', 'F6_E2M3', 'F6_E3M2', 'C64'])
const fromDType = Object.fromEntries(Object.entries(toDType).map(([name, dtype]) => [dtype, name])) as Record<DType, string>
const sizes: Record<DType, number> = { float64: 8, int64: 8, float32: 4, int32: 4, bfloat16: 2, float16: 2, uint8: 1, int8: 1, bool: 1 }

/** Bytes of one element as files hold it. */
export const itemBytes = (dtype: DType): number => sizes[dtype]

/**
 * Checks a header against the bytes that follow it: every name once, dtypes known, shapes whole, ranges inside the file, side by side
 * without overlap or hole, each exactly its shape's size.
 * @throws FileFormatError with the tensor and the fault
 */
export function parseHeader(bytes: Uint8Array, dataBytes: number, path: string): Header {
  const fail = (fault: string): never => {
    throw new FileFormatError(
      `safetensors: ${path}: ${fault}.\n  The file is damaged or was not written by a safetensors library; get or save it again.`,
    )
  }
  let text: string
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return fail('the header is not UTF-8')
  }
  if (!text.startsWith('{')) return fail('the header is no JSON object')
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch {
    return fail('the header is not valid JSON')
  }
  const twice = repeatedKey(text)
  if (twice !== null) return fail(`the header names "${twice}" twice`)

  const metadata: Record<string, string> = Object.create(null) as Record<string, string>
  const entries: Entry[] = []
  for (const [name, value] of Object.entries(parsed as object)) {
    if (name === metadataKey) {
      if (!isObject(value)) return fail('__metadata__ is no object')
      for (const [key, item] of Object.entries(value))
        metadata[key] = typeof item === 'string' ? item : fail(`the metadata "${key}" is no string`)
      continue
    }
    entries.push(parseEntry(name, value, dataBytes, path, fail))
  }
  // Side by side and in order; empty tensors share a place with their neighbour.
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end)
  let end = 0
  for (const entry of entries) {
    if (entry.begin < end) return fail(`"${entry.name}" overlaps the tensor before it`)
    if (entry.begin > end) return fail(`${entry.begin - end} bytes before "${entry.name}" belong to no tensor`)
    end = entry.end
  }
  if (end !== dataBytes) return fail(`the tensors take ${end} bytes, the file holds ${dataBytes}`)
  return { entries, metadata }
}

function parseEntry(name: string, value: unknown, dataBytes: number, path: string, fail: (fault: string) => never): Entry {
  if (!isObject(value)) return fail(`the entry "${name}" is no object`)
  const { dtype: code, shape, data_offsets: offsets } = value
  if (typeof code !== 'string') return fail(`"${name}" has no dtype`)
  const dtype = Object.hasOwn(toDType, code) ? toDType[code] : undefined
  if (dtype === undefined) {
    if (!foreignDTypes.has(code)) return fail(`"${name}" has the unknown dtype ${JSON.stringify(code.slice(0, 40))}`)
    throw new FileFormatError(
      `safetensors: ${path}: "${name}" has the dtype ${code}, which Ferrograd lacks.\n` +
        `  Convert it to F32 (or I32) in Python and save it again.`,
    )
  }
  if (!Array.isArray(shape) || !shape.every(isCount)) return fail(`the shape of "${name}" is no list of whole numbers`)
  if (shape.length > maxRank) return fail(`"${name}" has ${shape.length} dimensions; at most ${maxRank} are possible`)
  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isCount))
    return fail(`data_offsets of "${name}" are no two whole numbers`)
  const [begin, end] = offsets as [number, number]
  if (begin > end || end > dataBytes) return fail(`"${name}" lies at ${begin}..${end} of ${dataBytes} bytes of data`)
  let size = sizes[dtype]
  for (const dim of shape as number[]) {
    size *= dim
    // Past this the product is no exact integer any more, and no file is that long.
    if (size > Number.MAX_SAFE_INTEGER && !(shape as number[]).includes(0)) return fail(`the shape of "${name}" overflows`)
  }
  if ((shape as number[]).includes(0)) size = 0
  if (size !== end - begin) return fail(`"${name}" [${shape.join(', ')}] of ${code} takes ${size} bytes, its range has ${end - begin}`)
  return { name, dtype, shape: shape as number[], begin, end }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)
const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && !Object.is(value, -0)

/** The first key that stands twice in one object of valid JSON (where `JSON.parse` silently takes the last), or null. */
function repeatedKey(json: string): string | null {
  const open: (Set<string> | null)[] = [] // null stands for an array
  let text = ''
  for (let i = 0; i < json.length; i++) {
    const char = json[i]
    if (char === '"') {
      const start = i
      for (i++; json[i] !== '"'; i++) if (json[i] === '\\') i++
      text = json.slice(start, i + 1)
    } else if (char === '{') open.push(new Set())
    else if (char === '[') open.push(null)
    else if (char === '}' || char === ']') open.pop()
    else if (char === ':') {
      const key = JSON.parse(text) as string
      if (open.at(-1)?.has(key)) return key
      open.at(-1)?.add(key)
    }
  }
  return null
}

/**
 * The place of every tensor in a file to be written: wide elements first, so that each is aligned, then by name, so that equal states give
 * equal files.
 */
export function layOut(tensors: Iterable<{ name: string; dtype: DType; shape: readonly number[] }>): Entry[] {
  const ordered = [...tensors].sort((a, b) => sizes[b.dtype] - sizes[a.dtype] || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  let end = 0
  return ordered.map(({ name, dtype, shape }) => {
    const begin = end
    end += shape.reduce((product, dim) => product * dim, sizes[dtype])
    return { name, dtype, shape: [...shape], begin, end }
  })
}

/** The length field and the JSON, padded with spaces to a multiple of eight. @throws ValueError for one longer than the format allows */
export function encodeHeader(entries: readonly Entry[], metadata: Readonly<Record<string, string>>): Buffer {
  const fields: [string, unknown][] = Object.keys(metadata).length > 0 ? [[metadataKey, metadata]] : []
  for (const { name, dtype, shape, begin, end } of entries)
    fields.push([name, { dtype: fromDType[dtype], shape, data_offsets: [begin, end] }])
  // Written key by key: as keys of an object, names such as "__proto__" or "0" would vanish or move.
  const json = `{${fields.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`
  const length = Buffer.byteLength(json)
  const padded = Math.ceil(length / 8) * 8
  if (padded > maxHeaderBytes)
    throw new ValueError(`safetensors: names and metadata take ${padded} bytes; the format allows ${maxHeaderBytes}.\n  Keep what is long in a file of its own.`)
  const header = Buffer.alloc(8 + padded, ' ')
  header.writeBigUInt64LE(BigInt(padded), 0)
  header.write(json, 8)
  return header
}
