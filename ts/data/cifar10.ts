import { readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { FileFormatError, ValueError } from '../index.js'
import { makeFolder, settle, withFileErrors } from '../internal.js'
import { type Dataset, dataset } from './dataset.js'
import { cacheFolder, candidates, checkFolder, download as fetchFile, namesIn, readBytes, untar } from './files.js'
import { turns } from './turn.js'
import type { TrainTest } from './train-test.js'

/** Options of `cifar10`. */
export interface Cifar10Options {
  /** Where the binary files lie. Default: `$FERROGRAD_DATA/cifar10`, else the cache folder (`$FERROGRAD_CACHE`). */
  folder?: string
  /** Fetches the 162 MiB archive into the cache where no files are found. Default false: nothing is fetched unasked. */
  download?: boolean
}

const url = 'https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz'
const sha256 = 'c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd'
const classNames = ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck']
const plane = 32 * 32
const pixels = 3 * plane
const record = 1 + pixels

/**
 * CIFAR-10 (Krizhevsky 2009): colour images [N, 32, 32, 3] of ten classes, kept as bytes and given as 0 to 1. Reads the official binary
 * files (`data_batch_*.bin`, `test_batch.bin`) and any others of their format named `train*` and `test*`, also gzipped.
 * @throws ValueError where there are none, FileError for a folder that is not there, FileFormatError for a file that is cut off
 */
export async function cifar10(options: Cifar10Options = {}): Promise<TrainTest> {
  const { folder, download } = settle('cifar10', options, { folder: undefined, download: false })
  const places = candidates('cifar10', folder).flatMap((place) => [place, join(place, 'cifar-10-batches-bin')])
  let found = await findFiles(places)
  if (found === null && download) {
    await fetchArchive()
    found = await findFiles([join(cacheFolder(), 'cifar10')])
  }
  if (found === null) {
    await checkFolder('cifar10', folder)
    throw new ValueError(
      `cifar10: no binary files in ${places.join(', ')}.\n  Unpack ${url} there, name its folder, ` +
        'or have it fetched: download: true, in the command line --download.',
    )
  }
  const classes = await classesIn(found.place)
  return { train: await readRecords(found.train, classes), test: await readRecords(found.test, classes) }
}

/** Whether a folder holds CIFAR-10's binary files. */
export async function holdsCifar10(folder: string | undefined): Promise<boolean> {
  return (await findFiles(candidates('cifar10', folder).flatMap((place) => [place, join(place, 'cifar-10-batches-bin')]))) !== null
}

async function findFiles(places: readonly string[]): Promise<{ place: string; train: string[]; test: string[] } | null> {
  for (const place of places) {
    const names = await namesIn(place)
    const train = names.filter((name) => /^(data_batch|train).*\.bin(\.gz)?$/.test(name)).map((name) => join(place, name))
    const test = names.filter((name) => /^test.*\.bin(\.gz)?$/.test(name)).map((name) => join(place, name))
    if (train.length > 0 && test.length > 0) return { place, train, test }
  }
  return null
}

async function classesIn(place: string): Promise<string[]> {
  const text = await readFile(join(place, 'batches.meta.txt'), 'utf8').catch(() => '')
  const names = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '')
  return names.length === classNames.length ? names : classNames
}

/** Records of a label and the planes of red, green and blue become images with channels last. */
async function readRecords(paths: readonly string[], classes: readonly string[]): Promise<Dataset> {
  const files = await Promise.all(paths.map((path) => readBytes(path)))
  files.forEach(({ length }, i) => {
    if (length === 0 || length % record !== 0)
      throw new FileFormatError(
        `cifar10: ${paths[i]} has ${length} bytes, no whole number of records of ${record}.\n` +
          `  It is cut off or of another format; get it again.`,
      )
  })
  const count = files.reduce((sum, { length }) => sum + length / record, 0)
  const images = new Uint8Array(count * pixels)
  const labels = new Int32Array(count)
  const turn = turns()
  let row = 0
  for (const bytes of files) {
    for (let at = 0; at < bytes.length; at += record, row++) {
      labels[row] = bytes[at] as number
      const target = row * pixels
      for (let i = 0; i < plane; i++) {
        images[target + 3 * i] = bytes[at + 1 + i] as number
        images[target + 3 * i + 1] = bytes[at + 1 + plane + i] as number
        images[target + 3 * i + 2] = bytes[at + 1 + 2 * plane + i] as number
      }
      if (row % 100 === 0) await turn()
    }
  }
  return dataset({ inputs: images, inputShape: [32, 32, 3], labels, classes, scale: 1 / 255 })
}

async function fetchArchive(): Promise<void> {
  const folder = join(cacheFolder(), 'cifar10')
  const archive = join(cacheFolder(), 'cifar-10-binary.tar.gz')
  await fetchFile(url, sha256, archive)
  await makeFolder('download', folder)
  for (const [path, bytes] of untar(await readBytes(archive), archive)) {
    const name = basename(path)
    if (/\.(bin|txt)$/.test(name)) await withFileErrors('download', join(folder, name), true, () => writeFile(join(folder, name), bytes))
  }
}
