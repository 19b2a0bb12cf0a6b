// npm run bench:peers [-- --only NAME] [--peers A,B] [--json FILE] [--pairs N] [--threads N] [--list]
// The same work in Ferrograd and in each peer: results are compared first, then both are timed in turns, one short burst each.
import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { setTimeout as pause } from 'node:timers/promises'
import { root } from '../root.js'
import { difference } from './compare.js'
import { ferrograd, hasCompiler, type Peer, peers, python, startOf } from './peers.js'
import { PeerProcess, type Prepared } from './process.js'
import { line, type Result, resultOf } from './result.js'
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
const invited = peers.filter(({ impl }) => options.peers === undefined || options.peers.split(',').includes(impl))

/** The least that a burst lasts, and how long both rest before one: what the last left spinning has gone to sleep by then. */
const BURST_MS = 60
const REST_MS = 15
/** Calls that are not counted go on this long. */
const WARM_UP_MS = 500
/** A peer this slow gets fewer pairs: a step of minutes says enough at once. */
const SLOW_MS = 5_000
const SLOW_PAIRS = 3

const folder = mkdtempSync(join(tmpdir(), 'ferrograd-peers-'))
const running = new Set<PeerProcess>()
/** Peers that have introduced themselves, and their threads. */
const known = new Map<string, number>()
process.on('exit', () => {
  for (const each of running) each.kill()
  rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(1))

if (options.list) {
  console.log(chosen.map(({ name }) => name).join('\n'))
} else if (chosen.length === 0) {
  throw new Error(`no workload is called ${options.only}; there are ${workloads.map(({ name }) => name).join(', ')}`)
} else {
  console.log(`${threads} threads, ${pairs} pairs a peer; times are ms a call, medians of bursts; "x ours" is the peer's time over ours, with its 95 % interval`)
  for (const group of new Set(chosen.map((each) => each.group))) await runGroup(chosen.filter((each) => each.group === group))
}

/** Each peer goes through the group's workloads in one process; ours runs beside it in another. */
async function runGroup(group: readonly Workload[]): Promise<void> {
  for (const workload of group) write(fileOf(workload), workload.tensors())
  const ourTimes = new Map<Workload, number[]>(group.map((workload) => [workload, []]))
  for (const peer of invited) {
    const work = group.filter((workload) => peer.does.includes(workload.kind) && said(peer, workload, peer.refuses?.(workload) ?? null))
    if (work.length === 0) continue
    if (peer.compiler && !hasCompiler()) {
      console.log(`${peer.impl}: left out, there is no C++ compiler`)
      continue
    }
    const both = [new PeerProcess(startOf(ferrograd, threads)), new PeerProcess(startOf(peer, threads))] as [PeerProcess, PeerProcess]
    for (const each of both) running.add(each)
    try {
      await introduce(peer, both)
      for (const workload of work) {
        try {
          await measure(workload, peer, both, ourTimes.get(workload) as number[])
        } catch (error) {
          said(peer, workload, (error as Error).message)
        }
      }
    } catch (error) {
      console.log(`${peer.impl}: left out, ${(error as Error).message} (npm run bench:peers:setup installs the peers)`)
    }
    for (const each of both) {
      await each.close()
      running.delete(each)
    }
  }
  for (const [{ name, dtype }, times] of ourTimes) if (times.length > 0) keep(resultOf({ name, impl: 'ferrograd', threads, dtype }, times))
  for (const workload of group) rmSync(fileOf(workload))
}

/** Prints versions, threads and settings, once each. */
async function introduce(peer: Peer, [ours, theirs]: [PeerProcess, PeerProcess]): Promise<void> {
  const us = await ours.about()
  if (known.size === 0) console.log(`ferrograd: ${us.versions}; ${us.threads} threads; ${us.note}`)
  const about = await theirs.about()
  if (!known.has(peer.impl)) {
    const settings = Object.entries(peer.env ?? {}).map(([name, value]) => `${name}=${value}`)
    console.log(`${peer.impl}: ${[about.versions, `${about.threads} threads`, peer.note, about.note, ...settings].filter(Boolean).join('; ')}`)
  }
  known.set(peer.impl, about.threads)
}

async function measure(workload: Workload, peer: Peer, [ours, theirs]: [PeerProcess, PeerProcess], ourTimes: number[]): Promise<void> {
  const { name, dtype } = workload
  const mine = await ours.prepare(jobOf(workload, ferrograd))
  const found = await theirs.prepare(jobOf(workload, peer))
  const refused = difference(mine.values, found.values, workload.tolerances)
  if (!said(peer, workload, refused && `its results differ: ${refused}`)) return

  const plans = [await plan(ours, mine), await plan(theirs, found)] as const
  const enough = plans[1].ms > SLOW_MS ? Math.min(pairs, SLOW_PAIRS) : pairs
  const times: [number[], number[]] = [[], []]
  for (let pair = 0; pair < enough; pair++) {
    // Each goes first in half of the pairs.
    for (const side of pair % 2 === 0 ? [0, 1] as const : [1, 0] as const) {
      await pause(REST_MS)
      times[side].push(await (side === 0 ? ours : theirs).burst(plans[side].calls, plans[side].warm))
    }
  }
  ourTimes.push(...times[0])
  const result = resultOf({ name, impl: peer.impl, threads: known.get(peer.impl) as number, dtype }, times[1], times[0])
  keep(result)
  const compiled = peer.compiler ? `  (first call, with compiling: ${(found.firstMs / 1e3).toFixed(1)} s)` : ''
  console.log(`${name.padEnd(26)}${line(result, resultOf({ name, impl: 'ferrograd', threads, dtype }, times[0]))}${compiled}`)
}

/** How many calls make a burst; warms up on the way. Short calls get one untimed call first, which finds the caches as the other left them. */
async function plan(who: PeerProcess, { lastMs }: Prepared): Promise<{ ms: number; calls: number; warm: number }> {
  let ms = lastMs
  let calls = 1
  for (let spent = ms; spent < WARM_UP_MS; spent += calls * ms) {
    ms = await who.burst(calls, 0)
    calls = Math.min(256, Math.max(2, Math.ceil(100 / ms)))
  }
  return { ms, calls: Math.max(1, Math.min(2048, Math.ceil(BURST_MS / ms))), warm: ms < BURST_MS / 3 ? 1 : 0 }
}

function fileOf({ name }: Workload): string {
  return join(folder, `${name}.safetensors`)
}

function jobOf(workload: Workload, peer: Peer): object {
  const { kind, dtype, checks, work } = workload
  const job = { kind, dtype, checks, work, threads, file: fileOf(workload), options: peer.options ?? {}, onnx: fileOf(workload).replace(/safetensors$/, 'onnx') }
  if (peer.onnx) {
    const description = join(folder, 'job.json')
    writeFileSync(description, JSON.stringify(job))
    const made = spawnSync(python, [join(root, 'bench', 'peers', 'onnx_models.py'), description], { encoding: 'utf8', env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' } })
    if (made.status !== 0) throw new Error(`its ONNX file could not be made: ${made.stderr.trim().split('\n').at(-1)}`)
  }
  return job
}

/** Prints why a workload has no figure of a peer's; true where there is no reason. */
function said(peer: Peer, { name }: Workload, reason: string | null): boolean {
  if (reason !== null) console.log(`${name.padEnd(26)}  ${peer.impl.padEnd(20)} no figure: ${reason}`)
  return reason === null
}

function keep(result: Result): void {
  if (options.json) appendFileSync(options.json, `${JSON.stringify(result)}\n`)
}
