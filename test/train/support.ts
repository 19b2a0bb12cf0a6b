// Small problems that the trainer's tests share.
import { createHash } from 'node:crypto'
import { manualSeed, nn, type Tensor, tensor, type train } from '../../ts/index.js'

/** Numbers in [-1, 1) that depend on the index alone. */
export const noise = (i: number): number => {
  const x = Math.sin(i * 12.9898 + 78.233) * 43758.5453
  return (x - Math.floor(x)) * 2 - 1
}

/** Points of three clusters: `inputs` [n, 4], `labels` 0, 1, 2. */
export function clusters(n: number): { inputs: number[][]; labels: number[] } {
  const labels = Array.from({ length: n }, (_, i) => i % 3)
  const inputs = labels.map((label, i) => Array.from({ length: 4 }, (_, j) => (j === label ? 2 : 0) + 0.5 * noise(4 * i + j)))
  return { inputs, labels }
}

/** Images [n, 8, 8, 1] whose class says which half is bright. */
export function images(n: number): { inputs: number[][][][]; labels: number[] } {
  const labels = Array.from({ length: n }, (_, i) => (i * 7) % 2)
  const inputs = labels.map((label, i) =>
    Array.from({ length: 8 }, (_, y) =>
      Array.from({ length: 8 }, (_, x) => [(y < 4 === (label === 0) ? 1 : 0) + 0.3 * noise(64 * i + 8 * y + x)]),
    ),
  )
  return { inputs, labels }
}

/** 4 -> 16 -> 3 with dropout, the same weights each time. */
export function classifier(dropout = 0): nn.Sequential {
  manualSeed(7)
  return new nn.Sequential(new nn.Linear(4, 16), new nn.ReLU(), new nn.Dropout(dropout), new nn.Linear(16, 3))
}

/** A small CNN with batch normalisation and dropout for 8 x 8 images. */
export function cnn(): nn.Sequential {
  manualSeed(3)
  return new nn.Sequential(
    new nn.Conv2d(1, 4, 3),
    new nn.BatchNorm2d(4),
    new nn.ReLU(),
    new nn.MaxPool2d(2),
    new nn.Flatten(),
    new nn.Dropout(0.3),
    new nn.Linear(36, 2),
  )
}

/** A hash of all values, by key. */
export async function hash(state: Record<string, Tensor>): Promise<string> {
  const sha = createHash('sha256')
  for (const [key, value] of Object.entries(state)) {
    const data = await value.data()
    sha.update(key).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength))
  }
  return sha.digest('hex')
}

/** A history without its clock. */
export function timeless(history: train.History): unknown {
  return history.epochs.map(({ seconds: _, ...log }) => log)
}

/** Collects what is written to it. */
export class Sink {
  text = ''
  isTTY = false
  columns = 100
  write(text: string): boolean {
    this.text += text
    return true
  }
}

/** Values of a tensor as plain numbers. */
export const numbers = async (value: Tensor): Promise<number[]> => Array.from((await value.data()) as Float32Array, Number)
/** A float32 tensor. */
export const floats = (values: number[] | number[][]): Tensor => tensor(values, { dtype: 'float32' })
