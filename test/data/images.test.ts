import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import jpeg from 'jpeg-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { data, FileError, FileFormatError, ShapeError, ValueError } from '../../ts/index.js'
import { untar } from '../../ts/data/files.js'
import { encodePng } from '../../ts/cli/png.js'

const folder = await mkdtemp(join(tmpdir(), 'ferrograd-data-'))
afterAll(() => rm(folder, { recursive: true, force: true }))

const at = (...names: string[]): string => join(folder, ...names)
async function put(path: string, bytes: NodeJS.ArrayBufferView | string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true })
  await writeFile(path, bytes)
}

describe('digits', () => {
  it('gives all 1,797 digits, split by class, the same for the same seed', async () => {
    const { train, test } = await data.digits()
    expect([train.length, test.length]).toEqual([1438, 359])
    expect(train.inputShape).toEqual([32, 32, 1])
    const values = (await test.inputValues()) as Float32Array
    expect([values.reduce((a, b) => Math.min(a, b)), values.reduce((a, b) => Math.max(a, b))]).toEqual([0, 1])
    const counts = new Array<number>(10).fill(0)
    for (const label of await test.labelValues()) counts[Number(label)]!++
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(2)
    const again = await data.digits()
    expect(await again.test.labelValues()).toEqual(await test.labelValues())
    const other = await data.digits({ seed: 1 })
    expect(await other.test.labelValues()).not.toEqual(await test.labelValues())
  })

  it('holds the pixels as recorded', async () => {
    const { train, test } = await data.digits({ size: 8 })
    const sum = async (part: data.Dataset): Promise<number> => ((await part.inputValues()) as Float32Array).reduce((a, b) => a + b * 16, 0)
    // The sum over scikit-learn's load_digits().data, and the first digit's first row.
    expect((await sum(train)) + (await sum(test))).toBe(561718)
    const counts = new Array<number>(10).fill(0)
    for (const part of [train, test]) for (const label of await part.labelValues()) counts[Number(label)]!++
    expect(counts).toEqual([178, 182, 177, 183, 181, 182, 181, 179, 174, 180])
  })
})

describe('cifar10', () => {
  const record = (label: number, r: number, g: number, b: number): Uint8Array =>
    Uint8Array.of(label, ...new Array<number>(1024).fill(r), ...new Array<number>(1024).fill(g), ...new Array<number>(1024).fill(b))

  it('reads binary records, plain and gzipped, as channels last', async () => {
    await put(at('cifar', 'data_batch_1.bin'), Buffer.concat([record(3, 255, 0, 51), record(1, 1, 2, 3)]))
    await put(at('cifar', 'data_batch_2.bin.gz'), gzipSync(record(9, 0, 0, 0)))
    await put(at('cifar', 'test_batch.bin'), record(0, 9, 8, 7))
    const { train, test } = await data.cifar10({ folder: at('cifar') })
    expect([train.length, test.length]).toEqual([3, 1])
    expect(train.classes?.[3]).toBe('cat')
    expect(Array.from(await train.labelValues())).toEqual([3, 1, 9])
    expect(Array.from((await train.inputValues()).subarray(0, 6))).toEqual([255, 0, 51, 255, 0, 51])
    const { inputs } = train.batch([0])
    expect(Array.from(((await inputs.data()) as Float32Array).subarray(0, 3))).toEqual([1, 0, expect.closeTo(0.2, 6)])
  })

  it('names what is missing or damaged, and fetches nothing unasked', async () => {
    await mkdir(at('empty'), { recursive: true })
    await expect(data.cifar10({ folder: at('empty') })).rejects.toThrow(ValueError)
    await put(at('short', 'train.bin'), new Uint8Array(3000))
    await put(at('short', 'test.bin'), record(0, 0, 0, 0))
    await expect(data.cifar10({ folder: at('short') })).rejects.toThrow(FileFormatError)
    await put(at('broken', 'train.bin.gz'), gzipSync(record(0, 0, 0, 0)).subarray(0, 30))
    await put(at('broken', 'test.bin'), record(0, 0, 0, 0))
    await expect(data.cifar10({ folder: at('broken') })).rejects.toThrow(/train\.bin\.gz: cannot be unpacked/)
    await put(at('label', 'train.bin'), record(77, 0, 0, 0))
    await put(at('label', 'test.bin'), record(0, 0, 0, 0))
    await expect(data.cifar10({ folder: at('label') })).rejects.toThrow(ValueError)
  })

  it('reads the official archive', () => {
    const content = Buffer.from('hello')
    const head = Buffer.alloc(512)
    head.write('cifar-10-batches-bin/readme.html', 0)
    head.write('00000000005\0', 124)
    head.write('0', 156)
    const archive = Buffer.concat([head, content, Buffer.alloc(507), Buffer.alloc(1024)])
    expect([...untar(archive, 'a.tar')].map(([name, bytes]) => [name, Buffer.from(bytes).toString()])).toEqual([['cifar-10-batches-bin/readme.html', 'hello']])
    expect(() => untar(archive.subarray(0, 514), 'a.tar')).toThrow(FileFormatError)
  })
})

