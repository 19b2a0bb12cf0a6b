import { DeviceError, ValueError } from './errors.js'
import { kindOf } from './explain.js'
import { completion, native, type MachineInfo, warnOfUnseen } from './native.js'
import { run } from './native/run.js'
import { DTYPES, dtypeCode, OTHER_NAMES } from './dtype.js'
import { nearest } from './options.js'
import { record } from './autograd.js'
import { DEVICES, late, type Tensor } from './tensor.js'

/** Bytes that tensors use and that the allocator keeps for the next ones, process-wide, and this thread's tensors. */
export interface MemoryStats {
  /** Bytes in use. */
  live: number
  /** Freed bytes kept for reuse. */
  cached: number
  /** The most that was in use at once. */
  peak: number
  /** Tensors of this thread that are alive. */
  tensors: number
}

/** What the ops of one name and shape took. */
export interface ProfileRow {
  /** The op table's name. */
  op: string
  /** Dtype and shape of its first result, or of what it changed in place. */
  dtype: string
  /** Its shape. */
  shape: readonly number[]
  /** How often it ran. */
  calls: number
  /** Milliseconds on the device, all calls together. */
  ms: number
  /** Bytes of operands and results, all calls together. */
  bytes: number
}

let profiling = false

const DEVICES_TEXT = `${DEVICES.join(', ')} and cuda:0`

/** Code of a device's name. @throws DeviceError */
export function deviceCode(name: string): number {
  const code = DEVICES.indexOf(name)
  if (code >= 0) return code
  if (/^cuda(:\d+)?$/.test(name)) throw new DeviceError(`${name} is not available: ${native.machine().cudaNote.replace(/\.$/, '')}.`)
  throw new DeviceError(`there is no device ${kindOf(name)}. The devices are ${DEVICES_TEXT}.`)
}

late.move = (x: Tensor, name: string): Tensor => {
  // `to` takes either: whoever misspells one may have meant the other.
  if (!DEVICES.includes(name) && !/^cuda/.test(name)) {
    const near = typeof name === 'string' ? OTHER_NAMES[name] ?? nearest(name, DTYPES) : undefined
    throw new DeviceError(`to: ${kindOf(name)} is neither a dtype nor a device.${near === undefined ? '' : ` Did you mean '${near}'?`}\n  The dtypes are ${DTYPES.join(', ')}, the devices ${DEVICES_TEXT}.`, { op: 'to' })
  }
  const code = deviceCode(name)
  if (code === x._device) return x
  if (name === 'meta') return run.full(x.shape, x._code, 0, code)
  throw new DeviceError(`to: a tensor on the meta device has no values to move to ${name}. Make it there instead.`)
}
late.cast = (x, dtype) => record(run.cast(x, dtypeCode(dtype)), { op: 'to', inputs: [x], saved: [], backward: (dy) => [() => late.cast(dy, x.dtype)] })
late.alias = (x) => run.reshape(x, x.shape)

/** The machine and what runs on it. */
export const device = {
  /** The CUDA device. PyTorch: `torch.cuda`. */
  cuda: {
    /** True where the CUDA device can be used. Never throws; `reason()` says why not. */
    isAvailable: (): boolean => native.machine().cuda,
    /** What the device is, or why there is none. */
    reason: (): string => native.machine().cudaNote,
  },
  /** Resolves when everything called so far has run; rejects with the first late error that nothing else has reported. */
  async sync(): Promise<void> {
    native.sync()
    await completion()
    warnOfUnseen()
  },
  /**
   * Runs `fn` and tells where the time went: a row an op and shape, the longest first, process-wide. PyTorch: `torch.profiler`.
   * @example console.table((await device.profile(() => trainer.fit(train, { epochs: 1 }))).rows)
   */
  async profile<T>(fn: () => T | Promise<T>): Promise<{ result: T; rows: ProfileRow[] }> {
    if (profiling) throw new ValueError('device.profile: a profile is being taken already. Await it first.')
    await device.sync()
    profiling = true
    native.startProfile()
    try {
      const result = await fn()
      await device.sync()
      return { result, rows: native.takeProfile().map((row) => ({ ...row, dtype: row.dtype ?? '' })) }
    } finally {
      native.takeProfile()
      profiling = false
    }
  },
  /** Bytes and tensors in use now. PyTorch: `torch.cuda.memory_stats`, for the CPU. */
  memory(): MemoryStats {
    const [live, cached, peak, tensors] = native.memory() as [number, number, number, number]
    return { live, cached, peak, tensors }
  },
  /** Gives kept memory back to the system. */
  trim: (): void => native.trimMemory(),
  /** Bounds the bytes that tensors may use, process-wide; 0 for no bound. Beyond it ops fail with OutOfMemoryError. */
  limitMemory: (bytes: number): void => native.limitMemory(bytes),
  /** Versions, vector path, threads, quota. Starts no thread. */
  info: (): MachineInfo => native.machine(),
}

/** Bytes of native memory in use. */
export function nativeBytes(): number {
  return native.memory()[0]!
}

/** Anomaly mode: every op's results are searched for NaN and infinity; the error names op and layer. Answers with the mode before. */
export function anomaly(on: boolean): boolean {
  return native.setAnomaly(on)
}
