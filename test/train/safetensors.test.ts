import { spawnSync } from 'node:child_process'
import { truncateSync } from 'node:fs'
import { mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type DType, FileError, FileFormatError, nn, ones, tensor, type Tensor, train, ValueError, zeros } from '../../ts/index.js'
import { held, settled } from '../settle.js'

const { inspectSafetensors, loadSafetensors, saveSafetensors } = train
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferrograd-safetensors-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** A file with any header and any data. */
function file(header: unknown, data: Uint8Array | number = 0, length?: bigint): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header))
  const size = Buffer.alloc(8)
  size.writeBigUInt64LE(length ?? BigInt(json.length))
  return Buffer.concat([size, json, typeof data === 'number' ? Buffer.alloc(data) : data])
}
const entry = (dtype: unknown, shape: unknown, begin: unknown, end: unknown): object => ({ dtype, shape, data_offsets: [begin, end] })
const f32 = (n: number, at = 0): object => entry('F32', [n], at, at + 4 * n)
const zipped = (name: string): Buffer => Buffer.concat([Buffer.from([0x50, 0x4b, 3, 4]), Buffer.alloc(26), Buffer.from(name)])

const attacks: Record<string, [bytes: Buffer, message: RegExp]> = {
  'empty file': [Buffer.alloc(0), /is empty/],
  'three bytes': [Buffer.from('abc'), /3 bytes, too few/],
  'length alone': [file('', 0, 8n), /8 bytes, too few/],
  'header longer than the file': [file({ a: f32(1) }, 4, 5000n), /claims 5000 bytes, the file has/],
  'header length with the top bit': [file({ a: f32(1) }, 4, 1n << 63n), /claims 9223372036854776000/],
  'header length of all ones': [file({ a: f32(1) }, 4, (1n << 64n) - 1n), /at most 100000000/],
  'header above the cap': [file({ a: f32(1) }, 4, 100_000_001n), /at most 100000000/],
  'no object': [file('[1,2,3]', 4), /no header stands/],
  'cut JSON': [file('{"a":', 4), /not valid JSON/],
  'two values': [file('{} {}', 0), /not valid JSON/],
  'not UTF-8': [Buffer.concat([file('{"a":1}').subarray(0, 8), Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31])]), /not UTF-8/],
  'entry is a number': [file({ a: 7 }, 0), /"a" is no object/],
  'entry is null': [file({ a: null }, 0), /"a" is no object/],
  'entry is an array': [file({ a: [] }, 0), /"a" is no object/],
  'no dtype': [file({ a: { shape: [1], data_offsets: [0, 4] } }, 4), /no dtype/],
  'unknown dtype': [file({ a: entry('F31', [1], 0, 4) }, 4), /unknown dtype "F31"/],
  'dtype of Object.prototype': [file({ a: entry('constructor', [1], 0, 4) }, 4), /unknown dtype/],
  'dtype that we lack': [file({ a: entry('U16', [2], 0, 4) }, 4), /U16, which Ferrograd lacks/],
  'no shape': [file({ a: { dtype: 'F32', data_offsets: [0, 4] } }, 4), /the shape of "a"/],
  'negative dimension': [file({ a: entry('F32', [-1], 0, 4) }, 4), /the shape of "a"/],
  'fractional dimension': [file({ a: entry('F32', [1.5], 0, 6) }, 6), /the shape of "a"/],
  'dimension as a string': [file({ a: entry('F32', ['1'], 0, 4) }, 4), /the shape of "a"/],
  'product overflows': [file({ a: entry('F32', [2 ** 31, 2 ** 31, 2 ** 31], 0, 4) }, 4), /overflows/],
  'product wraps to the range': [file('{"a":{"dtype":"F32","shape":[4294967296,4294967297],"data_offsets":[0,4]}}', 4), /overflows/],
  'nine dimensions': [file({ a: entry('F32', Array(9).fill(1), 0, 4) }, 4), /9 dimensions/],
  'shape larger than the range': [file({ a: entry('F32', [2], 0, 4) }, 4), /takes 8 bytes, its range has 4/],
  'range larger than the shape': [file({ a: entry('F32', [1], 0, 8) }, 8), /takes 4 bytes, its range has 8/],
  'no offsets': [file({ a: { dtype: 'F32', shape: [1] } }, 4), /data_offsets of "a"/],
  'three offsets': [file({ a: { dtype: 'F32', shape: [1], data_offsets: [0, 4, 4] } }, 4), /data_offsets of "a"/],
  'negative offset': [file({ a: entry('F32', [1], -4, 0) }, 4), /data_offsets of "a"/],
  'offset beyond 2^53': [
    file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[9007199254740993,9007199254740997]}}', 4),
    /data_offsets of "a"/,
  ],
  'end before begin': [file({ a: entry('F32', [1], 4, 0) }, 4), /lies at 4..0/],
  'end beyond the file': [file({ a: f32(100) }, 4), /lies at 0..400 of 4/],
  overlap: [file({ a: f32(2), b: f32(2, 4) }, 12), /"b" overlaps/],
  'one inside another': [file({ a: f32(4), b: f32(1, 4) }, 16), /"b" overlaps/],
  'same range twice': [file({ a: f32(1), b: f32(1) }, 4), /overlaps/],
  'hole between': [file({ a: f32(1), b: f32(1, 8) }, 12), /4 bytes before "b"/],
  'hole at the start': [file({ a: f32(1, 4) }, 8), /4 bytes before "a"/],
  'trailing bytes': [file({ a: f32(1) }, 10), /take 4 bytes, the file holds 10/],
  'data without tensors': [file('{}      ', 10), /take 0 bytes, the file holds 10/],
  'name twice': [
    file('{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}', 4),
    /names "a" twice/,
  ],
  'key twice by escape': [file('{"a":{"dtype":"F32","d\\u0074ype":"F64","shape":[1],"data_offsets":[0,4]}}', 4), /names "dtype" twice/],
  'metadata is a list': [file({ __metadata__: [] }, 0), /__metadata__ is no object/],
  'metadata holds a number': [file({ __metadata__: { a: 1 } }, 0), /"a" is no string/],
  'deep nesting': [file(`{"a":${'['.repeat(50_000)}${']'.repeat(50_000)}}`, 0), /no object|not valid JSON/],
  'PyTorch zip': [zipped('archive/data.pkl'), /PyTorch checkpoint[\s\S]*python -c "import torch, safetensors/],
  'NumPy zip': [zipped('weights.npy'), /NumPy archive/],
  'Keras zip': [zipped('metadata.json'), /Keras model/],
  'old pickle': [Buffer.concat([Buffer.from([0x80, 2]), Buffer.alloc(40)]), /old PyTorch checkpoint/],
  GGUF: [Buffer.concat([Buffer.from('GGUF'), Buffer.alloc(40)]), /GGUF/],
  HDF5: [Buffer.concat([Buffer.from([0x89, 0x48, 0x44, 0x46, 13, 10, 26, 10]), Buffer.alloc(40)]), /HDF5/],
  'NumPy array': [Buffer.concat([Buffer.from([0x93]), Buffer.from('NUMPY'), Buffer.alloc(40)]), /NumPy array/],
  'web page': [Buffer.from('<!DOCTYPE html><html><body>404 not found</body></html>'), /web page/],
  'LFS pointer': [Buffer.from('version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3\n'), /Git LFS/],
  'some text': [Buffer.from('this is certainly no model at all'), /no safetensors file/],
}

