// Ops that users write. Everything that comes back from their functions is checked: a gradient of the wrong shape, dtype or number would
// otherwise end up in `.grad`, and show much later or not at all.
import { record } from './autograd.js'
import { ShapeError, ValueError } from './errors.js'
import { kindOf, noTensor } from './explain.js'
import { checkOptions } from './options.js'
import { setGradEnabled } from './scope.js'
import { Tensor } from './tensor.js'

/** A function with a gradient of its own. */
export interface CustomFunction {
  /** What messages call it; 'customFunction' if left out. */
  name?: string
  /** Computes the output, and what `backward` needs of it. Runs without recording. */
  forward: (...inputs: Tensor[]) => Tensor | { output: Tensor; saved?: readonly Tensor[] }
  /** The gradients of the inputs, null where there is none. */
  backward: (dy: Tensor, ...saved: Tensor[]) => Tensor | null | readonly (Tensor | null)[]
}

const PARTS: { readonly [Name in keyof CustomFunction]-?: true } = { name: true, forward: true, backward: true }

/**
 * Makes an op of a forward and a backward function. `backward` gives one gradient an input, of the input's shape (another floating dtype is
 * cast to the input's), or null for none. Under `autocast` the ops of `forward` follow it, those of `backward` do not. PyTorch: `torch.autograd.Function`.
 * @throws ValueError for functions that answer with a promise or with what is no tensor, and for as many gradients as there are not inputs
 * @throws ShapeError for a gradient of another shape than its input
 * @example const double = customFunction({ name: 'double', forward: (x) => x.mul(2), backward: (dy) => dy.mul(2) })
 */
export function customFunction(parts: CustomFunction): (...inputs: Tensor[]) => Tensor {
  checkOptions('customFunction', parts, PARTS)
  const { name = 'customFunction', forward, backward } = parts ?? {}
  for (const [part, value] of Object.entries({ forward, backward })) {
    if (typeof value !== 'function') throw new ValueError(`${name}: ${part} is a function, got ${kindOf(value)}.`, { op: name })
  }
  return (...inputs) => {
    inputs.forEach((input, i) => { if (!(input instanceof Tensor)) throw noTensor(name, `input ${i}`, input) })
    const before = setGradEnabled(false)
    let result: { output: Tensor; saved: readonly Tensor[] }
    try {
      result = outputOf(name, forward(...inputs))
    } finally {
      setGradEnabled(before)
    }
    const { output, saved } = result
    if (inputs.includes(output)) throw new ValueError(`${name}: forward returned one of its inputs. Return a new tensor, such as x.clone().`, { op: name })
    return record(output, {
      op: name,
      inputs,
      saved,
      backward: (dy, ...kept) => {
        let gradients: readonly (Tensor | null)[] | null = null
        return inputs.map((_, i) => () => (gradients ??= gradientsOf(name, inputs, backward(dy, ...kept)))[i] ?? null)
      },
    })
  }
}

function outputOf(name: string, result: ReturnType<CustomFunction['forward']>): { output: Tensor; saved: readonly Tensor[] } {
  refusePromise(name, 'forward', result)
  const { output, saved = [] } = typeof result === 'object' && result !== null && 'output' in result ? result : { output: result }
  if (!(output instanceof Tensor)) throw noTensor(name, 'what forward returns', output)
  if (!Array.isArray(saved)) throw new ValueError(`${name}: saved is a list of tensors, got ${kindOf(saved)}.`, { op: name })
  saved.forEach((tensor, i) => { if (!(tensor instanceof Tensor)) throw noTensor(name, `saved[${i}]`, tensor) })
  return { output, saved }
}

function gradientsOf(name: string, inputs: readonly Tensor[], result: ReturnType<CustomFunction['backward']>): (Tensor | null)[] {
  refusePromise(name, 'backward', result)
  const gradients = (Array.isArray(result) ? result : [result]) as (Tensor | null)[]
  if (gradients.length !== inputs.length) {
    throw new ValueError(`${name}: backward gave ${gradients.length} gradient${gradients.length === 1 ? '' : 's'} for ${inputs.length} input${inputs.length === 1 ? '' : 's'}.\n`
      + '  Return one an input, null where there is none.', { op: name })
  }
  return gradients.map((gradient, i) => {
    if (gradient === null) return null
    if (!(gradient instanceof Tensor)) throw noTensor(name, `gradient ${i} of backward (null for none)`, gradient)
    const { shape, dtype } = inputs[i]!
    if (gradient.shape.join() !== shape.join()) {
      throw new ShapeError(`${name}: backward gave a gradient [${gradient.shape.join(', ')}] for input ${i}, which is [${shape.join(', ')}].\n`
        + '  A gradient has its input\'s shape: sum over what forward broadcast.', { op: name, shapes: [gradient.shape, shape] })
    }
    return gradient.dtype === dtype ? gradient : gradient.cast(dtype)
  })
}

function refusePromise(name: string, part: string, result: unknown): void {
  if (typeof (result as PromiseLike<unknown> | null | undefined)?.then !== 'function') return
  // Nobody waits for it any more: its failure is not to end the process.
  ;(result as PromiseLike<unknown>).then(undefined, () => {})
  throw new ValueError(`${name}: ${part} is asynchronous. Ops answer at once: write it without await, with ops on tensors instead of their values.`, { op: name })
}
