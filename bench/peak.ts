// The machine's limits, measured by a program without a line of the library (bench/peak): what each figure's share is a share of.
import { execFileSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { root } from './root.js'

export interface Peak {
  threads: number
  isa: string
  /** float32 multiply-adds, two flops each. */
  gflops: number
  /** bfloat16 products summed in float32; float32's figure where the CPU has no instruction for them. */
  bfloat16Gflops: number
  /** uint8 by int8 products summed in int32; float32's figure where the CPU has no instruction for them. */
  int8Gops: number
  /** Reading 256 KiB a thread. */
  cacheReadGBs: number
  /** Reading 4.5 MiB a thread. */
  sharedReadGBs: number
  readGBs: number
  updateGBs: number
  triadGBs: number
}

export function measurePeak(): Peak {
  const target = join(root, 'target', 'peak')
  const cargo = ['build', '--release', '--quiet', '--manifest-path', join(root, 'bench', 'peak', 'Cargo.toml'), '--target-dir', target]
  execFileSync('cargo', cargo, { stdio: 'inherit' })
  const threads = process.env.FERROGRAD_NUM_THREADS ?? String(availableParallelism())
  return JSON.parse(execFileSync(join(target, 'release', 'peak'), [threads], { encoding: 'utf8' })) as Peak
}
