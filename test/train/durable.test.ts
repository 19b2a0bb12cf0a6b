// What a save does to the file system: in which order, to what, and what it leaves.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, realpath, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises'
import * as fs from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FileError, tensor, type Tensor, train, ValueError, zeros } from '../../ts/index.js'

const { loadSafetensors, saveSafetensors, writeDurably } = train
const posix = process.platform !== 'win32'
let folder = ''
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'ferrograd-durable-')))
})
afterAll(() => rm(folder, { recursive: true, force: true }))
const own = (name: string): Promise<string> => mkdtemp(join(folder, `${name}-`))
const state = (value: number): Record<string, Tensor> => ({ x: tensor([value, value]) })
const value = async (path: string): Promise<unknown> => (await loadSafetensors(path)).tensors.x?.tolist()
const text = (path: string, content: string, system?: train.FileSystem): Promise<void> =>
  writeDurably(path, (write) => write(Buffer.from(content)), system)

test.runIf(posix)('writes, syncs the file, closes it, renames it, syncs the folder, in this order', async () => {
  const home = await own('order')
  const path = join(home, 'model.safetensors')
  const calls: string[] = []
  const named = (at: unknown): string => (at === home ? 'folder' : at === path ? 'file' : 'temporary')
  const watching: train.FileSystem = {
    ...fs,
    open: (async (...args: Parameters<typeof fs.open>) => {
      const what = named(args[0])
      calls.push(`open ${what}`)
      const handle = await fs.open(...args)
      for (const call of ['write', 'sync', 'close'] as const) {
        const original = handle[call].bind(handle) as (...rest: unknown[]) => Promise<unknown>
        Object.assign(handle, {
          [call]: async (...rest: unknown[]) => {
            // Noted when it is done: the next must not begin before.
            const result = await original(...rest)
            calls.push(`${call} ${what}`)
            return result
          },
        })
      }
      return handle
    }) as typeof fs.open,
    rename: async (from, to) => {
      await fs.rename(from, to)
      calls.push(`rename ${named(from)} to ${named(to)}`)
    },
  }
  await saveSafetensors(path, { x: zeros([600_000]) }, { fs: watching })
  // The header, three pieces of a megabyte at most, the header with its checksum.
  expect(calls).toEqual([
    'open temporary',
    ...Array.from({ length: 5 }, () => 'write temporary'),
    'sync temporary',
    'close temporary',
    'rename temporary to file',
    'open folder',
    'sync folder',
    'close folder',
  ])
})