describe('mnist', () => {
  const idx = (shape: number[], values: number[]): Uint8Array => {
    const head = Buffer.alloc(4 + 4 * shape.length)
    head.set([0, 0, 8, shape.length])
    shape.forEach((size, i) => head.writeUInt32BE(size, 4 + 4 * i))
    return Buffer.concat([head, Uint8Array.from(values)])
  }

  it('reads idx files', async () => {
    await put(at('mnist', 'train-images-idx3-ubyte.gz'), gzipSync(idx([2, 2, 2], [0, 255, 0, 255, 51, 0, 0, 0])))
    await put(at('mnist', 'train-labels-idx1-ubyte'), idx([2], [7, 1]))
    await put(at('mnist', 't10k-images-idx3-ubyte'), idx([1, 2, 2], [1, 2, 3, 4]))
    await put(at('mnist', 't10k-labels-idx1-ubyte.gz'), gzipSync(idx([1], [5])))
    const { train, test } = await data.mnist({ folder: at('mnist') })
    expect(train.inputShape).toEqual([2, 2, 1])
    expect(Array.from(await train.labelValues())).toEqual([7, 1])
    expect(Array.from(await test.inputValues())).toEqual([1, 2, 3, 4])
  })

  it('names what does not fit', async () => {
    await mkdir(at('empty'), { recursive: true })
    await expect(data.mnist({ folder: at('empty') })).rejects.toThrow(ValueError)
    const bad = async (images: Uint8Array, labels: Uint8Array): Promise<unknown> => {
      for (const part of ['train', 't10k']) {
        await put(at('bad', `${part}-images-idx3-ubyte`), images)
        await put(at('bad', `${part}-labels-idx1-ubyte`), labels)
      }
      return data.mnist({ folder: at('bad') }).catch((error: unknown) => error)
    }
    expect(await bad(idx([2, 2, 2], [0]), idx([2], [1, 1]))).toBeInstanceOf(FileFormatError)
    expect(await bad(idx([1, 2, 2], [0, 0, 0, 0]), idx([2], [1, 1]))).toBeInstanceOf(ShapeError)
    expect(await bad(new Uint8Array(2), idx([2], [1, 1]))).toBeInstanceOf(FileFormatError)
  })
})

it('folders and files that are not there are a FileError, with the way out', async () => {
  const nowhere = at('nowhere')
  await put(at('file'), 'no folder')
  const refused: [operation: string, ask: (path: string) => Promise<unknown>][] = [
    ['imageFolder', (path) => data.imageFolder(path)],
    ['images', (path) => data.imageFiles([path])],
    ['readImages', (path) => data.readImages([join(path, 'no.png')])],
    ['mnist', (folder) => data.mnist({ folder })],
    ['cifar10', (folder) => data.cifar10({ folder })],
  ]
  for (const [operation, ask] of refused) {
    const error = await ask(nowhere).catch((caught: unknown) => caught as FileError)
    expect(error, operation).toBeInstanceOf(FileError)
    expect(error).toMatchObject({ code: 'ENOENT', op: operation })
    expect((error as FileError).message).toMatch(/there is no such file \(ENOENT\)\.\n {2}Look at the path; it was sought at /)
    if (operation !== 'images') await expect(ask(at('file')), operation).rejects.toMatchObject({ name: 'FileError', code: 'ENOTDIR' })
  }
  await mkdir(at('pets-without-dogs', 'cat'), { recursive: true })
  await put(at('pets-without-dogs', 'cat', '1.png'), encodePng(new Uint8Array(12), 2, 2, 3))
  await expect(data.imageFolder(at('pets-without-dogs'), { classes: ['cat', 'dog'] })).rejects.toMatchObject({ code: 'ENOENT' })
})

