// SIGKILL at any moment of a save leaves the old file or the new one, whole; a killed run goes on from its newest checkpoint, bit for bit.
import { spawn } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { train } from '../../ts/index.js'

const library = pathToFileURL(resolve(import.meta.dirname, '..', '..', 'dist', 'index.js')).href
let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferrograd-kill-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/**
 * Ends the process by SIGKILL before a file operation: '7' is the seventh, 'rename 2' the second renaming, 'none' lives on. A write counts
 * twice, the second time when half of it is done. Node's own functions are replaced, so that whatever saves is watched. `operations` lists
 * what has come.
 */
const mortal = `
  import { syncBuiltinESMExports } from 'node:module'
  const operations = []
  function dieBefore(moment) {
    const fs = process.getBuiltinModule('node:fs/promises')
    const seen = {}
    const next = (name) => {
      seen[name] = (seen[name] ?? 0) + 1
      if ([String(operations.push(name)), name + ' ' + seen[name]].includes(moment)) process.kill(process.pid, 'SIGKILL')
    }
    for (const name of ['open', 'rename', 'unlink', 'stat', 'realpath', 'readlink', 'readdir', 'mkdir']) {
      const original = fs[name]
      fs[name] = async (...args) => {
        next(name)
        const result = await original(...args)
        if (name !== 'open') return result
        for (const call of ['sync', 'close', 'chmod']) {
          const method = result[call].bind(result)
          result[call] = (...rest) => (next(call), method(...rest))
        }
        const write = result.write.bind(result)
        result.write = async (bytes, offset, length, position) => {
          next('write')
          const half = length >> 1
          await write(bytes, offset, half, position)
          next('second half')
          await write(bytes, offset + half, length - half, position + half)
          return { bytesWritten: length, buffer: bytes }
        }
        return result
      }
    }
    syncBuiltinESMExports()
  }`

/** Two models of different sizes; `save` is what users call. */
const models = `
  const { full, nn } = ferrograd
  class Model extends nn.Module {
    constructor(value, size) {
      super()
      this.weight = new ferrograd.Parameter(full([size], value))
    }
    forward(x) { return x }
  }
  const [a, b] = [new Model(1, 300_000), new Model(2, 500_000)]`

interface Child {
  /** Resolves when it has written something. */
  ready: Promise<void>
  ended: Promise<{ signal: NodeJS.Signals | null; stdout: string; stderr: string }>
  kill(): void
}

/** Runs code in a process of its own, `ferrograd` being the built library. */
function start(code: string, ...args: string[]): Child {
  const source = `${mortal}\nconst ferrograd = await import(${JSON.stringify(library)})\n${code}`
  const child = spawn(process.execPath, ['--input-type=module', '-e', source, ...args])
  let [stdout, stderr] = ['', '']
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const ended = new Promise<Awaited<Child['ended']>>((done) => child.on('close', (_, signal) => done({ signal, stdout, stderr })))
  const ready = new Promise<void>((done) => {
    child.stdout.on('data', (chunk: Buffer) => {
      stdout += chunk.toString()
      done()
    })
    void ended.then(() => done())
  })
  return { ready, ended, kill: () => child.kill('SIGKILL') }
}

/** Runs `work` on all items, two at a time. */
async function inPairs<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  const left = [...items]
  const worker = async (): Promise<void> => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item)
  }
  await Promise.all([worker(), worker()])
}

/** Numbers in [0, 1) from a seed. */
function numbers(seed: number): () => number {
  let state = seed
  return () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32
}

const temporary = (names: string[]): string[] => names.filter((name) => name.endsWith('.tmp'))

/** What both models' files hold. */
async function wholeFiles(home: string): Promise<[Buffer, Buffer]> {
  const { stderr } = await start(
    `${models}\nawait a.save(process.argv[1] + '/a.safetensors'); await b.save(process.argv[1] + '/b.safetensors')`,
    home,
  ).ended
  expect(stderr).toBe('')
  const files = [await readFile(join(home, 'a.safetensors')), await readFile(join(home, 'b.safetensors'))] as [Buffer, Buffer]
  await rm(join(home, 'a.safetensors'))
  await rm(join(home, 'b.safetensors'))
  return files
}

