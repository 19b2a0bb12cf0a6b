// The checkpoints of an earlier run in the output folder.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { CheckpointError, train } from '../index.js'
import { withFileErrors } from '../internal.js'
import { namesIn } from '../train/files.js'
import type { Card } from './bundle.js'
import { modelNamed } from './catalogue.js'
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
  /** Of recordings: log-mel bands. */
  bands?: number
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
  /** With what was left out, where the data decided it. */
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
    const { run, card } = model
    const task = modelNamed(run.model)?.task
    if (task?.knows(card) === true) return { path, epoch: position.epoch, options: { ...settled(card, task.options.train), ...run }, card }
  } catch {
    // Said below.
  }
  throw new CheckpointError(`${path} does not say what 'ferrograd train' needs to go on.\n  Choose another folder with --out, or begin anew with --overwrite.`)
}

/** Options of these names, as the card of a model holds them. */
function settled({ config, reading }: Card, names: readonly string[]): Partial<RunOptions> {
  const known = { size: config.imageSize, ...config, ...reading }
  return Object.fromEntries(Object.entries(known).filter(([name, value]) => names.includes(name) && value !== undefined))
}

/** Refuses data that has become another than the run began with, as a folder may that has a class more. @throws CheckpointError */
export function checkSameData({ path, card }: EarlierRun, now: Card): void {
  if (JSON.stringify([card.config, card.classes]) === JSON.stringify([now.config, now.classes])) return
  const [before, after] = [card, now].map(({ config, classes = [] }) => `${JSON.stringify(config).replace(/[{}"]/g, '')}; ${classes.slice(0, 20).join(', ')}`)
  throw new CheckpointError(`resume: ${now.data} is not what the run of ${path} began with:\n  now    ${after}\n  before ${before}\n  Bring back that data, or begin anew with --overwrite.`)
}

/** Removes an earlier run's checkpoints. */
export async function removeCheckpoints(folder: string): Promise<void> {
  for (const name of await names(folder)) await withFileErrors('remove', join(folder, name), true, () => rm(join(folder, name)))
}

/** Options that a resumed run may have otherwise: no weight follows from them. */
const free: readonly string[] = ['epochs', 'season']

/** Refuses to resume with options that would give other weights. `given` are those named on the command line. @throws CheckpointError */
export function checkSame({ path, options }: EarlierRun, given: Partial<RunOptions>): void {
  const before = (name: string): unknown => options[name as keyof RunOptions]
  const different = Object.entries(given).filter(([name, value]) => !free.includes(name) && before(name) !== value)
  if (different.length === 0) return
  const lines = different.map(
    ([name, value]) =>
      `  ${name === 'model' ? name : spelled(name)}${value === true ? '' : ` ${String(value)}`}, began ${(before(name) ?? false) === false ? 'without it' : `with ${String(before(name))}`}`,
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
