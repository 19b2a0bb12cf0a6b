import { createRequire } from 'node:module'
import { readFile } from 'node:fs/promises'
import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from 'node:os'
import { cacheFolder } from '../data/files.js'
import { device } from '../index.js'
import { deviceFault, logLevel } from '../internal.js'
import { say, table } from './console.js'
import { parse, UsageError } from './usage.js'

/** `ferrograd doctor`: the exit code. It starts no thread and never fails for want of a GPU. */
export async function doctorCommand(args: readonly string[]): Promise<number> {
  const { values, files } = await parse('doctor', args, { json: { type: 'boolean' } })
  if (files.length > 0) throw new UsageError(`doctor: '${files.join(' ')}' is not understood.`, 'doctor')
  const info = device.info()
  const { version: ferrograd } = createRequire(import.meta.url)('ferrograd/package.json') as { version: string }
  const limit = await cgroupMemory()
  const facts = {
    versions: {
      ferrograd,
      addon: info.version,
      node: process.version,
      napi: process.versions.napi ?? null,
      system: `${platform()} ${release()} ${arch()}`,
    },
    cpu: { model: cpus()[0]?.model.trim() ?? 'unknown', vectors: info.isa, note: info.isaNote ?? null },
    threads: {
      used: info.threads,
      requested: info.requestedThreads ?? null,
      note: threadsNote(info.requestedThreads),
      affinity: info.affinity,
      quota: info.quota ?? null,
      node: availableParallelism(),
    },
    memory: { total: totalmem(), free: freemem(), limit, used: device.memory().live },
    device: { asked: process.env.FERROGRAD_DEVICE ?? null, used: deviceFault() === null ? 'cpu' : null, note: deviceFault() },
    cuda: { available: info.cuda, note: info.cudaNote },
    log: { asked: process.env.FERROGRAD_LOG ?? null, level: logLevel() },
    folders: { data: process.env.FERROGRAD_DATA ?? null, cache: cacheFolder() },
  }
  if (values.json === true) say(JSON.stringify(facts))
  else say(table(lines(facts)))
  return 0
}

/** Why FERROGRAD_NUM_THREADS is not followed; null where it is, or is not set. */
function threadsNote(followed: number | undefined): string | null {
  const asked = process.env.FERROGRAD_NUM_THREADS ?? ''
  return asked.trim() === '' || followed !== undefined ? null : `FERROGRAD_NUM_THREADS=${asked} is no whole number of at least 1 and is ignored`
}

type Facts = {
  versions: Record<string, string | null>
  cpu: Record<string, string | null>
  threads: Record<'used' | 'affinity' | 'node', number> & Record<'requested' | 'quota', number | null> & { note: string | null }
  memory: Record<string, number | null>
  device: Record<'asked' | 'used' | 'note', string | null>
  cuda: { available: boolean; note: string }
  log: { asked: string | null; level: string }
  folders: Record<string, string | null>
}

function lines({ versions, cpu, threads, memory, device, cuda, log, folders }: Facts): string[][] {
  const why = [
    threads.note ?? (threads.requested === null ? null : `FERROGRAD_NUM_THREADS=${threads.requested}`),
    `${threads.affinity} processors may be used`,
    threads.quota === null ? 'no cgroup quota' : `cgroup quota of ${threads.quota} processors`,
  ]
    .filter((part) => part !== null)
    .join(', ')
  const limit = memory.limit === null ? '' : `, cgroup limit ${gigabytes(memory.limit)}`
  return [
    ['Ferrograd', `${versions.ferrograd}, addon ${versions.addon}`],
    ['Node', `${versions.node}, N-API ${versions.napi}`],
    ['System', `${versions.system}`],
    ['Processor', `${cpu.model}`],
    ['Vectors', `${cpu.vectors}${cpu.note === null ? '' : ` (${cpu.note})`}`],
    ['Threads', `${threads.used} (${why})`],
    ['Memory', `${gigabytes(memory.total)} of which ${gigabytes(memory.free)} are free${limit}`],
    ['Device', device.note === null ? `${device.used}${device.asked ? ` (FERROGRAD_DEVICE=${device.asked})` : ''}` : `none: ${device.note.replace(/\n\s*/g, ' ')}`],
    ['CUDA', cuda.available ? `available: ${cuda.note}` : `not available: ${cuda.note}`],
    ['Log', `${log.level}${log.asked ? ` (FERROGRAD_LOG=${log.asked})` : ''}`],
    ['Data', `${folders.data ?? 'FERROGRAD_DATA is not set'}`],
    ['Cache', `${folders.cache}`],
  ]
}

function gigabytes(bytes: number | null | undefined): string {
  return `${((bytes ?? 0) / 2 ** 30).toFixed(1)} GiB`
}

/** The memory that the control group allows, or null. */
async function cgroupMemory(): Promise<number | null> {
  for (const path of ['/sys/fs/cgroup/memory.max', '/sys/fs/cgroup/memory/memory.limit_in_bytes']) {
    const limit = Number((await readFile(path, 'utf8').catch(() => '')).trim() || NaN)
    if (Number.isFinite(limit) && limit < totalmem()) return limit
  }
  return null
}
