import { ShapeError, ValueError } from '../errors.js'
import { kindOf } from '../explain.js'
import type { Tensor } from '../tensor.js'
import { ReLU } from './activation.js'
import { Conv2d } from './conv.js'
import { Linear, wrongFeatures } from './linear.js'
import { Module, plain, running } from './module.js'
import { BatchNorm1d, BatchNorm2d } from './norm.js'
import { MaxPool2d } from './pool.js'
import { Identity } from './shape.js'

/**
 * Layers one after the other, each given the output of the one before; state keys are `0.weight`, `1.bias` ... PyTorch: `nn.Sequential`.
 * A Linear, Conv2d, BatchNorm1d or BatchNorm2d followed by a ReLU runs as one op (same bits), and so does a Conv2d followed by a ReLU and a MaxPool2d whose windows lie
 * side by side (same values), unless one of them has a hook.
 */
export class Sequential extends Module {
  [index: number]: Module

  constructor(...layers: Module[]) {
    super()
    // Layers are fields named by their place, so that the keys are PyTorch's.
    for (const layer of layers) this.append(layer)
  }

  /** How many layers there are. */
  get length(): number {
    return layersOf(this).length
  }

  /** Adds a layer at the end. */
  append(layer: Module): this {
    if (!(layer instanceof Module)) throw noModule('Sequential', `layer ${this.length}`, layer)
    this[this.length] = layer
    return this
  }

  [Symbol.iterator](): Iterator<Module> {
    return layersOf(this)[Symbol.iterator]()
  }

  forward(x: any): any {
    // What `fuseConvBn` left of a normalisation keeps no ReLU from its convolution.
    const layers = layersOf(this).filter((layer) => !plain(layer, Identity))
    let y: unknown = x
    for (let i = 0; i < layers.length; i++) {
      const layer = layers[i] as Module
      if (i > 0 && isResults(y)) throw severalResults(layers[i - 1] as Module, y, layer)
      if (layer instanceof Linear) checkFit(layers[i - 1], y as Tensor, layer)
      const input = y as Tensor
      const [fused, call] = fusion(layer, layers[i + 1], layers[i + 2])
      y = fused === 0 ? layer.forward(input) : running(layer, () => call(input))
      i += fused
    }
    return y
  }
}

/** A plain object of results, as recurrent layers give it. */
function isResults(y: unknown): y is object {
  return typeof y === 'object' && y !== null && Object.getPrototypeOf(y) === Object.prototype
}

function severalResults(before: Module, y: object, layer: Module): ValueError {
  const names = Object.keys(y)
  return new ValueError(
    `Sequential: ${before.constructor.name} gives { ${names.join(', ')} }, and ${layer.constructor.name} behind it takes one of them.\n`
      + `  Write a Module whose forward hands on the one that is meant, such as .${names[0]}.`,
    { op: 'Sequential' },
  )
}

/** How many of the layers behind `layer` go into one op with it, and that op. */
function fusion(layer: Module, next: Module | undefined, third: Module | undefined): [0 | 1 | 2, (x: Tensor) => Tensor] {
  const none: [0, (x: Tensor) => Tensor] = [0, (x) => x]
  if (!plain(next, ReLU)) return none
  if (plain(layer, Conv2d) && plain(third, MaxPool2d)) {
    const window = third.sideBySide
    if (window !== null) return [2, (x) => layer.forwardReluPool(x, window)]
  }
  const fuses = plain(layer, Linear) || plain(layer, Conv2d) || plain(layer, BatchNorm2d) || plain(layer, BatchNorm1d)
  return fuses ? [1, (x) => layer.forwardRelu(x)] : none
}

/** The array's modules in a field of their own kind; it has no `forward`: call the layers. PyTorch: `nn.ModuleList`. */
export class ModuleList<M extends Module = Module> extends Module {
  [index: number]: M

