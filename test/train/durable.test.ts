// What a save does to the file system: in which order, to what, and what it leaves.
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, readFile, realpath, rm, utimes, writeFile } from 'node:fs/promises'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { train, zeros } from '../../ts/index.js'

const { saveSafetensors, writeDurably } = train
const posix = process.platform !== 'win32'
let folder = ''
beforeAll(async () => {
  folder = await realpath(await mkdtemp(join(tmpdir(), 'ferrograd-durable-')))
})
afterAll(() => rm(folder, { recursive: true, force: true }))
const own = (name: string): Promise<string> => mkdtemp(join(folder, `${name}-`))
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
