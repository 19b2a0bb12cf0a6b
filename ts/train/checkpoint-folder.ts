import { join } from 'node:path'
import { makeFolder } from '../internal.js'
import { namesIn, unlink } from './files.js'

const pattern = /^checkpoint-(\d+)\.safetensors$/

/** A folder of checkpoints, named by the number of batches trained: `checkpoint-00000120.safetensors`. */
export class CheckpointFolder {
  readonly #folder: string
  readonly #keep: number

  constructor(folder: string, keep: number) {
    this.#folder = folder
    this.#keep = keep
  }

  /** Makes the folder. */
  async create(): Promise<void> {
    await makeFolder('checkpointDir', this.#folder)
  }

  /** The file for a moment. */
  path(batches: number): string {
    return join(this.#folder, `checkpoint-${String(batches).padStart(8, '0')}.safetensors`)
  }

  /** The newest file's path, or null. */
  async newest(): Promise<string | null> {
    const [newest] = await this.#files()
    return newest === undefined ? null : join(this.#folder, newest)
  }

  /** Removes all but the newest. */
  async prune(): Promise<void> {
    if (!Number.isFinite(this.#keep)) return
    for (const name of (await this.#files()).slice(Math.max(1, this.#keep))) await unlink(join(this.#folder, name))
  }

  async #files(): Promise<string[]> {
    const names = await namesIn(this.#folder)
    const number = (name: string): number => Number(pattern.exec(name)?.[1])
    return names.filter((name) => pattern.test(name)).sort((a, b) => number(b) - number(a))
  }
}
