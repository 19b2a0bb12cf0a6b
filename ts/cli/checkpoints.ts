// The checkpoints of an earlier run in the output folder.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { CheckpointError, train } from '../index.js'
import { withFileErrors } from '../internal.js'
import { namesIn } from '../train/files.js'
import type { Card } from './bundle.js'
import { spelled } from './usage.js'

/** The options that a run's weights follow from: a resumed run must have the same. Those of one kind of data are missing in runs on others. */
export interface RunOptions {
  /** A name of the catalogue. */
  model: string
  data: string
  epochs: number
  batchSize: number
  lr: number
  optimizer: string
  validation: number
  autocast?: boolean
  seed: number
  /** Of images. */
  augment?: boolean
  size?: number
  /** Of texts: words known, and words, or characters, or steps that a model reads at a time. */
  vocabulary?: number
  length?: number
  /** Of series: steps told, steps of a season, and the column of a file. */
  horizon?: number
  season?: number
  column?: string
  /** Columns of texts and labels in a file. */
  textColumn?: string
  labelColumn?: string
  /** What stands between the fields of a file, as it was typed: `\t` for a tab. */
  delimiter?: string
}

/** A run found in a folder. */
export interface EarlierRun {
  path: string
  /** Epochs that are done. */
  epoch: number
  options: RunOptions
  card: Card
}

const pattern = /^checkpoint-(\d+)\.safetensors$/

/** The newest checkpoint in `folder`, or null. @throws CheckpointError where it was not written by the command */
export async function earlierRun(folder: string): Promise<EarlierRun | null> {
  const [newest] = (await names(folder)).sort((a, b) => stepOf(b) - stepOf(a))
  if (newest === undefined) return null
  const path = join(folder, newest)
  const { metadata } = await train.inspectSafetensors(path)
  try {
    const { model, position } = JSON.parse(metadata.checkpoint ?? '') as {
      model: { run: RunOptions; card: Card }
      position: { epoch: number }
    }
    if (typeof model.run === 'object' && typeof model.card === 'object')
      return { path, epoch: position.epoch, options: model.run, card: model.card }
  } catch {
    // Said below.
  }
  throw new CheckpointError(`${path} was not written by 'ferrograd train'.\n  Choose another folder with --out.`)
}

/** Removes an earlier run's checkpoints. */
export async function removeCheckpoints(folder: string): Promise<void> {
  for (const name of await names(folder)) await withFileErrors('remove', join(folder, name), true, () => rm(join(folder, name)))
}

/** Refuses to resume with options that would give other weights. `given` are those named on the command line. @throws CheckpointError */
export function checkSame({ path, options }: EarlierRun, given: Partial<RunOptions>): void {
  const different = Object.entries(given).filter(([name, value]) => name !== 'epochs' && options[name as keyof RunOptions] !== value)
  if (different.length === 0) return
  const lines = different.map(
    ([name, value]) => `  ${name === 'model' ? name : spelled(name)} ${String(value)}, began with ${String(options[name as keyof RunOptions])}`,
  )
  throw new CheckpointError(
    `resume: ${path} belongs to a run with other options:\n${lines.join('\n')}\n  Leave them out: they are taken from the checkpoint.`,
  )
}

async function names(folder: string): Promise<string[]> {
  return (await namesIn(folder)).filter((name) => pattern.test(name))
}

function stepOf(name: string): number {
  return Number(pattern.exec(name)?.[1])
}