// Windows has no SIGKILL: there a process that is ended so looks like one that failed.
describe.runIf(process.platform !== 'win32')('a process', () => {
  test('killed before each file operation of a save, and in the middle of each write', async () => {
    const home = await mkdtemp(join(folder, 'each-'))
    const [old, saved] = await wholeFiles(home)
    const once = `${models}\ndieBefore(process.argv[2]); await b.save(process.argv[1]); console.log(JSON.stringify(operations))`
    const path = join(home, 'model.safetensors')
    await writeFile(path, old)
    const { stdout } = await start(once, path, 'none').ended
    const operations = JSON.parse(stdout) as string[]
    expect(operations.filter((name) => /write|half|sync|close|rename/.test(name)).join(' ')).toMatch(/^(write second half )+sync close rename sync close$/)
    const kills = operations.map((_, i) => i + 1)
    await inPairs(kills, async (at) => {
      const own = await mkdtemp(join(home, 'own-'))
      const path = join(own, 'model.safetensors')
      await writeFile(path, old)
      const { signal, stderr } = await start(once, path, String(at)).ended
      const what = `killed before ${operations[at - 1]}, operation ${at}`
      expect(signal, `${what} ${stderr}`).toBe('SIGKILL')
      expect((await readFile(path)).equals(at <= operations.indexOf('rename') + 1 ? old : saved), what).toBe(true)
      expect(temporary(await readdir(own)).length, what).toBeLessThanOrEqual(1)
      for (const value of Object.values((await train.loadSafetensors(path)).tensors)) value.dispose()
      // The next save is none the worse for it, and clears up.
      await train.saveSafetensors(path, {})
      expect(await readdir(own), what).toEqual(['model.safetensors'])
    })
    expect(kills.length).toBeGreaterThanOrEqual(18)
  })

  test('killed at any time while two models are saved in turns', async () => {
    const home = await mkdtemp(join(folder, 'any-'))
    const [one, two] = await wholeFiles(home)
    const endless = `${models}\nfor (;;) for (const model of [a, b]) { await model.save(process.argv[1]); console.log('saved') }`
    const delay = numbers(5)
    await inPairs(['first', 'second'], async (name) => {
      const own = await mkdtemp(join(home, `${name}-`))
      const path = join(own, 'model.safetensors')
      for (let i = 0; i < 14; i++) {
        const child = start(endless, path)
        await child.ready
        await new Promise((resolve) => setTimeout(resolve, 30 * delay()))
        child.kill()
        const { signal, stderr } = await child.ended
        expect(signal, stderr).toBe('SIGKILL')
        const bytes = await readFile(path)
        expect(bytes.equals(one) || bytes.equals(two)).toBe(true)
        expect(temporary(await readdir(own)).length).toBeLessThanOrEqual(1)
      }
    })
  })

  test('a training run killed again and again goes on from its newest checkpoint and ends with the bits of one that ran through', async () => {
    const [home, other] = [await mkdtemp(join(folder, 'fit-')), await mkdtemp(join(folder, 'through-'))]
    const fit = `
      const { manualSeed, nn, Trainer } = ferrograd
      const { createHash } = await import('node:crypto')
      manualSeed(7)
      const model = new nn.Sequential(new nn.Linear(4, 16), new nn.BatchNorm1d(16), new nn.ReLU(), new nn.Dropout(0.2), new nn.Linear(16, 3))
      const labels = Array.from({ length: 48 }, (_, i) => i % 3)
      const inputs = labels.map((label, i) => [label, i / 48, -label, 1 - i / 48])
      dieBefore(process.argv[2])
      await new Trainer(model, { loss: 'crossEntropy', metrics: ['accuracy'] }).fit({ inputs, labels },
        { epochs: 4, batchSize: 4, seed: 3, verbose: false, checkpointDir: process.argv[1], checkpointEvery: 1, resume: true })
      const hash = createHash('sha256')
      for (const value of Object.values(model.stateDict())) hash.update(Buffer.from((await value.data()).buffer))
      console.log(hash.digest('hex'))`
    const through = (await start(fit, other, 'none').ended).stdout
    expect(through).toMatch(/^[0-9a-f]{64}\n$/)
    let newest = 0
    // Each run gets a little further than the one before, at the most by three checkpoints.
    const moments = ['open', 'write', 'second half', 'sync', 'close', 'rename', 'readdir', 'unlink'].flatMap((name) => [1, 2, 3].map((n) => `${name} ${n}`))
    for (const moment of moments) {
      const { signal, stderr } = await start(fit, home, moment).ended
      expect(signal, `${moment} ${stderr}`).toBe('SIGKILL')
      const names = await readdir(home)
      expect(temporary(names).length).toBeLessThanOrEqual(1)
      const checkpoints = names.filter((name) => name.startsWith('checkpoint-')).sort()
      for (const name of checkpoints)
        for (const value of Object.values((await train.loadSafetensors(join(home, name))).tensors)) value.dispose()
      const last = Number(/\d+/.exec(checkpoints.at(-1) ?? '0')?.[0])
      expect(last).toBeGreaterThanOrEqual(newest)
      newest = last
    }
    expect(newest).toBeGreaterThan(10)
    const { stdout, stderr } = await start(fit, home, 'none').ended
    expect(stdout, stderr).toBe(through)
    expect(await readdir(home)).toEqual(['checkpoint-00000047.safetensors', 'checkpoint-00000048.safetensors'])
  })
})
