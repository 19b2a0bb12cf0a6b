import { arange } from '../create.js'
import { record } from '../autograd.js'
import { ShapeError, ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { checkHeld, show, tracked } from './support.js'

/** What stands in the border: a value, or x's own elements mirrored, repeated or wrapped around. */
export interface PadOptions {
  /** 'constant' (the default) for `value`, or x's own elements: 'reflect', 'replicate', 'circular'. */
  mode?: 'constant' | 'reflect' | 'replicate' | 'circular'
  /** What a constant border holds. Default 0. */
  value?: number
}

/**
 * x with a border: `pads` names before and after of the last dimension, then of the one before it, and so on. Negative pads crop. PyTorch:
 * `F.pad`.
 * @throws ShapeError where a mode needs more elements than there are, ValueError for a `value` that x's integer dtype does not hold
 */
export function pad(x: Tensor, pads: readonly number[], { mode = 'constant', value = 0 }: PadOptions = {}): Tensor {
  if (mode !== 'constant') return mirrored(x, pads, mode)
  checkHeld('pad', x.dtype, value)
  const y = run.pad(x, pads, value)
  if (!tracked(x)) return y
  const back = pads.map((p) => -p)
  return record(y, { op: 'pad', inputs: [x], saved: [], backward: (dy) => [() => dy.pad(back)] })
}

function mirrored(x: Tensor, pads: readonly number[], mode: 'reflect' | 'replicate' | 'circular'): Tensor {
  if (pads.length % 2 !== 0 || pads.length / 2 > x.ndim || pads.some((p) => p < 0)) {
    throw new ShapeError(
      `pad: ${mode} pads come in pairs of 0 or more, at most one a dimension; got ${show(pads)} for shape ${show(x.shape)}.`,
      { op: 'pad', shapes: [x.shape] },
    )
  }
  return scope(() => {
    let y = x
    for (let i = 0; i < pads.length; i += 2) {
      const dim = x.ndim - 1 - i / 2
      const [before, after] = [pads[i]!, pads[i + 1]!]
      if (before === 0 && after === 0) continue
      const n = x.shape[dim]!
      const limit = mode === 'reflect' ? n - 1 : mode === 'circular' ? n : n > 0 ? Infinity : 0
      if (Math.max(before, after) > limit) {
        throw new ShapeError(
          `pad: ${mode} padding of ${Math.max(before, after)} needs more elements than dim ${dim} of ${show(x.shape)} has.`,
          { op: 'pad', shapes: [x.shape] },
        )
      }
      const place = arange(-before, n + after, 1, { dtype: 'int32', device: x.device })
      y = y.indexSelect(dim, source(place, n, mode))
    }
    return y
  })
}

/** The element of 0..n that stands at each place of the padded line. */
function source(place: Tensor, n: number, mode: 'reflect' | 'replicate' | 'circular'): Tensor {
  if (mode === 'replicate') return place.clamp(0, n - 1)
  if (mode === 'circular') return place.remainder(n)
  if (mode !== 'reflect')
    throw new ValueError(`pad: mode is 'constant', 'reflect', 'replicate' or 'circular', got '${String(mode)}'.`, { op: 'pad' })
  return place
    .abs()
    .mul(-1)
    .add(n - 1)
    .abs()
    .mul(-1)
    .add(n - 1)
}
