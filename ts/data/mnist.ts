import { join } from 'node:path'
import { FileFormatError, ShapeError, ValueError } from '../index.js'
import { settle } from '../internal.js'
import { type Dataset, dataset } from './dataset.js'
import { candidates, checkFolder, namesIn, readBytes } from './files.js'
import type { TrainTest } from './train-test.js'

/** Options of `mnist`. */
export interface MnistOptions {
  /** Where the four idx files lie, gzipped or not. Default: `$FERROGRAD_DATA/mnist`, else the cache folder (`$FERROGRAD_CACHE`). */
  folder?: string
}

const patterns = {
  trainImages: /^train-images[-.]idx3-ubyte(\.gz)?$/,
  trainLabels: /^train-labels[-.]idx1-ubyte(\.gz)?$/,
  testImages: /^(t10k|test)-images[-.]idx3-ubyte(\.gz)?$/,
  testLabels: /^(t10k|test)-labels[-.]idx1-ubyte(\.gz)?$/,
}

/**
 * MNIST (LeCun, Cortes, Burges 1998), or a set of its format such as Fashion-MNIST: grey images [N, 28, 28, 1] kept as bytes and given as 0
 * to 1, labels 0 to 9.
 * @throws ValueError where files are missing, FileError for a folder that is not there, FileFormatError for a damaged one
 */
export async function mnist(options: MnistOptions = {}): Promise<TrainTest> {
  const { folder } = settle('mnist', options, { folder: undefined })
  const places = candidates('mnist', folder)
  for (const place of places) {
    const paths = await findFiles(place)
    if (paths === null) continue
    return { train: await readPart(paths.trainImages, paths.trainLabels), test: await readPart(paths.testImages, paths.testLabels) }
  }
  await checkFolder('mnist', folder)
  throw new ValueError(`mnist: the four idx files (train-images-idx3-ubyte.gz ...) are not in ${places.join(', ')}.\n  Name their folder.`)
}

/** Whether a folder holds MNIST's idx files. */
export async function holdsMnist(folder: string): Promise<boolean> {
  return (await findFiles(folder)) !== null
}

async function findFiles(place: string): Promise<Record<keyof typeof patterns, string> | null> {
  const names = await namesIn(place)
  const found = Object.entries(patterns).map(([part, pattern]) => [part, names.find((name) => pattern.test(name))] as const)
  if (found.some(([, name]) => name === undefined)) return null
  return Object.fromEntries(found.map(([part, name]) => [part, join(place, name as string)])) as Record<keyof typeof patterns, string>
}

async function readPart(imagePath: string, labelPath: string): Promise<Dataset> {
  const images = parseIdx(await readBytes(imagePath), imagePath)
  const labels = parseIdx(await readBytes(labelPath), labelPath)
  if (images.shape.length !== 3 || labels.shape.length !== 1)
    throw new FileFormatError(
      `mnist: ${imagePath} and ${labelPath} have ${images.shape.length} and ${labels.shape.length} dimensions; 3 and 1 are wanted.`,
    )
  const [count, height, width] = images.shape as [number, number, number]
  if (count !== labels.shape[0])
    throw new ShapeError(`mnist: ${imagePath} has ${count} images, ${labelPath} ${labels.shape[0]} labels.`, {
      shapes: [images.shape, labels.shape],
    })
  return dataset({
    inputs: images.values,
    inputShape: [height, width, 1],
    labels: labels.values,
    classes: Array.from('0123456789'),
    scale: 1 / 255,
  })
}

/** An idx file: two zeros, the type (8: bytes), the number of dimensions, each dimension as a big-endian 32-bit number, the values. */
export function parseIdx(bytes: Uint8Array, path: string): { shape: number[]; values: Uint8Array } {
  const fail = (fault: string): never => {
    throw new FileFormatError(`idx: ${path}: ${fault}.\n  It is cut off or of another format; get it again.`)
  }
  const rank = bytes[3] ?? 0
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0 || bytes[2] !== 8 || rank < 1 || rank > 4) return fail('no idx file of bytes')
  if (bytes.length < 4 + 4 * rank) return fail(`it ends within its head, after ${bytes.length} bytes`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i))
  const size = shape.reduce((product, d) => product * d, 1)
  if (bytes.length !== 4 + 4 * rank + size)
    return fail(`its head says [${shape.join(', ')}], its values are ${bytes.length - 4 - 4 * rank}`)
  return { shape, values: bytes.subarray(4 + 4 * rank) }
}
