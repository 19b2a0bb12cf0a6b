// What the file system refuses to checkpoints, histories and folders.
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { FerrogradError, FileError, train, Trainer } from '../../ts/index.js'
import { makeFolder } from '../../ts/internal.js'
import { classifier, clusters } from './support.js'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferrograd-files-'))
  await writeFile(join(folder, 'file'), '')
})
afterAll(() => rm(folder, { recursive: true, force: true }))
const fit = (options: train.FitOptions): Promise<unknown> =>
  new Trainer(classifier(), { loss: 'crossEntropy' }).fit(clusters(6), { verbose: false, ...options })

test('folders are made with those above them, by several at once, and again', async () => {
  const path = join(folder, 'a', 'b', 'c')
  await Promise.all([makeFolder('test', path), makeFolder('test', path), makeFolder('test', join(path, 'd'))])
  await makeFolder('test', path)
  expect((await stat(join(path, 'd'))).isDirectory()).toBe(true)
})

// Node's recursive mkdir spins for ever there.
test.runIf(process.platform === 'linux')('a folder that the system does not make is an error, not a hang', async () => {
  for (const path of ['/proc/ferrograd', '/proc/ferrograd/deeper']) {
    const made = makeFolder('--out', path)
    await expect(made).rejects.toThrow(FileError)
    await expect(made).rejects.toThrow(`--out: ${path}: the folder ${path.slice(0, path.lastIndexOf('/'))} does not exist, or takes no new entries (ENOENT).\n  `)
  }
})

test('fit names the checkpoint folder, or the log, that cannot be written', async () => {
  const checkpoint = fit({ checkpointDir: join(folder, 'file', 'run') })
  await expect(checkpoint).rejects.toThrow(FileError)
  await expect(checkpoint).rejects.toThrow(/^checkpointDir: .*run: a part of the path is a file, not a folder \(ENOTDIR\)\.\n {2}Choose another path/)
  const log = fit({ callbacks: [new train.JsonlLogger(join(folder, 'file', 'history.jsonl'))] })
  await expect(log).rejects.toThrow(FileError)
  const table = fit({ callbacks: [new train.CsvLogger(folder)] })
  await expect(table).rejects.toThrow(/^write: .*it is a folder, not a file \(EISDIR\)/)
  const resumed = fit({ resume: join(folder, 'nowhere.safetensors') })
  await expect(resumed).rejects.toThrow(/^load: .*nowhere\.safetensors: there is no such file \(ENOENT\)/)
  for (const run of [checkpoint, log, table, resumed]) await expect(run).rejects.toThrow(FerrogradError)
})

test('a callback of the user keeps its own errors', async () => {
  const own = Object.assign(new Error('mine'), { code: 'ENOSPC' })
  await expect(fit({ callbacks: [{ onEpochEnd: () => Promise.reject(own) }] })).rejects.toBe(own)
})