describe('imageFolder', () => {
  const flat = (width: number, height: number, colour: number[]): Uint8Array =>
    Uint8Array.from({ length: width * height * colour.length }, (_, i) => colour[i % colour.length] as number)

  beforeAll(async () => {
    for (let i = 0; i < 9; i++) await put(at('pets', 'cat', `${i}.png`), encodePng(flat(5 + i, 7, [200, 100, 0]), 5 + i, 7, 3))
    const rgba = Buffer.alloc(40 * 30 * 4, 255)
    await put(at('pets', 'dog', 'white.JPG'), jpeg.encode({ width: 40, height: 30, data: rgba }, 90).data)
    await put(at('pets', 'dog', 'notes.txt'), 'not an image')
  })

  it('reads PNG and JPEG, a class a folder, at one size', async () => {
    const set = await data.imageFolder(at('pets'), { size: [6, 4] })
    expect(set.classes).toEqual(['cat', 'dog'])
    expect(set.length).toBe(10)
    expect(set.inputShape).toEqual([6, 4, 3])
    const values = await set.inputValues()
    for (let image = 0; image < 9; image++) expect(Array.from(values.subarray(image * 72, image * 72 + 3))).toEqual([200, 100, 0])
    expect(Array.from(values.subarray(9 * 72)).every((value) => Number(value) >= 254)).toBe(true)
    expect(Array.from(await set.labelValues())).toEqual([0, 0, 0, 0, 0, 0, 0, 0, 0, 1])
    const grey = await data.imageFolder(at('pets'), { size: 4, channels: 1, classes: ['dog', 'cat'] })
    expect(grey.classes).toEqual(['dog', 'cat'])
    expect(Array.from(await grey.labelValues())[0]).toBe(0)
    expect((await grey.inputValues())[16]).toBe(Math.round(0.299 * 200 + 0.587 * 100))
  })

  it('shrinks by averaging, so that fine patterns become grey', async () => {
    const checks = Uint8Array.from({ length: 64 * 64 }, (_, i) => ((i + Math.floor(i / 64)) % 2) * 255)
    await put(at('checks.png'), encodePng(checks, 64, 64, 1))
    const pixels = await data.readImages([at('checks.png')], { size: 8, channels: 1 })
    for (const value of pixels) expect(Math.abs(value - 127.5)).toBeLessThan(4)
  })

  it('enlarges as the resize op does', async () => {
    await put(at('small.png'), encodePng(Uint8Array.of(0, 100, 200, 40), 2, 2, 1))
    const { tensor, resize } = await import('../../ts/index.js')
    const wanted = (await resize(tensor([0, 100, 200, 40]).reshape([1, 2, 2, 1]), 5, 5).data()) as Float32Array
    const pixels = await data.readImages([at('small.png')], { size: 5, channels: 1 })
    pixels.forEach((value, i) => expect(Math.abs(value - (wanted[i] as number))).toBeLessThanOrEqual(0.5001))
  })

  it('names the file that cannot be read', async () => {
    const cases: [string, Uint8Array | string, RegExp][] = [
      ['cut.png', encodePng(flat(30, 30, [1, 2, 3]), 30, 30, 3).subarray(0, 60), /cut\.png: the PNG is cut off or damaged\. Get it again/],
      ['cut.jpg', jpeg.encode({ width: 40, height: 30, data: Buffer.alloc(4800, 7) }, 90).data.subarray(0, 300), /cut\.jpg: the JPEG is cut off or damaged\. Get it again/],
      ['text.png', 'hello', /text\.png: no image/],
      ['empty.png', '', /empty\.png: the file is empty/],
      ['web.png', 'RIFF0000WEBPVP8 ', /a WebP image: convert it/],
    ]
    for (const [name, bytes, message] of cases) {
      await put(at('broken-images', name), bytes)
      const error = await data.readImages([at('pets', 'cat', '1.png'), at('broken-images', name)]).catch((caught: unknown) => caught)
      expect(error, name).toBeInstanceOf(FileFormatError)
      expect((error as Error).message).toMatch(message)
    }
    await expect(data.imageFolder(at('pets', 'cat'))).rejects.toThrow(/holds no folders/)
    await expect(data.imageFiles([at('mnist')])).rejects.toThrow(/holds no PNG or JPEG/)
    expect(await data.imageFiles([at('pets')])).toHaveLength(10)
    expect(await data.imageFiles([at('pets', 'dog'), at('small.png')])).toEqual([at('pets', 'dog', 'white.JPG'), at('small.png')])
  })
})
