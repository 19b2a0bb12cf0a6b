// Loading a state dict: everything is compared first, and only a dict that fits is written.
import { isFloat } from '../dtype.js'
import { CheckpointError, ValueError } from '../errors.js'
import { kindOf } from '../explain.js'
import { checkTensors, overwrite } from '../overwrite.js'
import { Tensor } from '../tensor.js'
import type { Module } from './module.js'
import { aliasPaths, distinctSlots, namedModules, type Slot, slots } from './walk.js'

/** Tensors by property path, as `stateDict()` gives and a safetensors file holds them. */
export type StateDict = Record<string, Tensor>

/** What `loadStateDict` found: keys of the model that the dict lacks, and keys of the dict that the model lacks. */
export interface LoadResult {
  /** Keys of the model that the state did not have. */
  missing: string[]
  /** Keys of the state that the model does not have. */
  unexpected: string[]
}

/** Parameters and buffers by path, without repeats; the tensors themselves, not copies. */
export function stateDict(module: Module): StateDict {
  return Object.fromEntries(distinctSlots(module).map(({ path, tensor }) => [path, tensor]))
}

/** @see Module.loadStateDict */
export function loadStateDict(module: Module, state: StateDict, strict: boolean): LoadResult {
  if (typeof state !== 'object' || state === null || state instanceof Tensor)
    throw new ValueError(`loadStateDict: takes tensors by name, got ${kindOf(state)}.\n  Pass what stateDict() gave; a file is read by await model.load(path).`, { op: 'loadStateDict' })
  checkTensors('loadStateDict', state)
  for (const [path, child] of namedModules(module)) {
    if (child.isLazy) child.materialize((key) => state[path === '' ? key : `${path}.${key}`]?.shape)
  }
  const targets = distinctSlots(module)
  const known = new Set(slots(module).map(({ path }) => path))
  const modules = aliasPaths(module)
  const missing = targets.filter(({ path }) => state[path] === undefined).map(({ path }) => path)
  const unexpected = Object.keys(state).filter((key) => !known.has(firstPath(key, modules)))
  const present = targets.filter(({ path }) => state[path] !== undefined)
  const mismatched = present.flatMap((slot) => mismatch(slot, state[slot.path] as Tensor))
  if (mismatched.length > 0 || (strict && missing.length + unexpected.length > 0)) {
    throw new CheckpointError(report(module, missing, unexpected, mismatched, strict, present.length > 0))
  }
  overwrite('loadStateDict', present.map(({ path, tensor }) => [tensor, state[path] as Tensor]))
  return { missing, unexpected }
}

/** Where a key leads through a module's second name, the key through its first. */
function firstPath(key: string, aliases: ReadonlyMap<string, string>): string {
  for (const [alias, first] of aliases) {
    if (key.startsWith(`${alias}.`)) return first === '' ? key.slice(alias.length + 1) : first + key.slice(alias.length)
  }
  return key
}

function mismatch({ path, tensor }: Slot, source: Tensor): string[] {
  const here = `${path}: the model has ${describe(tensor)}, the state has ${describe(source)}`
  const fits = tensor.shape.length === source.shape.length && tensor.shape.every((size, dim) => size === source.shape[dim])
  // Between float types a cast is meant; a float in place of an integer (or the reverse) is another quantity.
  const kindred = tensor.dtype === source.dtype || (isFloat(tensor.dtype) && isFloat(source.dtype))
  return fits && kindred ? [] : [here]
}

const describe = (tensor: Tensor): string => `${tensor.dtype} [${tensor.shape.join(', ')}]`

function report(module: Module, missing: string[], unexpected: string[], mismatched: string[], strict: boolean, some: boolean): string {
  const list = (title: string, keys: string[]): string[] => (keys.length === 0 ? [] : [`  ${title} (${keys.length}): ${keys.join(', ')}`])
  return [
    `loadStateDict: the state does not fit ${module.constructor.name}; nothing was changed.`,
    ...(strict ? [...list('missing', missing), ...list('unexpected', unexpected)] : []),
    ...mismatched.map((line) => `  mismatched: ${line}`),
    mismatched.length > 0
      ? '  Build the model with the sizes it was saved with, or leave those keys out and pass { strict: false }.'
      : some ? '  Pass { strict: false } to load what fits.' : '  None of its keys is one of the model: it was saved from another model, or under other names.',
  ].join('\n')
}
