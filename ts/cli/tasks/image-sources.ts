// Images by name or folder, as the commands take them.
import { join } from 'node:path'
import { data, ValueError } from '../../index.js'
import { holdsCifar10 } from '../../data/cifar10.js'
import { holdsMnist } from '../../data/mnist.js'
import { isFolder, unknownSource } from '../files.js'

/** Training and test images, and what they are called in reports. */
export interface ImageData {
  name: string
  train: data.Dataset
  test: data.Dataset
}

/** How to find and shape data. */
export interface SourceOptions {
  download?: boolean
  /** Of images from a folder. */
  size?: number
  channels?: 1 | 3
  /** The classes in the model's order. */
  classes?: readonly string[] | undefined
}

/** The share of a folder without test/ that training leaves out; its seed is fixed, so that `evaluate` finds the same images. */
const heldOut = { validation: 0.2, seed: 0 }

/** Loads `digits`, `cifar10`, `mnist` or a folder. @throws ValueError where there is no such thing */
export async function loadImages(
  source: string,
  { download = false, size = 32, channels = 3, classes }: SourceOptions = {},
): Promise<ImageData> {
  if (source === 'digits') return { name: 'handwritten digits', ...(await data.digits()) }
  if (source === 'cifar10') return { name: 'CIFAR-10', ...(await data.cifar10({ download })) }
  if (source === 'mnist') return { name: 'MNIST', ...(await data.mnist()) }
  if (!(await isFolder(source))) throw await unknownSource(source, 'images', 'a folder')
  if (await holdsCifar10(source)) return { name: 'CIFAR-10', ...(await data.cifar10({ folder: source })) }
  if (await holdsMnist(source)) return { name: 'MNIST', ...(await data.mnist({ folder: source })) }
  const options: data.ImageFolderOptions = { size, channels, ...(classes === undefined ? {} : { classes }) }
  if ((await isFolder(join(source, 'train'))) && (await isFolder(join(source, 'test')))) {
    const train = await data.imageFolder(join(source, 'train'), options)
    return { name: source, train, test: await data.imageFolder(join(source, 'test'), { ...options, classes: train.classes as string[] }) }
  }
  const all = await data.imageFolder(source, options)
  if (Math.round(heldOut.validation * all.length) < 1)
    throw new ValueError(`--data: ${source} holds ${all.length} images, of which no fifth can be left out to test.\n  Add some, or give test images of their own: the folders train/ and test/.`)
  const { train, validation: test } = await data.split(all, heldOut)
  return { name: source, train, test }
}

/** Every image of a folder, whatever training used. */
export async function loadAll(source: string, { size = 32, channels = 3, classes }: SourceOptions): Promise<data.Dataset> {
  if (!(await isFolder(source))) throw new ValueError(`--all is of a folder of images, which ${source} is not.\n  Leave it out, or name the folder: --data FOLDER`)
  return data.imageFolder(source, { size, channels, ...(classes === undefined ? {} : { classes }) })
}
