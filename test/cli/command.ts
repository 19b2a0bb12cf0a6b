// Runs the built command as a user does, in a process of its own.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

const entry = resolve(import.meta.dirname, '..', '..', 'dist', 'cli', 'index.js')

/** How a command ended. */
export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/** Starts `ferrograd ...args`; `watch` sees the process and what it has written so far, whenever it writes. */
export function ferrograd(
  args: readonly string[],
  {
    env = {},
    cwd,
    watch = () => {},
  }: { env?: Record<string, string>; cwd?: string; watch?: (child: ChildProcess, text: string) => void } = {},
): Promise<Ended> {
  if (!existsSync(entry)) throw new Error(`${entry} is missing: node scripts/build.mjs`)
  const child = spawn(process.execPath, [entry, ...args], {
    cwd: cwd ?? join(entry, '..'),
    env: { ...process.env, FERROGRAD_DATA: '', FERROGRAD_CACHE: '/nonexistent', ...env },
  })
  const ended: Ended = { code: null, stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk: Buffer) => {
      ended[name] += chunk.toString()
      watch(child, ended.stdout + ended.stderr)
    })
  }
  return new Promise((done) => child.on('close', (code) => done({ ...ended, code })))
}
