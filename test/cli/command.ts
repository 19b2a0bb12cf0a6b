// Runs the built command as a user does, in a process of its own.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'

const entry = resolve(import.meta.dirname, '..', '..', 'dist', 'cli', 'index.js')

/** How a command ended. */
export interface Ended {
  code: number | null
  stdout: string
  stderr: string
}

/** A signal that comes when the command has written `at`, and a line of JavaScript that runs just before. */
export interface Sent {
  at: string
  signal: 'SIGINT' | 'SIGTERM'
  before?: string
}

/**
 * Loaded into the command, it sends itself the signals, one after the other: from here one would come now sooner, now later, and might
 * find the command at its end. On Windows, where no signal can be sent, it hears what Node would tell it.
 */
const sender = (signals: readonly Sent[]): string => `
  const { rmSync, writeFileSync } = process.getBuiltinModule('node:fs')
  const left = ${JSON.stringify(signals)}
  for (const stream of [process.stdout, process.stderr]) {
    const write = stream.write.bind(stream)
    stream.write = (text, ...rest) => {
      const result = write(text, ...rest)
      if (left.length === 0 || !String(text).includes(left[0].at)) return result
      const { signal, before } = left.shift()
      if (before !== undefined) new Function('rmSync', 'writeFileSync', before)(rmSync, writeFileSync)
      if (process.platform === 'win32') process.emit(signal, signal)
      else process.kill(process.pid, signal)
      return result
    }
  }`

/** Starts `ferrograd ...args`; `input` comes in on its standard input. */
export function ferrograd(
  args: readonly string[],
  { env = {}, cwd, signals = [], input = '' }: { env?: Record<string, string>; cwd?: string; signals?: readonly Sent[]; input?: string | Buffer } = {},
): Promise<Ended> {
  if (!existsSync(entry)) throw new Error(`${entry} is missing: node scripts/build.mjs`)
  const preload = signals.length === 0 ? [] : ['--import', `data:text/javascript,${encodeURIComponent(sender(signals))}`]
  const child = spawn(process.execPath, [...preload, entry, ...args], {
    cwd: cwd ?? join(entry, '..'),
    env: { ...process.env, FERROGRAD_DATA: '', FERROGRAD_CACHE: '/nonexistent', ...env },
  })
  child.stdin.end(input)
  const ended: Ended = { code: null, stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk: Buffer) => {
      ended[name] += chunk.toString()
    })
  }
  return new Promise((done) => child.on('close', (code) => done({ ...ended, code })))
}
