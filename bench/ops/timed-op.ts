// One op over and over on its stream, then one wait: the time an op takes where nothing else is to be done.
import { device, scope, type Tensor } from 'ferrograd'
import { time } from '../measure.js'
import type { Context } from '../report.js'

export interface OpCase {
  name: string
  run: () => Tensor | readonly (Tensor | null)[] | void
  /** Floating-point operations of one call. */
  flops?: number
  /** What those operations are done in: the limit they are a share of. float32 unless said. */
  dtype?: 'float32' | 'bfloat16' | 'int8'
  /** Bytes read and written by one call. */
  bytes?: number
  /** Bytes that calls go through before they come to the same ones again, where nearly all is reading: the limit is then reading at that size. */
  footprint?: number
  /** Longest time for the case. Default 4. */
  seconds?: number
}

/** From so many bytes on, reading is reading from memory. */
const SHARED = 24 * 2 ** 20

/** Times a case and reports ms, with the share of the compute or the memory limit, whichever binds. */
export async function timeOp({ peak, report }: Context, { name, run, flops = 0, dtype = 'float32', bytes = 0, footprint, seconds = 4 }: OpCase): Promise<void> {
  const limit = { float32: peak.gflops, bfloat16: peak.bfloat16Gflops, int8: peak.int8Gops }[dtype]
  const bandwidth = footprint === undefined ? peak.triadGBs : footprint > SHARED ? peak.readGBs : peak.sharedReadGBs
  const bound = Math.max(flops / (limit * 1e9), bytes / (bandwidth * 1e9))
  const repeat = Math.max(1, Math.min(256, Math.round(2e-3 / Math.max(bound, 1e-6))))
  const work = async (): Promise<void> => {
    for (let i = 0; i < repeat; i++) scope(() => { run() })
    await device.sync()
  }
  const { median, spread } = await time(name, work, { repeat, seconds })
  const rate = flops > 0 ? { name: `${name} (rate)`, value: flops / median / 1e9, unit: dtype === 'int8' ? 'Gop/s' : 'GFLOP/s' } : { name: `${name} (rate)`, value: bytes / median / 1e9, unit: 'GB/s' }
  report({ name, value: median * 1e3, unit: 'ms', spread, share: bound / median })
  report(rate)
}
