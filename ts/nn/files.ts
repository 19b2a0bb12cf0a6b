// Files are read and written by modules that load when first wanted: a model that only computes needs no file system, and the layers,
// which the PyTorch map knows by class, stand above this file.
import { CheckpointError, ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { settle } from '../options.js'
import { checkStrings } from '../plain.js'
import { unscoped } from '../scope.js'
import type { Module } from './module.js'
import { type LoadResult, loadStateDict, type StateDict, stateDict } from './state.js'

/** Options of `Module.load`. */
export interface LoadOptions {
  /** Throws on missing or unexpected keys (true). */
  strict?: boolean
  /** 'torch': the file has PyTorch's names and layouts, channels second; they are rearranged. */
  from?: 'torch'
  /**
   * With `from: 'torch'`, for each Linear behind a flattened image the image's channels, as in `{ fc1: 64 }` (0: none is behind it).
   * Inside one `Sequential`, and where a module names them (`flattened`), they are found without it.
   */
  flatten?: Readonly<Record<string, number>>
}

/** @see Module.save */
export async function saveModule(module: Module, path: string, options: { metadata?: Record<string, string> }): Promise<void> {
  const { metadata } = settle('save', options, { metadata: {} })
  checkStrings('save', metadata, ['format', 'ferrograd_checksum', 'ferrograd_sha256'])
  // Copies, made before the first await: a step that follows at once does not show in the file.
  const state = unscoped(() => Object.fromEntries(Object.entries(stateDict(module)).map(([key, tensor]) => [key, run.contiguous(tensor)])))
  try {
    const { saveSafetensors } = await import('../train/safetensors.js')
    await saveSafetensors(path, state, { metadata: { format: 'ferrograd', ...metadata } })
  } finally {
    for (const copy of Object.values(state)) copy.dispose()
  }
}

/** @see Module.load */
export async function loadModule(module: Module, path: string, options: LoadOptions): Promise<LoadResult> {
  const { strict, from, flatten } = settle('load', options, { strict: true, from: undefined, flatten: {} })
  if (from !== undefined && from !== 'torch') throw new ValueError(`load: from is 'torch' or left out, not ${JSON.stringify(from)}`, { op: 'load' })
  const { loadSafetensors } = await import('../train/safetensors.js')
  const { tensors, metadata } = await loadSafetensors(path)
  const made: { dispose(): void }[] = Object.values(tensors)
  try {
    if (from === undefined && metadata.format === 'pt') {
      throw new CheckpointError(
        `load: ${path} was written by PyTorch, whose convolutions are channels second; nothing was changed.\n` +
          "  Use load(path, { from: 'torch' }).",
      )
    }
    if (metadata.format === 'ferrograd-checkpoint') {
      if (from !== undefined) throw new CheckpointError(`load: ${path} is a checkpoint of Ferrograd's, not a file of PyTorch's; nothing was changed.\n  Leave from out.`)
      return loadStateDict(module, weightsOf(tensors), strict)
    }
    if (from === undefined) return loadStateDict(module, tensors, strict)
    const { fromTorch } = await import('./torch-layout.js')
    const state = fromTorch(module, tensors, flatten)
    made.push(...Object.values(state))
    return loadStateDict(module, state, strict)
  } finally {
    for (const tensor of new Set(made)) tensor.dispose()
  }
}

/** The model's part of a checkpoint that `fit` wrote. */
function weightsOf(tensors: StateDict): StateDict {
  const prefix = 'model.'
  return Object.fromEntries(Object.entries(tensors).filter(([key]) => key.startsWith(prefix)).map(([key, value]) => [key.slice(prefix.length), value]))
}
