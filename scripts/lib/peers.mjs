// The peers: where they lie, and the packages, with the versions that the figures were taken with.
import { join, resolve } from 'node:path'
import { root } from './steps.mjs'

export const peersFolder = resolve(root, process.env.FERROGRAD_PEERS ?? '.peers')
export const venvPython = join(peersFolder, 'venv', ...(process.platform === 'win32' ? ['Scripts', 'python.exe'] : ['bin', 'python']))

export const pythonPackages = [
  { peer: 'torch', packages: { torch: '2.15.0', numpy: '2.4.6' } },
  { peer: 'onnxruntime', packages: { onnxruntime: '1.31.1', onnx: '1.23.2' } },
  { peer: 'jax', packages: { jax: '0.10.2' } },
  { peer: 'keras', packages: { tensorflow: '2.21.0', keras: '3.15.1' } },
]

export const nodePackages = [
  { peer: 'onnxruntime-node', packages: { 'onnxruntime-node': '1.30.0' } },
  { peer: 'tfjs', packages: { '@tensorflow/tfjs': '4.22.0', '@tensorflow/tfjs-backend-wasm': '4.22.0' } },
]
