import { ValueError } from '../errors.js'
import { kindOf, noTensor } from '../explain.js'
import { nearest } from '../options.js'
import { Tensor } from '../tensor.js'

/**
 * The record of tensors that a model reads: all those of `needed`, and those of `optional` that are there. Where one is needed, it may come alone.
 * @throws ValueError for other names, which would be passed over in silence, and for what is no tensor
 */
export function readRecord<R extends object>(model: string, inputs: R | Tensor, needed: readonly (keyof R & string)[], optional: readonly (keyof R & string)[]): R {
  const first = needed[0]!
  const alone = needed.length === 1
  if (alone && inputs instanceof Tensor) return { [first]: inputs } as R
  const known: readonly string[] = [...needed, ...optional]
  if (!isRecord(inputs)) {
    throw new ValueError(`${model}: takes { ${known.join(', ')} }, each a tensor${alone ? `, or ${first} alone` : ''}; got ${kindOf(inputs)}.`, { op: model })
  }
  for (const name of Object.keys(inputs)) {
    if (known.includes(name)) continue
    const near = nearest(name, known)
    throw new ValueError(`${model}: there is no input '${name}'.${near === undefined ? '' : ` Did you mean '${near}'?`}\n  There are ${known.join(', ')}.`, { op: model })
  }
  for (const name of known) {
    const value = (inputs as Record<string, unknown>)[name] ?? null
    if (!(value instanceof Tensor) && (value !== null || needed.includes(name as keyof R & string))) throw noTensor(model, name, value ?? undefined)
  }
  return inputs as R
}

/** @throws ValueError unless a model that reads one tensor was given one */
export function checkAlone(model: string, name: string, input: unknown): void {
  if (input instanceof Tensor) return
  const got = isRecord(input) ? `{ ${Object.keys(input).join(', ')} }` : kindOf(input)
  throw new ValueError(`${model}: reads ${name} alone, a tensor, got ${got}.`, { op: model })
}

function isRecord(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !(value instanceof Tensor) && !Array.isArray(value) && !ArrayBuffer.isView(value)
}
