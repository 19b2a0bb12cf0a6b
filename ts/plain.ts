// What is to be kept in a file is looked at before the file is begun: strings in the metadata of safetensors, plain data in checkpoints.
import { ValueError } from './errors.js'
import { kindOf } from './explain.js'
import { Tensor } from './tensor.js'

/** Throws unless `metadata` is an object of strings. `reserved` are the names that the library writes itself. */
export function checkStrings(op: string, metadata: unknown, reserved: readonly string[]): void {
  if (typeof metadata !== 'object' || metadata === null || Array.isArray(metadata))
    throw new ValueError(`${op}: metadata must be an object of strings, got ${kindOf(metadata)}.\n  { metadata: { note: 'mine' } }, for example.`, { op })
  for (const [name, value] of Object.entries(metadata)) {
    if (reserved.includes(name))
      throw new ValueError(`${op}: metadata has '${name}', which Ferrograd writes itself.\n  Leave it out, or give it another name.`, { op })
    if (typeof value === 'string') continue
    throw new ValueError(`${op}: metadata.${name} must be a string, got ${kindOf(value)}.\n  Write String(value), or JSON.stringify(value).`, { op })
  }
}

/** Throws for what JSON cannot hold: it would be left out, or end the first checkpoint. `within` holds the objects around it. */
export function checkPlain(op: string, value: unknown, path: string, within: readonly unknown[] = []): void {
  const wrong = (fault: string): ValueError => new ValueError(`${op}: ${path} is ${fault}; it must be plain data.\n  Give strings, numbers, booleans, and arrays and objects of these.`)
  if (typeof value === 'bigint' || typeof value === 'function' || typeof value === 'symbol') throw wrong(`a ${typeof value}`)
  if (value instanceof Tensor) throw wrong('a tensor')
  if (typeof value !== 'object' || value === null || typeof (value as { toJSON?: unknown }).toJSON === 'function') return
  if (within.includes(value)) throw wrong('an object that holds itself')
  for (const [name, item] of Object.entries(value)) checkPlain(op, item, `${path}.${name}`, [...within, value])
}
