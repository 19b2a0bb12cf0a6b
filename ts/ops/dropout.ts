import { record } from '../autograd.js'
import { ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { defaultGenerator, type Generator } from '../random.js'
import type { Tensor } from '../tensor.js'
import { tracked } from './support.js'

/**
 * In training each element is 0 with probability p, the others are scaled by 1 / (1 - p); otherwise x itself. The mask is a function of the
 * generator's next key, and is made again in the gradient: it takes no memory. PyTorch: `F.dropout`.
 * @throws ValueError for p outside [0, 1]
 */
export function dropout(x: Tensor, p = 0.5, training = true, generator: Generator = defaultGenerator()): Tensor {
  if (!(p >= 0 && p <= 1)) throw new ValueError(`dropout: p is a probability from 0 to 1, got ${p}.`, { op: 'dropout' })
  if (!training || p === 0) return x
  const key = generator.key()
  const y = masked(x, key, p)
  key.dispose()
  return y
}

/** The mask of `key` applied: linear in x, so that its gradient is itself. */
function masked(x: Tensor, key: Tensor, p: number): Tensor {
  const y = run.dropout(x, key, p)
  return tracked(x) ? record(y, { op: 'dropout', inputs: [x], saved: [key], backward: (dy, key) => [() => masked(dy, key!, p)] }) : y
}
