import { dtypeCode } from './dtype.js'
import { DisposedError, VersionError } from './errors.js'
import { noTensor } from './explain.js'
import { run } from './native/run.js'
import { noGrad, scope } from './scope.js'
import { Tensor } from './tensor.js'

/** Throws for what of a state dict is no tensor, or one whose values are gone; undefined counts as not given. */
export function checkTensors(op: string, state: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(state)) {
    if (value === undefined) continue
    if (!(value instanceof Tensor)) throw noTensor(op, key, value)
    if (value.disposed) throw new DisposedError(`${op}: ${key} was disposed of, or its scope has closed; nothing was changed.\n  Keep it with keep(t), or load it before.`, { op })
  }
}

/**
 * Writes each source, of its target's shape, into its target: all of them or none. Sources may be targets, or views of some: their values are those
 * from before.
 */
export function overwrite(op: string, pairs: readonly (readonly [target: Tensor, source: Tensor])[]): void {
  if (pairs.some(([target]) => target._base._frozen))
    throw new VersionError(`${op}: the tensors were shared with other workers and cannot be changed in place any more; nothing was changed.\n  Change a copy.`, { op })
  const written = new Set(pairs.map(([target]) => target._base))
  noGrad(() => scope(() => {
    const work = pairs.filter(([target, source]) => target !== source).map(([target, source]) => {
      const values = source.detach()
      if (source.dtype !== target.dtype) return [target, run.cast(values, dtypeCode(target.dtype))] as const
      return [target, written.has(source._base) ? values.clone() : values] as const
    })
    for (const [target, values] of work) run.assign(target, values)
  }))
}
