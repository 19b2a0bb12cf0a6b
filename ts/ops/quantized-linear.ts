import { run } from '../native/run.js'
import type { Tensor } from '../tensor.js'
import { type Activation, activationCode } from './activation-code.js'
import { withoutGradient } from './pointwise-table.js'

/** Options of {@link quantizedLinear}. */
export interface QuantizedLinearOptions {
  /** What a step of x is worth. */
  xScale: number
  /** The value of x that stands for 0, 0 to 255 (0). */
  xZeroPoint?: number
  /** Summands of the outputs, float32 [out]. */
  bias?: Tensor | null
  /** What is applied to the result, in the same pass. */
  activation?: Activation
}

/**
 * y = act((x - xZeroPoint) xScale · (weight weightScale)ᵀ + bias): x uint8 [..., in], weight int8 [out, in], weightScale float32 [out], one a
 * row; y float32 [..., out]. The products are added up as integers, exactly, so that y has the same bits on every machine but for the last
 * rounding; `in` is at most 65,793. For inference: it has no gradient. PyTorch: `torch.ao.nn.quantized.functional.linear` (whose result is quantised).
 * @throws DTypeError, ShapeError, ValueError
 * @example quantizedLinear(x, weight, scale, { xScale: 0.02, xZeroPoint: 128, activation: 'relu' })
 */
export function quantizedLinear(x: Tensor, weight: Tensor, weightScale: Tensor, options: QuantizedLinearOptions): Tensor {
  const { xScale, xZeroPoint = 0, bias = null, activation = 'none' } = options
  const y = run.quantizedLinear(x, weight, weightScale, bias, xScale, xZeroPoint, activationCode('quantizedLinear', activation))
  return withoutGradient('quantizedLinear', y, bias ? [weightScale, bias] : [weightScale], 'Train with linear, and quantise the trained weights.')
}