describe('what is no file stays as it is', () => {
  const refused = async (path: string, message: RegExp, system?: train.FileSystem): Promise<void> => {
    const error = await saveSafetensors(path, state(1), system === undefined ? {} : { fs: system }).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(ValueError)
    expect((error as Error).message).toContain(path)
    expect((error as Error).message).toMatch(message)
  }

  test.runIf(posix)('a device', async () => {
    // Nothing is to be changed, and nothing can be: a fault in this test would cost the machine its /dev/null.
    const never = (): never => {
      throw new Error('the file system was about to be changed')
    }
    await refused('/dev/null', /\/dev\/null is a device, not a file; it was left as it is\.\n {2}Give the path of a file/, {
      ...fs,
      open: never,
      rename: never,
      unlink: never,
    })
  })

  test('a folder', async () => {
    const home = await own('folder')
    await mkdir(join(home, 'runs'))
    await refused(join(home, 'runs'), /is a folder, not a file\.\n {2}Give the file's name too, as in .*model\.safetensors/)
    expect((await stat(join(home, 'runs'))).isDirectory()).toBe(true)
    expect(await readdir(home)).toEqual(['runs'])
  })

  test.runIf(posix)('a pipe, also behind a link; reading one does not wait for a writer', async () => {
    const home = await own('pipe')
    const path = join(home, 'pipe')
    expect(spawnSync('mkfifo', [path]).status).toBe(0)
    await symlink('pipe', join(home, 'link'))
    await refused(path, /is a pipe/)
    await refused(join(home, 'link'), /is a pipe/)
    expect((await lstat(path)).isFIFO()).toBe(true)
    expect((await readdir(home)).sort()).toEqual(['link', 'pipe'])
    await expect(loadSafetensors(path)).rejects.toThrow(/no regular file/)
  })

  test.runIf(posix)('a socket', async () => {
    // A socket's path must be short.
    const home = await mkdtemp(join(tmpdir(), 'fg-'))
    const path = join(home, 's')
    const server = createServer()
    await new Promise<void>((done) => server.listen(path, done))
    try {
      await refused(path, /is a socket/)
      expect((await lstat(path)).isSocket()).toBe(true)
    } finally {
      await new Promise((done) => server.close(done))
      await rm(home, { recursive: true })
    }
  })

  test.runIf(posix)('a link that leads back to itself', async () => {
    const home = await own('loop')
    await symlink('b', join(home, 'a'))
    await symlink('a', join(home, 'b'))
    await refused(join(home, 'a'), /is a link that leads back to itself/)
    expect(await readlink(join(home, 'a'))).toBe('b')
  })
})

describe.runIf(posix)('a link is written through', () => {
  test('to its target, which is replaced whole', async () => {
    const home = await own('link')
    await mkdir(join(home, 'store'))
    await saveSafetensors(join(home, 'store', 'real.safetensors'), state(1))
    await symlink('store/real.safetensors', join(home, 'one'))
    await symlink('one', join(home, 'two'))
    await saveSafetensors(join(home, 'two'), state(2))
    expect(await readlink(join(home, 'two'))).toBe('one')
    expect(await readlink(join(home, 'one'))).toBe('store/real.safetensors')
    expect((await lstat(join(home, 'store', 'real.safetensors'))).isFile()).toBe(true)
    expect(await value(join(home, 'store', 'real.safetensors'))).toEqual([2, 2])
    expect(await readdir(join(home, 'store'))).toEqual(['real.safetensors'])
  })

  test('to a target that is still to be made, relative to the folder where the link truly lies', async () => {
    const home = await own('dangling')
    await mkdir(join(home, 'deep', 'links'), { recursive: true })
    await symlink('../../made.safetensors', join(home, 'deep', 'links', 'latest'))
    await symlink('deep/links', join(home, 'short'))
    await saveSafetensors(join(home, 'short', 'latest'), state(3))
    expect(await readlink(join(home, 'deep', 'links', 'latest'))).toBe('../../made.safetensors')
    expect(await value(join(home, 'made.safetensors'))).toEqual([3, 3])
    expect((await readdir(home)).sort()).toEqual(['deep', 'made.safetensors', 'short'])
  })
})

test.runIf(posix)('a file that is replaced keeps its mode, whatever the umask', async () => {
  const path = join(await own('mode'), 'model.safetensors')
  await saveSafetensors(path, state(1))
  for (const mode of [0o600, 0o666, 0o640]) {
    await chmod(path, mode)
    await saveSafetensors(path, state(mode))
    expect((await stat(path)).mode & 0o777).toBe(mode)
  }
})

test('a missing folder is named, not a temporary file', async () => {
  const path = join(folder, 'nowhere', 'model.safetensors')
  const error = (await saveSafetensors(path, state(1)).catch((reason: unknown) => reason)) as NodeJS.ErrnoException
  expect(error).toBeInstanceOf(FileError)
  expect(error.code).toBe('ENOENT')
  expect(error.message).toContain(`the folder ${join(folder, 'nowhere')} does not exist, or takes no new entries (ENOENT).`)
  expect(error.message).toMatch(/Make the folder first/)
  expect(error.message).not.toContain('.tmp')
})

describe('temporary files of killed processes', () => {
  /** The name that this process gives its temporary files. */
  async function temporaryName(home: string): Promise<string> {
    let name = ''
    await writeDurably(join(home, 'probe'), async () => {
      name = (await readdir(home)).find((other) => other.endsWith('.tmp')) as string
    })
    await rm(join(home, 'probe'))
    expect(name).toMatch(/^\.ferrograd-[0-9a-f]{8}-\d+-[0-9a-f]{12}\.tmp$/)
    expect(name).toContain(`-${process.pid}-`)
    return name
  }
  const ended = (): number => spawnSync(process.execPath, ['-e', '']).pid

  test('are removed by the next save into the folder; those of running processes and of other machines are not', async () => {
    const home = await own('left')
    const name = await temporaryName(home)
    const of = (pid: number, machine?: string): string =>
      name.replace(`-${process.pid}-`, `-${pid}-`).replace(/-[0-9a-f]{8}-/, (own) => (machine === undefined ? own : `-${machine}-`))
    const dead = ended()
    const elsewhere = createHash('sha256').update('elsewhere').digest('hex').slice(0, 8)
    const [gone, running, foreign, old, alike] = [of(dead), of(process.ppid), of(dead, elsewhere), of(dead, `${elsewhere.slice(1)}0`), `x${of(dead)}`]
    for (const file of [gone, running, foreign, old, alike]) await writeFile(join(home, file), 'half')
    const hourAgo = new Date(Date.now() - 3_600_000)
    await utimes(join(home, old), hourAgo, hourAgo)
    await text(join(home, 'model'), 'whole')
    expect((await readdir(home)).sort()).toEqual([running, foreign, alike, 'model'].sort())
  })

  test('one of a save that is under way in this process stays, and both saves succeed', async () => {
    const home = await own('both')
    const path = join(home, 'model')
    await writeDurably(path, async (write) => {
      await write(Buffer.from('outer'))
      await text(path, 'inner')
      expect(await readFile(path, 'utf8')).toBe('inner')
    })
    expect(await readFile(path, 'utf8')).toBe('outer')
    expect(await readdir(home)).toEqual(['model'])
  })

  test('that cannot be looked for are no reason to fail', async () => {
    const home = await own('blind')
    const blind = { ...fs, readdir: (() => Promise.reject(new Error('EACCES'))) as unknown as typeof fs.readdir }
    await text(join(home, 'model'), 'whole', blind)
    expect(await readFile(join(home, 'model'), 'utf8')).toBe('whole')
  })
})
