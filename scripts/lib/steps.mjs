// What every script shares: where the repository is, running a command, timing a step, and failing with a way out.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const windows = process.platform === 'win32'

/** Ends the script with a message that says what is missing and how to get it. */
export class Missing extends Error {}

/** The environment for child processes: cargo's default folder is searched even where the shell does not know it. */
export function environment(extra = {}) {
  const cargoBin = join(process.env.CARGO_HOME ?? join(homedir(), '.cargo'), 'bin')
  const path = process.env.PATH ?? process.env.Path ?? ''
  return { ...process.env, PATH: existsSync(cargoBin) ? `${path}${delimiter}${cargoBin}` : path, ...extra }
}

/** Runs a command to its end with this terminal; rejects when it fails. */
export async function run(command, args, options = {}) {
  const status = await exitStatus(command, args, options)
  if (status !== 0) throw new Error(`${[command, ...args].join(' ')} failed (status ${status})`)
}

/** Runs a command to its end; resolves to its exit status. `onLine` gets its output line by line, stdout and stderr together. */
export function exitStatus(command, args, { env, onLine, cwd = root } = {}) {
  const child = spawn(command, args, {
    cwd,
    env: environment(env),
    stdio: onLine ? ['ignore', 'pipe', 'pipe'] : ['ignore', 'inherit', 'inherit'],
    shell: windows && command === 'npm',                    // npm is a .cmd there
  })
  if (onLine) for (const stream of [child.stdout, child.stderr]) readLines(stream, onLine)
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (code, signal) => resolve(code ?? `signal ${signal}`))
  })
}

function readLines(stream, onLine) {
  let rest = ''
  stream.setEncoding('utf8')
  stream.on('data', (text) => {
    const lines = (rest + text).split('\n')
    rest = lines.pop()
    lines.forEach(onLine)
  })
  stream.on('end', () => rest && onLine(rest))
}

/** The output of a command, or null where it cannot be run. */
export function outputOf(command, args) {
  const result = spawnSync(command, args, { cwd: root, env: environment(), encoding: 'utf8' })
  return result.status === 0 ? result.stdout.trim() : null
}

/** Runs `work` and prints what it was and how long it took. */
export async function step(name, work) {
  const start = performance.now()
  const result = await work()
  console.log(`[${((performance.now() - start) / 1000).toFixed(1).padStart(6)} s] ${name}`)
  return result
}

/** Every file below `folder` (relative to the repository), sorted. */
export function filesBelow(folder, keep = () => true) {
  const top = join(root, folder)
  if (!existsSync(top)) return []
  return readdirSync(top, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1).replaceAll('\\', '/'))
    .filter(keep)
    .sort()
}

/** One hash over names and contents. */
export function hashOf(files) {
  const hash = createHash('sha256')
  for (const file of files) hash.update(`${file}\0`).update(readFileSync(join(root, file))).update('\0')
  return hash.digest('hex')
}

/** Runs a script's main function; errors become one message and exit status 1. */
export async function main(work) {
  try {
    await work()
  } catch (error) {
    console.error(error instanceof Missing ? `\n${error.message}` : `\n${error.message ?? error}`)
    process.exitCode = 1
  }
}
