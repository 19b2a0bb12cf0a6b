// Who is compared with: THE table of peers, with what each is told and may do, and every setting that differs from its defaults.
import { spawnSync } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
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
/** A loop over the steps of a sequence would be unrolled. */
const noLoops = ({ work }: Workload): string | null => (work.network === 'lstm' ? 'a loop of steps takes it minutes to compile' : null)
/** Stacks in both directions, and training under autocast, are compared with PyTorch alone. */
const simple = ({ kind, dtype, work }: Workload): string | null =>
  (String(work.network).startsWith('bi') ? `${String(work.network)} is not written for it` : kind === 'train' && dtype !== 'float32' ? `no training in ${dtype}` : null)
/** For peers with few networks, and float32 alone. */
const written = (...networks: string[]) => ({ kind, dtype, work: { network } }: Workload): string | null =>
  (kind === 'stream' ? null : dtype !== 'float32' ? `no ${dtype}` : network === undefined || networks.includes(network as string) ? null : `${network} is not written for it`)

const ALL = ['gemm', 'conv', 'train', 'infer'] as const

export const ferrograd: Peer = { impl: 'ferrograd', script: 'ferrograd-peer.js', does: [...ALL, 'stream', 'text'], note: '' }

const torch = (variant: string, row: Omit<Peer, 'impl' | 'script'>): Peer => ({ impl: `torch${variant}`, script: 'torch_peer.py', ...row })
const keras = (variant: string, row: Omit<Peer, 'impl' | 'script'>): Peer => ({ impl: `keras${variant}`, script: 'keras_peer.py', ...row })
const onnx = (impl: string, script: string): Peer =>
  ({ impl, script, onnx: true, does: ['gemm', 'infer', 'stream'], refuses: written('cnn'), note: 'channels first' })
const tfjs = (backend: string, row: Omit<Peer, 'impl' | 'script' | 'does'>): Peer =>
  ({ impl: `tfjs-${backend}`, script: 'tfjs-peer.js', args: [backend], does: ['train', 'infer'], ...row })

/** tfjs' wasm backend cannot train every network. */
const withoutFilterGradient = (workload: Workload): string | null =>
  written('cnn', 'mlp')(workload) ?? (workload.name.startsWith('cnn-b') ? 'its wasm backend has no Conv2DBackpropFilter' : null)

export const peers: readonly Peer[] = [
  torch('', { does: [...ALL, 'stream'], note: 'eager, contiguous' }),
  torch('-channels_last', { options: { channels_last: true }, does: ['conv', 'train', 'infer'], refuses: imagesOnly, note: 'eager, channels_last' }),
  torch('-fused', { options: { channels_last: true, fused: true }, does: ['train'], note: 'eager, channels_last, Adam(fused=True)' }),
  torch('-tuned', {
    options: { channels_last: true, fused: true }, env: tunedMalloc, does: ['conv', 'train'],
    note: 'eager, channels_last, Adam(fused=True), malloc keeps its memory',
  }),
  torch('-compile', {
    options: { channels_last: true, compile: true }, does: ['train', 'infer'], compiler: true, refuses: noLoops, note: 'torch.compile, channels_last',
  }),
  torch('-jit', { options: { jit: true }, does: ['infer', 'stream'], note: 'frozen TorchScript, contiguous' }),
  keras('', {
    does: [...ALL, 'text'], refuses: simple, note: 'tf.function, channels last; operations are TensorFlow\'s own, eager; texts by TextVectorization in a tf.data pipeline',
  }),
  keras('-xla', { options: { jit: true }, does: ['train', 'infer'], refuses: simple, note: 'tf.function(jit_compile=True), channels last' }),
  { impl: 'python', script: 'python_peer.py', does: ['text'], note: 'lower, re.sub, split, Counter, dict; a process a thread' },
  { impl: 'jax', script: 'jax_peer.py', does: ALL, refuses: simple, note: 'jit, channels last' },
  onnx('onnxruntime', 'onnxruntime_peer.py'),
  onnx('onnxruntime-node', 'onnxruntime-node-peer.js'),
  tfjs('wasm', { refuses: withoutFilterGradient, note: 'channels last' }),
  tfjs('cpu', { refuses: written('cnn', 'mlp'), note: 'plain JavaScript, channels last' }),
]

/** Both come from scripts/bench-peers.mjs. */
const peersFolder = process.env.FERROGRAD_PEERS ?? join(root, '.peers')
export const python: string = process.env.FERROGRAD_PYTHON ?? 'python3'

const runs = (command: string, ...args: string[]): boolean => spawnSync(command, args, { stdio: 'ignore' }).status === 0

export const hasCompiler = (): boolean => ['g++', 'clang++', process.env.CXX ?? 'c++'].some((name) => runs(name, '--version'))

/** How to start a peer. Fewer threads than processors: it is also held to as many of them, since not all can be told. */
export function startOf({ script, args = [], env = {} }: Peer, threads: number): Start {
  const inPython = script.endsWith('.py')
  const file = join(inPython ? join(root, 'bench', 'peers') : import.meta.dirname, script)
  const command = [inPython ? python : process.execPath, file, String(threads), ...args]
  const held = threads < availableParallelism() && runs('taskset', '--version') ? ['taskset', '-c', `0-${threads - 1}`] : []
  const [first, ...rest] = [...held, ...command] as [string, ...string[]]
  const ours = { FERROGRAD_PEERS: peersFolder, FERROGRAD_NUM_THREADS: String(threads), PYTHONDONTWRITEBYTECODE: '1' }
  return { command: first, args: rest, env: { ...ours, ...env } }
}
