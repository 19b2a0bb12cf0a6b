import { noGrad, resize, scope, tensor, ValueError } from '../index.js'
import { settle } from '../internal.js'
import { dataset } from './dataset.js'
import { split } from './split.js'
import type { TrainTest } from './train-test.js'

/** Options of `digits`. */
export interface DigitsOptions {
  /** Height and width of the images. Default 32; 8 is how they were recorded. */
  size?: number
  /** The share held out as test data, drawn by class. Default 0.2. */
  test?: number
  /** Seeds the split. Default 0. */
  seed?: number
}

const side = 8
/** The largest value of a pixel. */
const white = 16

/**
 * The 1,797 handwritten digits of the UCI set (E. Alpaydin, C. Kaynak 1998, CC BY 4.0), which come with this package: grey images [N, 32,
 * 32, 1] of values 0 to 1, enlarged from 8 x 8, with labels 0 to 9. By default 1,438 for training and 359 for testing. scikit-learn:
 * `load_digits`.
 */
export async function digits(options: DigitsOptions = {}): Promise<TrainTest> {
  const { size, test, seed } = settle('digits', options, { size: 32, test: 0.2, seed: 0 })
  if (!Number.isInteger(size) || size < 1) throw new ValueError(`digits: size is a whole number of pixels, not ${size}.`)
  // 115 KB of text, read when first wanted.
  const encoded = await import('./digits-data.js')
  const labels = Int32Array.from(encoded.labels.replaceAll('\n', ''), Number)
  const pixels = Float32Array.from(encoded.pixels.replaceAll('\n', ''), (letter) => parseInt(letter, white + 1) / white)
  const small = { shape: [labels.length, side, side, 1], transfer: true }
  const images =
    size === side ? pixels : ((await noGrad(() => scope(() => resize(tensor(pixels, small), size, size).data()))) as Float32Array)
  const all = dataset({ inputs: images, inputShape: [size, size, 1], labels, classes: Array.from('0123456789') })
  const { train, validation } = await split(all, { validation: test, seed })
  return { train, test: validation }
}
