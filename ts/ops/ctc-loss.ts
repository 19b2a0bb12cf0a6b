import { record } from '../autograd.js'
import { NoGradientError, ValueError } from '../errors.js'
import { run } from '../native/run.js'
import { isGradEnabled, scope } from '../scope.js'
import type { Tensor } from '../tensor.js'
import { tracked } from './support.js'

/** Options of {@link ctcLoss}. */
export interface CtcLossOptions {
  /** The class that stands for no label (0). */
  blank?: number
  /** `mean` divides each loss by its number of labels first, as PyTorch does; `none` gives a loss a row. */
  reduction?: 'mean' | 'sum' | 'none'
  /** Rows with too few steps for their labels count nothing, where they else have an infinite loss and gradients NaN (false). */
  zeroInfinity?: boolean
  /** Whether logProbs is [N, T, C] (true), not [T, N, C] as PyTorch has it. */
  batchFirst?: boolean
}

/**
 * Connectionist temporal classification (Graves et al. 2006): minus the log-probability of each row's labels, summed over all ways to place them among its
 * steps, with blanks between. logProbs [N, T, C] from a logSoftmax, targets int32 or int64 [N, S], lengths [N]: how many steps and labels of a row count;
 * where null, all steps, and the labels in front of the first negative one. What lies behind a row's labels is not looked at; a label that is no class or
 * the blank, and a length out of range, are late IndexErrors. PyTorch: `F.ctc_loss`, whose gradient adds softmax(x), which logSoftmax takes away again.
 * @throws ShapeError, DTypeError, ValueError; NoGradientError for a second derivative
 * @example const loss = ctcLoss(model.forward(x).logSoftmax(-1), targets, inputLengths, targetLengths)
 */
export function ctcLoss(
  logProbs: Tensor,
  targets: Tensor,
  inputLengths: Tensor | null = null,
  targetLengths: Tensor | null = null,
  { blank = 0, reduction = 'mean', zeroInfinity = false, batchFirst = true }: CtcLossOptions = {},
): Tensor {
  if (reduction !== 'mean' && reduction !== 'sum' && reduction !== 'none') {
    throw new ValueError(`ctcLoss: reduction is 'mean', 'sum' or 'none', got '${String(reduction)}'.`, { op: 'ctcLoss' })
  }
  return scope(() => {
    const x = batchFirst || logProbs.ndim !== 3 ? logProbs : logProbs.transpose(0, 1)
    const [steps, counts] = [inputLengths, targetLengths ?? labelsOf(targets)].map((lengths) => lengths && int32(lengths))
    const [rows, gradient] = run.ctcLoss(x, int32(targets), steps!, counts!, blank, zeroInfinity, tracked(x))
    const loss = record(rows, {
      op: 'ctcLoss',
      inputs: [x],
      saved: [gradient],
      backward: (dloss, gradient) => {
        if (isGradEnabled()) throw new NoGradientError('ctcLoss: has no second derivative. Call backward without createGraph.', { op: 'ctcLoss' })
        return [() => gradient!.mul(dloss.unsqueeze(-1).unsqueeze(-1))]
      },
    })
    if (reduction === 'none') return loss
    if (reduction === 'sum') return loss.sum()
    return loss.div(counts!.clamp(1).cast(loss.dtype)).mean()
  })
}

function int32(x: Tensor): Tensor {
  return x.dtype === 'int64' ? x.cast('int32') : x
}

/** How many labels stand in front of the first negative one, [N]; null for what the op's rule is to refuse. */
function labelsOf(targets: Tensor): Tensor | null {
  return targets.ndim === 2 ? targets.ge(0).cast('int32').cumprod(1).sum([1]) : null
}
