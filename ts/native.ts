// The only import of the addon, and the buffers that calls travel in. The other end is `crates/node/src/protocol.rs`.
import { createRequire } from 'node:module'
import { callStackOf, currentModule, modulePathOf } from './context.js'
import { DeviceError, type FerrogradError, fromNative, InternalError, publicName } from './errors.js'
import { warn } from './log.js'

/** The addon's functions. Those that answer with tensors or numbers write them into `commands`. */
export interface Addon {
  run(): void
  init(commands: Int32Array, floats: Float64Array, frees: Int32Array, callback: (...completion: any[]) => void): void
  takeError(): { code: string; op: string; message: string } | null
  flush(): void
  upload(bytes: Uint8Array): void
  read(slot: number, generation: number, target: Uint8Array): void
  readSync(slot: number, generation: number, target: Uint8Array): void
  sync(): void
  captureBegin(): void
  captureEnd(): void
  captureAbort(): void
  captureSuspend(suspended: boolean): void
  captureArguments(): void
  programState(program: number): void
  replay(program: number): void
  describeProgram(program: number): string | null
  dropProgram(program: number): void
  openStream(): number
  useStream(id: number): number
  closeStream(id: number): void
  gate(): number
  openGate(id: number): void
  streamProgress(): number[]
  setAnomaly(on: boolean): boolean
  publish(slot: number, generation: number): void
  adopt(id: number): void
  unpublish(id: number): void
  memory(): number[]
  trimMemory(): void
  limitMemory(bytes: number): void
  adjustExternal(bytes: number): void
  unseenFailures(atEnd: boolean): string[]
  opTable(): string
  startProfile(): void
  takeProfile(): { op: string; dtype?: string; shape: number[]; calls: number; ms: number; bytes: number }[]
  machine(): MachineInfo
  TextPipeline: new (steps: TextSteps) => TextPipeline
  TextRows: new (count: number, columns: number) => TextRows
  /** Rows of `columns` ids, padded on one side; each length is at most `columns`. */
  textRows(parts: EncodedTexts[], columns: number, padLeft: boolean): Promise<TextRows>
}

/** What `TextPipeline` does to a text before it looks words up. */
export interface TextSteps {
  html: boolean
  normalize?: 'NFC' | 'NFD' | 'NFKC' | 'NFKD' | undefined
  lower: boolean
  punctuation: boolean
  split: 'whitespace' | 'character' | 'none'
}

/** Texts in UTF-8, one behind the other, and where each ends. Their memory may be used again once the call has answered. */
export interface PackedTexts {
  bytes: Uint8Array
  ends: Int32Array
}

/** Texts read off JavaScript's thread: each call on a thread of its own. */
export interface TextPipeline {
  clean(texts: PackedTexts): Promise<string[]>
  count(texts: PackedTexts): Promise<void>
  /** The counted words become the vocabulary; they come back one behind the other, with the length of each. */
  learn(least: number, most: number): Promise<{ text: string; units: Int32Array }>
  setWords(words: PackedTexts): void
  /** At most `most` ids of each text. */
  encode(texts: PackedTexts, most: number | undefined, cutLeft: boolean): Promise<EncodedTexts>
  /** Into the next rows; gives the lengths. */
  encodeRows(texts: PackedTexts, rows: TextRows, padLeft: boolean, cutLeft: boolean): Promise<Int32Array>
}

/** An int32 tensor in the making, a row a text. */
export interface TextRows {
  /** Answers with an error where there is no memory for them. */
  check(): void
  /** Answers with the tensor, once. */
  tensor(): void
  /** Gives the memory back where no tensor was made of it. */
  close(): void
}

/** Ids one text after the other, and how many each has. */
export interface EncodedTexts {
  ids: Int32Array
  lengths: Int32Array
}

/** What `ferrograd doctor` shows of the machine. */
export interface MachineInfo {
  version: string
  isa: string
  isaNote?: string
  threads: number
  affinity: number
  quota?: number
  requestedThreads?: number
  cuda: boolean
  cudaNote: string
}

/** The addon's file names for this platform, likeliest first. Each `require` below has a literal path, so that bundlers can follow it. */
function load(): Addon {
  const require = createRequire(import.meta.url)
  const tried: string[] = []
  const attempt = (load: () => unknown): Addon | null => {
    try {
      return load() as Addon
    } catch (error) {
      tried.push((error as Error).message.split('\n')[0]!)
      return null
    }
  }
  const platform = `${process.platform}-${process.arch}`
  const found = (() => {
    switch (platform) {
      case 'linux-x64': return attempt(() => require('./native/ferrograd.linux-x64-gnu.node')) ?? attempt(() => require('ferrograd-linux-x64-gnu'))
        ?? attempt(() => require('ferrograd-linux-x64-musl'))
      case 'linux-arm64': return attempt(() => require('./native/ferrograd.linux-arm64-gnu.node')) ?? attempt(() => require('ferrograd-linux-arm64-gnu'))
        ?? attempt(() => require('ferrograd-linux-arm64-musl'))
      case 'darwin-arm64': return attempt(() => require('./native/ferrograd.darwin-arm64.node')) ?? attempt(() => require('ferrograd-darwin-arm64'))
      case 'darwin-x64': return attempt(() => require('./native/ferrograd.darwin-x64.node')) ?? attempt(() => require('ferrograd-darwin-x64'))
      case 'win32-x64': return attempt(() => require('./native/ferrograd.win32-x64-msvc.node')) ?? attempt(() => require('ferrograd-win32-x64-msvc'))
      default: return null
    }
  })()
  if (found !== null) return found
  throw new InternalError(
    `ferrograd: no binary for ${platform} could be loaded.\n  ${tried.join('\n  ') || 'No binary is published for this platform.'}\n`
    + '  Install again without --omit=optional (`npm install ferrograd`), or build from source with `npm run build`.',
  )
}

