// Files that are no safetensors, known by their first bytes, each with the way to convert it.

interface Format {
  name: string
  matches(head: Uint8Array, text: string): boolean
  way: string
}

const fromTorch =
  'python -c "import torch, safetensors.torch as s; ' +
  "s.save_file({k: v.contiguous() for k, v in torch.load('FILE', weights_only=True).items()}, 'model.safetensors')\""
const fromNumpy = "python -c \"import numpy, safetensors.numpy as s; s.save_file(dict(numpy.load('FILE')), 'model.safetensors')\""
const fromKeras =
  "python -c \"import keras, safetensors.numpy as s; m = keras.models.load_model('FILE'); " +
  "s.save_file({w.path: w.numpy() for w in m.weights}, 'model.safetensors')\""

const starts =
  (...bytes: number[]) =>
  (head: Uint8Array): boolean =>
    bytes.every((byte, i) => head[i] === byte)
const zip = starts(0x50, 0x4b, 0x03, 0x04)

// In this order: the zip containers are told apart by the name of their first member.
const formats: Format[] = [
  { name: 'a NumPy archive (.npz)', matches: (head, text) => zip(head) && /\.npy/.test(text), way: fromNumpy },
  {
    name: 'a Keras model (.keras)',
    matches: (head, text) => zip(head) && /(metadata|config)\.json|\.weights\.h5/.test(text),
    way: fromKeras,
  },
  { name: 'a PyTorch checkpoint (.pt, a zip with a pickle inside)', matches: zip, way: fromTorch },
  {
    name: 'an old PyTorch checkpoint or another pickle',
    matches: (head) => head[0] === 0x80 && (head[1] ?? 0) >= 2 && (head[1] ?? 0) <= 5,
    way: fromTorch,
  },
  {
    name: 'a GGUF model',
    matches: (_, text) => text.startsWith('GGUF'),
    way: 'Download the safetensors files of the same model: GGUF weights are quantised and renamed.',
  },
  { name: 'an HDF5 file (.h5)', matches: starts(0x89, 0x48, 0x44, 0x46), way: fromKeras },
  {
    name: 'a NumPy array (.npy)',
    matches: starts(0x93, 0x4e, 0x55, 0x4d),
    way: "python -c \"import numpy, safetensors.numpy as s; s.save_file({'array': numpy.load('FILE')}, 'model.safetensors')\"",
  },
  { name: 'a gzip archive', matches: starts(0x1f, 0x8b), way: 'Unpack it first: gunzip FILE, or tar xzf FILE.' },
  {
    name: 'a Git LFS pointer, not the file itself',
    matches: (_, text) => text.startsWith('version https://git-lfs'),
    way: 'Run git lfs pull in its repository.',
  },
  {
    name: 'a web page, not a model',
    matches: (_, text) => /^\s*<(!doctype|html)/i.test(text),
    way: 'The download was answered with a page; check the address and whether it wants a log-in.',
  },
  {
    name: 'a JSON file',
    matches: (_, text) => /^\s*[{[]\s*["\]}{[]/.test(text),
    way: 'Give the .safetensors file; an index file (model.safetensors.index.json) names the parts to load.',
  },
]

/** Bytes that `recognise` wants to see. */
export const recogniseBytes = 256

/**
 * Names a foreign file by its first bytes, with the line that converts it; null where nothing is known about it.
 * No part of such a file is ever run or unpacked.
 */
export function recognise(head: Uint8Array, path: string): string | null {
  const text = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('latin1')
  const found = formats.find((format) => format.matches(head, text))
  return found === undefined ? null : `the file is ${found.name}.\n  ${found.way.replaceAll('FILE', path.replaceAll("'", "\\'"))}`
}