describe('hostile and damaged files', () => {
  test('there are at least thirty', () => expect(Object.keys(attacks).length).toBeGreaterThanOrEqual(30))
  for (const [name, [bytes, message]] of Object.entries(attacks)) {
    test(name, async () => {
      const path = join(folder, 'attack.safetensors')
      await writeFile(path, bytes)
      const error = await loadSafetensors(path).then(
        () => null,
        (reason: unknown) => reason,
      )
      expect(error).toBeInstanceOf(FileFormatError)
      expect((error as Error).message).toMatch(message)
      expect((error as Error).message).toContain('attack.safetensors')
      expect((error as FileFormatError).code).toBe('ERR_FILE_FORMAT')
    })
  }

  test('a folder, a missing file', async () => {
    await expect(loadSafetensors(folder)).rejects.toThrow(/is a folder/)
    const path = join(folder, 'nowhere')
    const load = new nn.Linear(1, 1).load(path)
    await expect(load).rejects.toThrow(FileError)
    await expect(load).rejects.toMatchObject({ code: 'ENOENT', path, op: 'load', cause: { code: 'ENOENT', syscall: 'stat' } })
    await expect(load).rejects.toThrow(`load: ${path}: there is no such file (ENOENT).\n  Look at the path; it was sought at ${path}.`)
  })

  test('names of Object.prototype are names', async () => {
    const path = join(folder, 'proto.safetensors')
    await writeFile(path, file(`{"__proto__":${JSON.stringify(f32(1))},"toString":${JSON.stringify(f32(1, 4))}}`, 8))
    const { tensors } = await loadSafetensors(path)
    expect(Object.keys(tensors)).toEqual(['__proto__', 'toString'])
    expect(({} as { dtype?: unknown }).dtype).toBeUndefined()
  })

  test('every truncation and every flipped bit of a small file is refused', async () => {
    const good = join(folder, 'good.safetensors')
    const bad = join(folder, 'bad.safetensors')
    await saveSafetensors(good, { a: tensor([1, 2, 3]), b: tensor([4], { dtype: 'int32' }) })
    const bytes = await readFile(good)
    const before = await settled()
    for (let length = 0; length < bytes.length; length++) {
      await writeFile(bad, bytes.subarray(0, length))
      await expect(loadSafetensors(bad)).rejects.toBeInstanceOf(FileFormatError)
    }
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      const flipped = Buffer.from(bytes)
      flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7))
      await writeFile(bad, flipped)
      const outcome = await loadSafetensors(bad).then(
        () => `bit ${bit} was not noticed`,
        (error: unknown) => error,
      )
      expect(outcome).toBeInstanceOf(FileFormatError)
    }
    expect(await held()).toEqual(before)
  })
})

