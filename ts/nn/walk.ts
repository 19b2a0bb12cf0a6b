// How a module's state is found: its own fields, and the arrays, plain objects and Maps among them, in the order they were written.
import { ValueError } from '../errors.js'
import { isBuffer, Parameter, Tensor } from '../tensor.js'
import { Module } from './module.js'

/**
 * One place that holds a tensor: `path` is the property path from the root (`encoder.layers.3.weight`), `set` puts another tensor there.
 */
export interface Slot {
  readonly path: string
  readonly module: Module
  readonly kind: 'parameter' | 'buffer'
  readonly tensor: Tensor
  set(tensor: Tensor): void
}

/** Called for every module and every tensor slot below `root`; what is reached by two paths is reported for each, and entered once. */
interface Visitor {
  module?(module: Module, path: string): void
  slot?(slot: Slot): void
  /** False to stop at the modules that the root itself holds. */
  readonly deep?: boolean
}

type Holder = { get(): unknown; set(value: unknown): void }

const join = (path: string, key: string): string => (path === '' ? key : `${path}.${key}`)

function isPlain(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

/** Walks the state below `root`, depth first, in the order of the fields. */
export function walk(root: Module, visitor: Visitor): void {
  const entered = new Set<object>()

  const enter = (module: Module, path: string): void => {
    visitor.module?.(module, path)
    if (entered.has(module) || (visitor.deep === false && module !== root)) return
    entered.add(module)
    for (const key of Object.keys(module)) {
      const fields = module as unknown as Record<string, unknown>
      visit(module, join(path, key), { get: () => fields[key], set: (value) => { fields[key] = value } })
    }
  }

  const visit = (module: Module, path: string, holder: Holder): void => {
    const value = holder.get()
    if (typeof value !== 'object' || value === null) return
    if (value instanceof Tensor) {
      const kind = value instanceof Parameter ? 'parameter' : isBuffer(value) ? 'buffer' : undefined
      if (kind === undefined) throw bareTensor(path, value)
      visitor.slot?.({ path, module, kind, tensor: value, set: holder.set })
    } else if (value instanceof Module) {
      enter(value, path)
    } else if (Array.isArray(value) || isPlain(value)) {
      if (entered.has(value)) return
      entered.add(value)
      const fields = value as Record<string, unknown>
      for (const key of Object.keys(value)) {
        visit(module, join(path, key), { get: () => fields[key], set: (next) => { fields[key] = next } })
      }
    } else if (value instanceof Map) {
      if (entered.has(value)) return
      entered.add(value)
      for (const key of value.keys()) {
        visit(module, join(path, String(key)), { get: () => value.get(key), set: (next) => { value.set(key, next) } })
      }
    }
  }

  enter(root, '')
}

function bareTensor(path: string, tensor: Tensor): ValueError {
  return new ValueError(
    `module state: the field "${path}" is a plain Tensor [${tensor.shape.join(', ')}], neither a parameter nor a buffer.\n` +
      '  Use new Parameter(tensor) for what is trained, buffer(tensor) for what is only saved, or a #private field for what is neither.',
  )
}

/** Every tensor slot below `root`; a module that still waits for its first input throws, unless `lazy` lets it pass. */
export function slots(root: Module, { lazy = false }: { lazy?: boolean } = {}): Slot[] {
  const found: Slot[] = []
  walk(root, {
    module: (module, path) => {
      if (lazy || !module.isLazy) return
      const name = path === '' ? 'the module' : `"${path}"`
      throw new ValueError(
        `${module.constructor.name}: ${name} has no weights before its first input.\n` +
          '  Run model.forward(batch) once, or summary(model, inputShape), before parameters(), stateDict() or an optimizer.',
      )
    },
    slot: (slot) => found.push(slot),
  })
  return found
}

/** The slots without repeats: a tensor reached by two paths (tied weights) keeps its first. */
export function distinctSlots(root: Module, options?: { lazy?: boolean }): Slot[] {
  const seen = new Set<Tensor>()
  return slots(root, options).filter((slot) => !seen.has(slot.tensor) && seen.add(slot.tensor))
}

/** The second and further paths of modules that are held more than once, each with the first: `decoder` -> `encoder`. */
export function aliasPaths(root: Module): Map<string, string> {
  const first = new Map<Module, string>()
  const aliases = new Map<string, string>()
  walk(root, {
    module: (module, path) => {
      const known = first.get(module)
      if (known === undefined) first.set(module, path)
      else aliases.set(path, known)
    },
  })
  return aliases
}

/** Every module below `root`, itself first under the name '', each once. */
export function namedModules(root: Module): [string, Module][] {
  const found = new Map<Module, string>()
  walk(root, { module: (module, path) => { if (!found.has(module)) found.set(module, path) } })
  return [...found].map(([module, path]) => [path, module])
}

/** The modules that `root` holds itself, not through another one, each once; where one holds the root, that too. */
export function children(root: Module): [string, Module][] {
  const found = new Map<Module, string>()
  walk(root, { deep: false, module: (module, path) => { if (path !== '' && !found.has(module)) found.set(module, path) } })
  return [...found].map(([module, path]) => [path, module])
}
