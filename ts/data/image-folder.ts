// Images from files: decoded and resized by worker threads, so that the event loop stays free.
import { readdir, stat } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { availableParallelism } from 'node:os'
import { basename, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { FileError, FileFormatError, ValueError } from '../index.js'
import { fileError, settle, withFileErrors } from '../internal.js'
import { type Dataset, dataset } from './dataset.js'
import { decodeLoop, type DecodeJob, type DecodeLibraries, type DecodeResult } from './decode.js'

/** How images are brought to one shape. */
export interface ImagesOptions {
  /** Height and width, or one number for both. Default 32. */
  size?: number | readonly [number, number]
  /** 3 for colour, 1 for grey. Default 3. */
  channels?: 1 | 3
}

/** Options of `imageFolder`. */
export interface ImageFolderOptions extends ImagesOptions {
  /** Class names, and so their numbers. Default: the names of the folders, sorted. */
  classes?: readonly string[]
}

const imageName = /\.(png|jpe?g)$/i
/** Images under way in each worker: enough that it never waits. */
const perWorker = 4

/**
 * Images in a folder for each class: `path/cat/1.png`, `path/dog/2.jpg`. PNG and JPEG, resized (bilinear over the area, as Pillow) to one
 * size, kept as bytes and given as 0 to 1. Transparency is dropped; a turn noted in a photograph's EXIF data is not applied. PyTorch:
 * `torchvision.datasets.ImageFolder`.
 * @throws FileError for a folder or file that cannot be read, FileFormatError for one that is no image, ValueError for a folder without classes or images
 */
export async function imageFolder(path: string, options: ImageFolderOptions = {}): Promise<Dataset> {
  const { classes: named, ...form } = settle('imageFolder', options, { classes: undefined, size: 32, channels: 3 })
  const found = await withFileErrors('imageFolder', path, false, () => readdir(path, { withFileTypes: true }))
  const folders = found
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
  const classes = named ?? folders
  if (classes.length === 0)
    throw new ValueError(
      `imageFolder: ${path} holds no folders.\n  Put the images of each class in a folder of its own: ${join(path, 'cat', '1.png')}.`,
    )
  const byClass = await Promise.all(classes.map(async (name) => (await imagesIn(join(path, name))).map((file) => join(path, name, file))))
  byClass.forEach((files, i) => {
    if (files.length === 0) throw new ValueError(`imageFolder: the folder ${join(path, classes[i] as string)} holds no PNG or JPEG files.`)
  })
  const [height, width, channels] = shapeOf(form)
  const inputs = await readImages(byClass.flat(), form)
  const labels = Int32Array.from(byClass.flatMap((files, i) => files.map(() => i)))
  return dataset({ inputs, inputShape: [height, width, channels], labels, classes, scale: 1 / 255 })
}

/**
 * The image files among `paths`, those of folders and the folders in them included, in order of name.
 * @throws FileError for what is not there, ValueError for a folder without images
 */
export async function imageFiles(paths: readonly string[]): Promise<string[]> {
  const lists = await Promise.all(
    paths.map(async (path) => {
      const stats = await withFileErrors('images', path, false, () => stat(path))
      return stats.isDirectory() ? (await imagesIn(path, true)).map((name) => join(path, name)) : [path]
    }),
  )
  lists.forEach((list, i) => {
    if (list.length === 0) throw new ValueError(`the folder ${paths[i]} holds no PNG or JPEG files.`)
  })
  return lists.flat()
}

/**
 * Decodes and resizes image files: their pixels one after the other, [files, height, width, channels], as bytes.
 * @throws FileError naming the first file that cannot be read, FileFormatError for one that is no image
 */
export async function readImages(files: readonly string[], options: ImagesOptions = {}): Promise<Uint8Array> {
  const [height, width, channels] = shapeOf(settle('readImages', options, { size: 32, channels: 3 }))
  const size = height * width * channels
  const pixels = new Uint8Array(files.length * size)
  if (files.length === 0) return pixels
  const workers = Array.from({ length: Math.min(4, availableParallelism(), Math.ceil(files.length / perWorker)) }, startWorker)
  try {
    let next = 0
    await Promise.all(
      workers.map(
        (worker) =>
          new Promise<void>((resolve, reject) => {
            let underWay = 0
            const give = (): void => {
              while (underWay < perWorker && next < files.length) {
                worker.postMessage({ id: next, path: files[next] as string, height, width, channels } satisfies DecodeJob)
                next++
                underWay++
              }
              if (underWay === 0) resolve()
            }
            worker.on('error', reject)
            worker.on('exit', (code) =>
              reject(new FileFormatError(`images: the decoding worker ended with code ${code}; one of the images is too large.`)),
            )
            worker.on('message', ({ id, pixels: decoded, fault, code }: DecodeResult) => {
              underWay--
              if (decoded === undefined) return reject(refusal(files[id] as string, fault, code))
              pixels.set(decoded, id * size)
              give()
            })
            give()
          }),
      ),
    )
  } finally {
    for (const worker of workers) {
      worker.removeAllListeners()
      await worker.terminate()
    }
  }
  return pixels
}

/** The error for an image that gave no pixels: what the system refused is no fault of the file's content. */
function refusal(path: string, fault: string | undefined, code: string | undefined): unknown {
  const refused = code === undefined ? null : fileError('readImages', path, Object.assign(new Error(fault), { code }))
  return refused instanceof FileError ? refused : new FileFormatError(`${path}: ${fault}.`)
}

function startWorker(): Worker {
  const { resolve } = createRequire(import.meta.url)
  const workerData: DecodeLibraries = { png: resolve('pngjs'), jpeg: resolve('jpeg-js') }
  return new Worker(`(${decodeLoop.toString()})(require)`, { eval: true, workerData })
}

async function imagesIn(folder: string, recursive = false): Promise<string[]> {
  const names = await withFileErrors('imageFolder', folder, false, () => readdir(folder, { recursive }))
  return names.filter((name) => imageName.test(name) && !basename(name).startsWith('.')).sort()
}

function shapeOf({ size, channels }: Required<ImagesOptions>): [number, number, number] {
  const [height, width] = typeof size === 'number' ? [size, size] : size
  if (![height, width].every((value) => Number.isInteger(value) && value >= 1))
    throw new ValueError(`images: size is a whole number of pixels or [height, width], not ${String(size)}.`)
  if (channels !== 1 && channels !== 3) throw new ValueError(`images: channels are 3 (colour) or 1 (grey), not ${String(channels)}.`)
  return [height, width, channels]
}
