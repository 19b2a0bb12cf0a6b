// npm run bench:peers [-- --only NAME] [--peers A,B] [--json FILE] [--pairs N] [--threads N] [--list]
// The same work in Ferrograd and in each peer: results are compared first, then both are timed in turns.
import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, loadavg, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from '../root.js'
import { difference } from './compare.js'
import { inTurns } from './pairs.js'
import { ferrograd, hasCompiler, type Peer, peers, python, startOf } from './peers.js'
import { PeerProcess } from './process.js'
import { json, line, type Result, resultOf } from './result.js'
import { write } from './tensors.js'
import { type Workload, workloads } from './workloads.js'

const { values: options } = parseArgs({
  options: {
    only: { type: 'string' }, peers: { type: 'string' }, json: { type: 'string' }, pairs: { type: 'string', default: '20' },
    threads: { type: 'string', default: String(availableParallelism()) }, list: { type: 'boolean' },
  },
})
const pairs = Number(options.pairs)
const threads = Number(options.threads)
const chosen = workloads.filter(({ name }) => options.only === undefined || name.includes(options.only))
const named = options.peers?.split(',')
const invited = peers.filter(({ impl }) => named?.includes(impl) ?? true)
const strangers = named?.filter((name) => !peers.some(({ impl }) => impl === name)) ?? []

const folder = mkdtempSync(join(tmpdir(), 'ferrograd-peers-'))
const running = new Set<PeerProcess>()
/** Peers that have introduced themselves, and their threads. */
const known = new Map<string, number>()

process.on('exit', () => {
  for (const each of running) each.kill()
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))

/** What was asked for is not there: a line, and no stack of ours. */
function refuse(fault: string): never {
  console.error(`bench:peers: ${fault}`)
  process.exit(2)
}
if (chosen.length === 0) refuse(`no workload is called ${options.only}; there are ${workloads.map(({ name }) => name).join(', ')}`)
if (strangers.length > 0) refuse(`no peer is called ${strangers.join(', ')}; there are ${peers.map(({ impl }) => impl).join(', ')}`)
if (options.list) {
  console.log(chosen.map(({ name }) => name).join('\n'))
} else {
  console.log(`${threads} threads, ${pairs} pairs a peer; ms a call, medians of bursts; "x ours": the peer's time over ours, with its 95 % interval`)
  const [load] = loadavg() as [number]
  if (load > 0.5) {
    console.log(`Other work is running (load ${load.toFixed(1)}). Peers whose threads wait spinning suffer most from it: measure on an idle machine.`)
  }
  for (const group of new Set(chosen.map((each) => each.group))) await runGroup(chosen.filter((each) => each.group === group))
}

/** Each peer goes through the group's workloads in one process; ours runs beside it in another. */
async function runGroup(group: readonly Workload[]): Promise<void> {
  for (const workload of group) write(fileOf(workload), workload.tensors())
  const ourTimes = new Map<Workload, number[]>(group.map((workload) => [workload, []]))
  for (const peer of invited) {
    const work = group.filter((workload) => peer.does.includes(workload.kind) && accepts(peer, workload, peer.refuses?.(workload) ?? null))
    if (work.length === 0) continue
    if (peer.compiler && !hasCompiler()) {
      console.log(`${peer.impl}: left out, there is no C++ compiler`)
      continue
    }
    const [ours, theirs] = [ferrograd, peer].map((each) => new PeerProcess(each.impl, startOf(each, threads))) as [PeerProcess, PeerProcess]
    running.add(ours).add(theirs)
    try {
      await introduce(peer, ours, theirs)
      for (const workload of work) {
        try {
          ourTimes.get(workload)!.push(...await measure(workload, peer, ours, theirs))
        } catch (error) {
          accepts(peer, workload, (error as Error).message)
        }
      }
    } catch (error) {
      console.log(`${peer.impl}: left out, ${(error as Error).message} (npm run bench:peers:setup installs the peers)`)
    }
    for (const each of [ours, theirs]) {
      await each.close()
      running.delete(each)
    }
  }
  for (const [{ name, dtype }, times] of ourTimes) if (times.length > 0) keep(resultOf({ name, impl: 'ferrograd', threads, dtype }, times))
  for (const workload of group) rmSync(fileOf(workload))
}

/** Prints versions, threads and settings, once each. */
async function introduce(peer: Peer, ours: PeerProcess, theirs: PeerProcess): Promise<void> {
  const us = await ours.about()
  if (known.size === 0) console.log(`ferrograd: ${us.versions}; ${us.threads} threads; ${us.note}`)
  const about = await theirs.about()
  if (!known.has(peer.impl)) {
    const settings = Object.entries(peer.env ?? {}).map(([name, value]) => `${name}=${value}`)
    console.log(`${peer.impl}: ${[about.versions, `${about.threads} threads`, peer.note, about.note, ...settings].filter(Boolean).join('; ')}`)
  }
  known.set(peer.impl, about.threads)
}

/** Compares, times and reports; gives our own times. */
async function measure(workload: Workload, peer: Peer, ours: PeerProcess, theirs: PeerProcess): Promise<number[]> {
  const { name, dtype, tolerances } = workload
  const mine = await ours.prepare(jobOf(workload, ferrograd))
  const found = await theirs.prepare(jobOf(workload, peer))
  const differs = difference(mine.values, found.values, tolerances)
  if (!accepts(peer, workload, differs && `its results differ: ${differs}`)) return []

  const times = await inTurns({ process: ours, prepared: mine }, { process: theirs, prepared: found }, pairs)
  const result = resultOf({ name, impl: peer.impl, threads: known.get(peer.impl)!, dtype }, times.theirs, times.ours)
  keep(result)
  const compiled = peer.compiler ? `  (first call, with compiling: ${(found.firstMs / 1e3).toFixed(1)} s)` : ''
  console.log(`${name.padEnd(26)}${line(result, resultOf({ name, impl: 'ferrograd', threads, dtype }, times.ours))}${compiled}`)
  return times.ours
}

function fileOf({ name }: Workload): string {
  return join(folder, `${name}.safetensors`)
}

function jobOf(workload: Workload, peer: Peer): object {
  const { kind, dtype, checks, work } = workload
  const file = fileOf(workload)
  const job = { kind, dtype, checks, work, file, onnx: file.replace(/safetensors$/, 'onnx'), options: peer.options ?? {} }
  if (peer.onnx) {
    const description = join(folder, 'job.json')
    writeFileSync(description, JSON.stringify(job))
    const env = { ...process.env, PYTHONDONTWRITEBYTECODE: '1' }
    const made = spawnSync(python, [join(root, 'bench', 'peers', 'onnx_models.py'), description], { encoding: 'utf8', env })
    if (made.status !== 0) throw new Error(`its ONNX file could not be made: ${made.stderr.trim().split('\n').at(-1)}`)
  }
  return job
}

/** True where there is no reason against a figure; else prints the reason. */
function accepts(peer: Peer, { name }: Workload, reason: string | null): boolean {
  if (reason !== null) console.log(`${name.padEnd(26)}  ${peer.impl.padEnd(20)} no figure: ${reason}`)
  return reason === null
}

function keep(result: Result): void {
  if (options.json) appendFileSync(options.json, json(result))
}