describe('reading and writing', () => {
  const samples: [DType, number[]][] = [
    ['float32', [0, -0, 1.5, NaN, Infinity, 1e-40]],
    ['float64', [Math.PI, -Infinity, 5e-324]],
    ['bfloat16', [1, -2.5, 3.140625, Infinity]],
    ['float16', [1, -0.5, 65504, 2 ** -24, 2 ** -14, -Infinity]],
    ['int64', [1, -2, 2 ** 40]],
    ['int32', [-7, 2 ** 31 - 1]],
    ['uint8', [0, 255]],
    ['int8', [-128, 127]],
    ['bool', [1, 0, 1]],
  ]
  test('keeps every dtype to the bit, empty tensors and scalars', async () => {
    const path = join(folder, 'dtypes.safetensors')
    const tensors: Record<string, Tensor> = Object.fromEntries(samples.map(([dtype, values]) => [dtype, tensor(values, { dtype })]))
    Object.assign(tensors, { empty: zeros([3, 0, 2]), scalar: tensor(5), square: ones([2, 3]) })
    await saveSafetensors(path, tensors, { metadata: { note: 'grün "quoted"\n' } })
    const loaded = await loadSafetensors(path)
    expect(loaded.metadata).toEqual({ note: 'grün "quoted"\n' })
    expect(Object.keys(loaded.tensors).sort()).toEqual(Object.keys(tensors).sort())
    for (const [name, value] of Object.entries(tensors)) {
      const other = loaded.tensors[name] as Tensor
      expect([other.dtype, other.shape]).toEqual([value.dtype, value.shape])
      expect(await other.data()).toEqual(await value.data())
    }
  })

  test('equal contents give equal bytes, whatever the order; data is aligned', async () => {
    const [one, two] = [join(folder, 'one'), join(folder, 'two')]
    const [a, b, c] = [ones([3], { dtype: 'uint8' }), ones([2], { dtype: 'float64' }), ones([5])]
    await saveSafetensors(one, { a, b, c })
    await saveSafetensors(two, { c, b, a })
    expect((await readFile(one)).equals(await readFile(two))).toBe(true)
    const { entries } = await inspectSafetensors(one)
    expect(entries.map(({ name, begin }) => [name, begin])).toEqual([
      ['b', 0],
      ['c', 16],
      ['a', 36],
    ])
    expect((await readFile(one)).readBigUInt64LE(0) % 8n).toBe(0n)
  })

  test('reads files of the Python library, which have no checksum', async () => {
    const path = join(folder, 'python.safetensors')
    await writeFile(path, file({ __metadata__: { format: 'np' }, x: f32(2) }, Buffer.from(new Float32Array([1, 2]).buffer)))
    const { tensors, metadata } = await loadSafetensors(path)
    expect(await tensors.x?.tolist()).toEqual([1, 2])
    expect(metadata).toEqual({ format: 'np' })
  })

  test('filter reads what is wanted', async () => {
    const path = join(folder, 'filter.safetensors')
    await saveSafetensors(path, { 'a.x': ones([1]), 'b.x': ones([1]) })
    expect(Object.keys((await loadSafetensors(path, { filter: (name) => name.startsWith('a.') })).tensors)).toEqual(['a.x'])
  })

  test('saves the values of the moment of the call', async () => {
    const path = join(folder, 'moment.safetensors')
    const layer = new nn.Linear(2, 2)
    const before = await layer.weight.tolist()
    const saved = layer.save(path)
    layer.loadStateDict({ weight: ones([2, 2]), bias: ones([2]) })
    await saved
    expect(await (await loadSafetensors(path)).tensors.weight?.tolist()).toEqual(before)
  })

  test('gives the event loop its turn at every megabyte', async () => {
    const path = join(folder, 'large.safetensors')
    const large = zeros([8 << 20])
    let turns = 0
    let counting = true
    const count = (): void => {
      turns++
      if (counting) setImmediate(count)
    }
    count()
    await saveSafetensors(path, { large })
    const saving = turns
    const { tensors } = await loadSafetensors(path)
    counting = false
    expect(tensors.large?.size).toBe(8 << 20)
    // 32 MiB; how long the loop is held in milliseconds is a bench.
    expect(saving).toBeGreaterThanOrEqual(32)
    expect(turns - saving).toBeGreaterThanOrEqual(32)
  })
})