  constructor(modules: Iterable<M> = []) {
    super()
    if (typeof (modules as Iterable<M> | undefined)?.[Symbol.iterator] !== 'function') {
      throw new ValueError(`ModuleList: takes its modules as one array, as in new nn.ModuleList([a, b]), got ${kindOf(modules)}`, { op: 'ModuleList' })
    }
    for (const module of modules) this.append(module)
  }

  /** How many modules there are. */
  get length(): number {
    return layersOf(this).length
  }

  /** Adds a module at the end. */
  append(module: M): this {
    if (!(module instanceof Module)) throw noModule('ModuleList', `item ${this.length}`, module)
    ;(this as Record<number, Module>)[this.length] = module
    return this
  }

  [Symbol.iterator](): Iterator<M> {
    return (layersOf(this) as M[])[Symbol.iterator]()
  }

  forward(): never {
    throw new ValueError('ModuleList: it has no forward of its own; write for (const layer of this.layers) x = layer.forward(x)')
  }
}

/** Modules by name; it has no `forward`. PyTorch: `nn.ModuleDict`. */
export class ModuleDict<M extends Module = Module> extends Module {
  constructor(modules: Record<string, M> = {}) {
    super()
    for (const [name, module] of Object.entries(modules)) this.set(name, module)
  }

  /** The module of that name. */
  get(name: string): M {
    const module = Object.hasOwn(this, name) ? (this as unknown as Record<string, unknown>)[name] : undefined
    if (!(module instanceof Module)) {
      throw new ValueError(`ModuleDict: no module "${name}"; there are ${[...this.keys()].join(', ') || 'none'}`)
    }
    return module as M
  }

  /** Adds a module, or puts another in its place. */
  set(name: string, module: M): this {
    if (!(module instanceof Module)) throw noModule('ModuleDict', `"${name}"`, module)
    if (name in ModuleDict.prototype || name === 'training') {
      throw new ValueError(`ModuleDict: "${name}" is a name of ModuleDict itself; take another`)
    }
    ;(this as unknown as Record<string, unknown>)[name] = module
    return this
  }

  /** Whether there is a module of that name. */
  has(name: string): boolean {
    return Object.hasOwn(this, name) && name !== 'training'
  }

  /** The names, in the order in which they came. */
  keys(): Iterable<string> {
    return Object.keys(this).filter((name) => name !== 'training')
  }

  [Symbol.iterator](): Iterator<[string, M]> {
    return [...this.keys()].map((name): [string, M] => [name, this.get(name)])[Symbol.iterator]()
  }

  forward(): never {
    throw new ValueError('ModuleDict: it has no forward of its own; call this.layers.get(name).forward(x)')
  }
}

/** The fields '0', '1', ...: integer keys come first and in order. */
function layersOf(container: Module): Module[] {
  return Object.values(container).filter((value): value is Module => value instanceof Module)
}

function checkFit(before: Module | undefined, x: Tensor, layer: Linear): void {
  const features = x.shape[x.shape.length - 1]
  if (before === undefined || features === layer.inFeatures) return
  throw new ShapeError(wrongFeatures(before.constructor.name, features, layer, x.shape), {
    op: 'linear', shapes: [x.shape, layer.weight.shape],
  })
}

/** The error for what stands where a module belongs, with the way out of what it is. */
function noModule(container: string, place: string, value: unknown): ValueError {
  const isClass = typeof value === 'function' && value.prototype instanceof Module
  const way = isClass ? `Use an instance: new nn.${value.name}(...)`
    : typeof value === 'function' ? 'Give it a module around it: class extends nn.Module with this forward'
    : Array.isArray(value) && container === 'Sequential' ? 'Layers are its arguments, one by one: new nn.Sequential(a, b), or new nn.Sequential(...layers)'
    : 'Give it an instance of a layer, such as new nn.ReLU()'
  const what = isClass ? `the class ${value.name}` : typeof value === 'function' ? `a function${value.name && ` ${value.name}`}` : Array.isArray(value) ? 'an array' : kindOf(value)
  return new ValueError(`${container}: ${place} is ${what}, not a Module. ${way}`, { op: container })
}
