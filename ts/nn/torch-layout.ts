// The one map from PyTorch's layouts to ours. There images are [N, C, H, W] and weights [O, I, KH, KW]; here channels come last in both.
import { CheckpointError } from '../errors.js'
import type { Tensor } from '../tensor.js'
import { Sequential } from './container.js'
import { Conv1d, Conv2d, ConvTranspose2d } from './conv.js'
import { Linear } from './linear.js'
import type { Module } from './module.js'
import { Flatten } from './shape.js'
import type { StateDict } from './state.js'
import { distinctSlots, namedModules } from './walk.js'

type Convolution = Conv1d | Conv2d | ConvTranspose2d

const isConvolution = (module: Module): module is Convolution =>
  module instanceof Conv1d || module instanceof Conv2d || module instanceof ConvTranspose2d

/**
 * A state dict of PyTorch's in our names and layouts, for `module`. Names are taken as they are or in camelCase (`running_mean`,
 * `runningMean`);
 * convolutions' channels go last, and so do the columns of a Linear that reads a flattened image of `flatten[path]` channels.
 * @throws CheckpointError where a Linear may stand behind a flattened image and nothing says so
 */
export function fromTorch(module: Module, torch: StateDict, flatten: Readonly<Record<string, number>>): StateDict {
  const layout = new Map<string, (weight: Tensor) => Tensor>()
  for (const [path, layer] of namedModules(module)) {
    if (isConvolution(layer)) layout.set(key(path), channelsLast)
  }
  for (const [path, channels] of flattenedChannels(module, flatten)) layout.set(key(path), (weight) => columnsLast(weight, channels))
  const state: StateDict = {}
  for (const [name, tensor] of Object.entries(torch)) {
    const ours = today(name).split('.').map(camelCase).join('.')
    state[ours] = layout.get(ours)?.(tensor) ?? tensor
  }
  return { ...olderCounters(module, state), ...state }
}

/** Files from before PyTorch 0.4.1 (torchvision's first ResNets) hold running statistics without their counters: the model's own stay. */
function olderCounters(module: Module, state: StateDict): StateDict {
  const counters = distinctSlots(module, { lazy: true }).filter(({ path }) => path.endsWith('numBatchesTracked'))
  const older = counters.filter(({ path }) => state[path] === undefined && state[path.replace(/numBatchesTracked$/, 'runningMean')] !== undefined)
  // Copies, since a state that has been loaded is freed.
  return Object.fromEntries(older.map(({ path, tensor }) => [path, tensor.clone()]))
}

/** torchvision's DenseNet files have names of its first version, when a field's could hold a dot: `denselayer1.norm.1` is `denselayer1.norm1`. */
const today = (name: string): string => name.replace(/(?<=denselayer\d+\.(?:norm|conv))\.(?=[12]\.)/, '')

const key = (path: string): string => within(path, 'weight')
const within = (path: string, name: string): string => (path === '' ? name : `${path}.${name}`)
const camelCase = (name: string): string => name.replace(/(?<=[A-Za-z0-9])_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

/** [O, I, ...] -> [O, ..., I] */
function channelsLast(weight: Tensor): Tensor {
  return weight.ndim < 3 ? weight : weight.movedim(1, -1).contiguous()
}

/** Columns in the order C, position -> position, C; height and width keep theirs. */
function columnsLast(weight: Tensor, channels: number): Tensor {
  if (weight.ndim !== 2 || (weight.shape[1] as number) % channels !== 0) return weight
  const [out, columns] = weight.shape as [number, number]
  return weight.reshape([out, channels, columns / channels]).transpose(1, 2).contiguous().reshape([out, columns])
}

/** The Linear layers that read a flattened image, with its channels. What the caller says goes before what the modules say of themselves. */
function flattenedChannels(module: Module, given: Readonly<Record<string, number>>): Map<string, number> {
  const said = namedModules(module).flatMap(([path, { flattened }]) => Object.entries(flattened).map(([name, n]) => [within(path, name), n] as const))
  const told: Readonly<Record<string, number>> = { ...Object.fromEntries(said), ...given }
  const found = new Map<string, number>()
  const known = new Set<Module>()
  for (const layer of module.modules()) {
    if (!(layer instanceof Sequential)) continue
    for (const [linear, channels] of behindFlatten(layer)) {
      known.add(linear)
      if (channels > 1) found.set(pathOf(module, linear), channels)
    }
  }
  let channels = 0
  for (const [path, layer] of namedModules(module)) {
    if (isConvolution(layer)) channels = layer.outChannels
    if (!(layer instanceof Linear)) continue
    const channelsOfImage = told[path]
    if (channelsOfImage !== undefined) {
      found.delete(path)
      if (channelsOfImage > 1) found.set(path, channelsOfImage)
    } else if (!known.has(layer) && channels > 1 && layer.inFeatures > channels && layer.inFeatures % channels === 0) {
      throw new CheckpointError(
        `load: "${path}" (${layer.inFeatures} inputs) may read a flattened image, which PyTorch orders otherwise; nothing was changed.\n` +
          `  Pass { flatten: { '${path}': ${channels} } } with the image's channels, or 0 if it reads no image.`,
      )
    }
    channels = 0
  }
  return found
}

/** In one Sequential, the first Linear after a Flatten and the channels before it; a Linear before any Flatten reads no image (0). */
function behindFlatten(sequential: Sequential): Map<Linear, number> {
  const found = new Map<Linear, number>()
  let [channels, flat] = [0, false]
  for (const layer of sequential) {
    const convolution = layer.modules().filter(isConvolution).at(-1)
    if (convolution !== undefined) [channels, flat] = [convolution.outChannels, false]
    if (layer instanceof Flatten) flat = true
    if (!(layer instanceof Linear)) continue
    if (channels > 0) found.set(layer, flat ? channels : 0)
    channels = 0
  }
  return found
}

function pathOf(root: Module, wanted: Module): string {
  return namedModules(root).find(([, module]) => module === wanted)?.[0] ?? ''
}
