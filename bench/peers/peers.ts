// Who is compared with: THE table of peers, with what each is told and may do, and every setting that differs from its defaults.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, resolve } from 'node:path'
import { root } from '../root.js'
import type { Start } from './process.js'
import type { Kind, Workload } from './workloads.js'

export interface Peer {
  impl: string
  /** A file of bench/peers: Python's as it stands, Node's as compiled. */
  script: string
  args?: readonly string[]
  /** Told with each workload. */
  options?: Readonly<Record<string, boolean>>
  /** Environment beyond the user's own. */
  env?: Readonly<Record<string, string>>
  does: readonly Kind[]
  /** Beyond `does`: null, or why this workload is left out. */
  refuses?: (workload: Workload) => string | null
  /** Reads the ONNX file that onnx_models.py writes. */
  onnx?: boolean
  /** A C++ compiler must be there. */
  compiler?: boolean
  /** What is special, printed beside versions and threads. */
  note: string
}

// Memory is kept for good: what page faults cost PyTorch as it comes.
const tunedMalloc = { MALLOC_MMAP_MAX_: '0', MALLOC_TRIM_THRESHOLD_: '17179869184', MALLOC_TOP_PAD_: '268435456' }

/** Layouts of images say nothing about dense networks. */
const imagesOnly = ({ kind, work }: Workload): string | null => (kind === 'conv' || (work.input as number[]).length === 3 ? null : 'no images')
/** For peers with few networks, and float32 alone. */
const written = (...networks: string[]) => ({ dtype, work: { network } }: Workload): string | null =>
  (dtype !== 'float32' ? `no ${dtype}` : network === undefined || networks.includes(network as string) ? null : `${network} is not written for it`)

export const ferrograd: Peer = { impl: 'ferrograd', script: 'ferrograd-peer.js', does: ['gemm', 'conv', 'train', 'infer'], note: '' }

export const peers: readonly Peer[] = [
  { impl: 'torch', script: 'torch_peer.py', does: ['gemm', 'conv', 'train', 'infer'], note: 'eager, contiguous' },
  { impl: 'torch-channels_last', script: 'torch_peer.py', options: { channels_last: true }, does: ['conv', 'train', 'infer'], refuses: imagesOnly, note: 'eager, channels_last' },
  { impl: 'torch-fused', script: 'torch_peer.py', options: { channels_last: true, fused: true }, does: ['train'], note: 'eager, channels_last, Adam(fused=True)' },
  {
    impl: 'torch-tuned', script: 'torch_peer.py', options: { channels_last: true, fused: true }, env: tunedMalloc, does: ['conv', 'train'],
    note: 'eager, channels_last, Adam(fused=True), malloc keeps its memory',
  },
  { impl: 'torch-compile', script: 'torch_peer.py', options: { channels_last: true, compile: true }, does: ['train', 'infer'], compiler: true, note: 'torch.compile, channels_last' },
  { impl: 'torch-jit', script: 'torch_peer.py', options: { jit: true }, does: ['infer'], note: 'frozen TorchScript, contiguous' },
  { impl: 'keras', script: 'keras_peer.py', does: ['gemm', 'conv', 'train', 'infer'], note: 'tf.function, channels last; operations as TensorFlow\'s own, eager' },
  { impl: 'keras-xla', script: 'keras_peer.py', options: { jit: true }, does: ['train', 'infer'], note: 'tf.function(jit_compile=True), channels last' },
  { impl: 'jax', script: 'jax_peer.py', does: ['gemm', 'conv', 'train', 'infer'], note: 'jit, channels last' },
  { impl: 'onnxruntime', script: 'onnxruntime_peer.py', does: ['gemm', 'infer'], refuses: written('cnn'), onnx: true, note: 'channels first' },
  { impl: 'onnxruntime-node', script: 'onnxruntime-node-peer.js', does: ['gemm', 'infer'], refuses: written('cnn'), onnx: true, note: 'channels first' },
  {
    impl: 'tfjs-wasm', script: 'tfjs-peer.js', args: ['wasm'], does: ['train', 'infer'], note: 'channels last',
    refuses: (workload) => written('cnn', 'mlp')(workload) ?? (workload.kind === 'train' && workload.work.network === 'cnn' ? 'its wasm backend has no Conv2DBackpropFilter' : null),
  },
  { impl: 'tfjs-cpu', script: 'tfjs-peer.js', args: ['cpu'], does: ['train', 'infer'], refuses: written('cnn', 'mlp'), note: 'plain JavaScript, channels last' },
]

export const peersFolder: string = resolve(root, process.env.FERROGRAD_PEERS ?? '.peers')

const venv = join(peersFolder, 'venv', ...(process.platform === 'win32' ? ['Scripts', 'python.exe'] : ['bin', 'python']))
/** $FERROGRAD_PYTHON, or the one that bench:peers:setup made. */
export const python: string = process.env.FERROGRAD_PYTHON ?? (existsSync(venv) ? venv : 'python3')

const runs = (command: string, ...args: string[]): boolean => spawnSync(command, args, { stdio: 'ignore' }).status === 0

export const hasCompiler = (): boolean => ['g++', 'clang++', process.env.CXX ?? 'c++'].some((name) => runs(name, '--version'))

/** How to start a peer. Fewer threads than processors: it is also held to as many of them, since not all can be told. */
export function startOf({ script, args = [], env = {} }: Peer, threads: number): Start {
  const inPython = script.endsWith('.py')
  const command = [inPython ? python : process.execPath, inPython ? join(root, 'bench', 'peers', script) : join(import.meta.dirname, script), String(threads), ...args]
  const held = threads < availableParallelism() && runs('taskset', '--version') ? ['taskset', '-c', `0-${threads - 1}`] : []
  const [first, ...rest] = [...held, ...command] as [string, ...string[]]
  return { command: first, args: rest, env: { FERROGRAD_PEERS: peersFolder, FERROGRAD_NUM_THREADS: String(threads), PYTHONDONTWRITEBYTECODE: '1', ...env } }
}