/** Room for the largest call: a list of every parameter of a deep network, four times over. */
const COMMAND_WORDS = 1 << 16
const FREES = 2048

/** Why the device that FERROGRAD_DEVICE asks for cannot be had; null where it can. */
export function deviceFault(): string | null {
  const asked = (process.env['FERROGRAD_DEVICE'] ?? '').trim()
  const name = asked.toLowerCase()
  if (name === '' || name === 'cpu') return null
  const fault = /^cuda(:\d+)?$/.test(name)
    ? `cuda is not available: ${addon.machine().cudaNote}`
    : name === 'meta'
      ? "the meta device has shapes only; ask for it where a tensor is made: zeros([2, 3], { device: 'meta' })"
      : `there is no device ${JSON.stringify(asked)}; it takes cpu or cuda`
  return `FERROGRAD_DEVICE=${asked}: ${fault.replace(/\.$/, '')}.\n  Unset it, or set it to cpu.`
}

/** The addon; where FERROGRAD_DEVICE asks for what cannot be had, every way in refuses, instead of running elsewhere unasked. */
function deviceChecked(): Addon {
  // Looked at when the library loads, told when it is first used: an import does not throw, and calls pay nothing.
  const asked = (process.env['FERROGRAD_DEVICE'] ?? '').trim().toLowerCase()
  if (asked === '' || asked === 'cpu') return addon
  const refuse = (): never => { throw new DeviceError(deviceFault() ?? 'FERROGRAD_DEVICE was changed while the program ran.') }
  return { ...addon, run: refuse, upload: refuse, adopt: refuse, openStream: refuse }
}

const addon: Addon = load()
export const native: Addon = deviceChecked()
export const commands: Int32Array = new Int32Array(COMMAND_WORDS)
export const floats: Float64Array = new Float64Array(64)
const frees = new Int32Array(1 + 2 * FREES)

type Pending = { resolve: () => void; reject: (error: FerrogradError) => void }
const pending = new Map<number, Pending>()

native.init(commands, floats, frees, (id: number, code?: string, op?: string, message?: string, module?: number, sequence?: number) => {
  const waiting = pending.get(id)
  pending.delete(id)
  if (code === undefined) waiting?.resolve()
  else waiting?.reject(fromNative(code, op!, message!, { module: modulePathOf(module!), sequence: sequence!, callSite: callStackOf(module!) }))
})

/** Resolves when the completion that the last call announced arrives; 0 announces what is over. */
export function completion(): Promise<void> {
  check()
  const id = commands[1]!
  if (commands[2] !== 0) warnOfUnseen()
  if (id === 0) return Promise.resolve()
  return new Promise((resolve, reject) => pending.set(id, { resolve, reject }))
}

/** Late errors in results that nobody read: one warning each, when something is awaited next, or when the process is about to end. */
export function warnOfUnseen(atEnd = false): void {
  for (const message of native.unseenFailures(atEnd)) {
    // The message begins with the op table's name.
    warn('FERROGRAD_LATE', `a result that nobody read had failed: ${message.replace(/^\w+/, publicName)}`, 'error')
  }
}
process.once('beforeExit', () => warnOfUnseen(true))

/** Throws what the last call complained of. */
export function check(): void {
  if (commands[0]! < 0) throw callError()
}

function callError(): FerrogradError {
  const error = native.takeError()
  if (error === null) return new InternalError('ferrograd: a call failed without a reason')
  // An error of an earlier command that a blocking read met carries that command's op.
  const [op, message] = error.message.includes('\u001f') ? error.message.split('\u001f') as [string, string] : [error.op, error.message]
  const late = op !== error.op || error.op === 'dataSync'
  const module = late ? commands[1]! : currentModule
  // Whose handle it was is not known here.
  const hint = error.code === 'ERR_DISPOSED' && !late 
    ? ' A .grad is freed by zeroGrad() and by the next backward(): keep p.grad.clone(). A loader frees a batch when it gives the next: keep inputs.clone().'
    : ''
  return fromNative(error.code, op, message + hint, { module: modulePathOf(module), callSite: late ? callStackOf(module) : undefined })
}

/** Lists a handle as free; the addon hears of it with the next call. */
export function free(slot: number, generation: number): void {
  const count = frees[0]!
  if (count === FREES) {
    native.flush()
    return free(slot, generation)
  }
  frees[1 + 2 * count] = slot
  frees[2 + 2 * count] = generation
  frees[0] = count + 1
}