describe('a save that fails', () => {
  const state = (value: number): Record<string, Tensor> => ({ x: tensor([value, value]) })
  const value = async (path: string): Promise<unknown> => (await loadSafetensors(path)).tensors.x?.tolist()

  for (const call of ['write', 'sync', 'close', 'rename', 'folder'] as const) {
    test(`at ${call} leaves the old file and no other`, async () => {
      const own = await mkdtemp(join(folder, 'fail-'))
      const path = join(own, 'model.safetensors')
      await saveSafetensors(path, state(1))
      const failure = Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' })
      const failing: train.FileSystem = {
        ...fs,
        rename: call === 'rename' ? () => Promise.reject(failure) : fs.rename,
        open: (async (...args: Parameters<typeof open>) => {
          if (args[1] === 'r') {
            if (call === 'folder') throw failure
            return open(...args)
          }
          const handle = await open(...args)
          if (call === 'write' || call === 'sync' || call === 'close') {
            const original = handle[call].bind(handle) as () => Promise<void>
            Object.assign(handle, {
              [call]: async () => {
                if (call === 'close') await original()
                throw failure
              },
            })
          }
          return handle
        }) as typeof open,
      }
      const save = saveSafetensors(path, state(2), { fs: failing })
      await expect(save).rejects.toThrow(FileError)
      await expect(save).rejects.toMatchObject({ code: 'ENOSPC', path, cause: failure })
      const became = call === 'folder' ? 'the new file stands, whole, but whether it would outlive a power cut is not known' : 'what was there before is unharmed'
      await expect(save).rejects.toThrow(`save: ${path}: the disk is full; ${became} (ENOSPC).\n  Free some space`)
      // After the rename the new file stands, whole, though the folder was not synced.
      expect(await value(path)).toEqual(call === 'folder' ? [2, 2] : [1, 1])
      expect(await readdir(own)).toEqual(['model.safetensors'])
    })
  }

  test('on a full disk leaves the old file whole', async () => {
    const disk = join(folder, 'disk')
    await mkdir(disk)
    // A disk of 64 KiB where the system lets us mount one; elsewhere the kernel's limit on file sizes stands in for it.
    const mounted = process.platform === 'linux' && spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]).status === 0
    try {
      const path = join(disk, 'model.safetensors')
      await saveSafetensors(path, state(1))
      const refused = async (save: Promise<void>): Promise<void> => {
        await expect(save).rejects.toThrow(FileError)
        await expect(save).rejects.toMatchObject({ code: 'ENOSPC', path, message: expect.stringMatching(/^save: .*model\.safetensors: the disk is full; what was there before is unharmed/) as string })
      }
      if (mounted) await refused(saveSafetensors(path, { x: zeros([100_000]) }))
      else {
        const quota = 64 * 1024
        const full = {
          ...fs,
          open: (async (...args: Parameters<typeof open>) => {
            const handle = await open(...args)
            let written = 0
            const write = handle.write.bind(handle) as (...rest: unknown[]) => Promise<{ bytesWritten: number }>
            Object.assign(handle, {
              write: async (...rest: unknown[]) => {
                written += rest[2] as number
                if (written > quota) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
                return write(...rest)
              },
            })
            return handle
          }) as typeof open,
        }
        await refused(saveSafetensors(path, { x: zeros([100_000]) }, { fs: full }))
      }
      expect(await value(path)).toEqual([1, 1])
      expect(await readdir(disk)).toEqual(['model.safetensors'])
    } finally {
      if (mounted) spawnSync('umount', [disk])
    }
  })

  test('of what could not be read back is refused, and the old file stays', async () => {
    const path = join(folder, 'kept.safetensors')
    await saveSafetensors(path, state(1))
    const wrong: [tensors: unknown, metadata: unknown, message: RegExp][] = [
      [{ __metadata__: ones([1]) }, {}, /^saveSafetensors: no tensor can be called __metadata__/],
      [{ a: 5 }, {}, /^saveSafetensors: a must be a tensor, got 5\.\n {2}Make one with tensor/],
      [{ a: null }, {}, /a must be a tensor, got null/],
      [null, {}, /takes tensors by name, got null/],
      [ones([1]), {}, /takes tensors by name, got Tensor \[1\]/],
      [state(2), { a: 5 }, /^saveSafetensors: metadata.a must be a string, got 5/],
      [state(2), { ferrograd_checksum: 'none' }, /'ferrograd_checksum', which Ferrograd writes itself/],
    ]
    for (const [tensors, metadata, message] of wrong) {
      const error = await saveSafetensors(path, tensors as never, { metadata: metadata as never }).catch((reason: unknown) => reason)
      expect(error, String(message)).toBeInstanceOf(ValueError)
      expect((error as Error).message).toMatch(message)
    }
    expect(await value(path)).toEqual([1, 1])
  })

  test('a file that shrinks while it is read is an error', async () => {
    const path = join(folder, 'shrinks.safetensors')
    await saveSafetensors(path, { x: zeros([4 << 20]) })
    // The filter is asked when the header has been read and no tensor yet.
    const filter = (): boolean => {
      truncateSync(path, 5_000_000)
      return true
    }
    await expect(loadSafetensors(path, { filter })).rejects.toThrow(/the file ends \d+ bytes early/)
  })
})
