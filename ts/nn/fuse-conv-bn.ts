// Batch normalisation folded into the products before it: y = w x + b, then (y - mean) scale + shift, is one product with other numbers.
import { zeros } from '../create.js'
import type { FloatDType } from '../dtype.js'
import { ValueError } from '../errors.js'
import { kindOf } from '../explain.js'
import { type GraphNode, reachable } from '../graph.js'
import { enableGrad, noGrad, scope } from '../scope.js'
import { Parameter, Tensor } from '../tensor.js'
import { Conv1d, Conv2d } from './conv.js'
import { Linear } from './linear.js'
import { Module } from './module.js'
import { BatchNorm1d, BatchNorm2d } from './norm.js'
import { Identity } from './shape.js'
import { runOnMeta } from './summary.js'

type Norm = BatchNorm1d | BatchNorm2d
/** A layer whose rows of weights are its output channels, and the normalisation that alone reads what it gives. */
interface Pair { layer: Conv2d | Conv1d | Linear; norm: Norm; path: string }

/**
 * Folds each batch normalisation into the convolution or Linear before it, for inference: its running statistics, factors and summands go into the
 * layer's weights and bias, and an `Identity` takes its place. Which layer stands before which is seen in a run without values; a layer whose result
 * anyone else reads too, or that runs twice, stays as it is (a read through `detach` is not seen). The model itself is changed, and put into evaluation: results agree within rounding, and it is not
 * to be trained on. PyTorch: `torch.nn.utils.fusion.fuse_conv_bn_eval`, for whole models.
 * @param inputShape of one batch, as in `summary`
 * @returns how many were folded
 * @throws ValueError for what is no module
 * @example nn.fuseConvBn(model, [1, 224, 224, 3])
 */
export function fuseConvBn(model: Module, inputShape: readonly number[]): number {
  if (!(model instanceof Module)) throw new ValueError(`fuseConvBn: takes a module, got ${kindOf(model)}.`, { op: 'fuseConvBn' })
  model.eval()
  const pairs = pairsOf(model, inputShape)
  for (const { layer, norm, path } of pairs) {
    noGrad(() => scope(() => fold(layer, norm)))
    replace(model, path, new Identity().eval())
  }
  return pairs.length
}

function pairsOf(model: Module, inputShape: readonly number[]): Pair[] {
  const given = new Map<GraphNode, Pair['layer']>()
  const runs = new Map<Module, number>()
  const read: { norm: Norm; path: string; before: GraphNode | null }[] = []
  const dtype = model.parameters()[0]?.dtype ?? 'float32'
  // With a graph, which knows every reader, also those that are no modules.
  return enableGrad(() => scope(() => {
    const result = runOnMeta(model, [zeros(inputShape, { dtype: dtype as 'float32', device: 'meta' })], (path, module) =>
      module.registerForwardHook((_, [input], output) => {
        runs.set(module, (runs.get(module) ?? 0) + 1)
        if (module instanceof BatchNorm1d || module instanceof BatchNorm2d) read.push({ norm: module, path, before: (input as Tensor)._node })
        if ((module instanceof Conv2d || module instanceof Conv1d || module instanceof Linear) && (output as Tensor)._node !== null) given.set((output as Tensor)._node!, module)
      }))
    const results = tensorsIn(result).flatMap(({ _node }) => (_node === null ? [] : [_node]))
    const readers = new Map<unknown, number>()
    // What the model gives is read by its caller.
    for (const node of [...results, ...[...reachable(results)].flatMap(({ next }) => next)]) readers.set(node, (readers.get(node) ?? 0) + 1)
    return read.flatMap(({ norm, path, before }) => {
      const layer = before === null ? undefined : given.get(before)
      const alone = layer !== undefined && runs.get(layer) === 1 && runs.get(norm) === 1 && readers.get(before) === 1
      return alone && norm.runningMean !== null ? [{ layer, norm, path }] : []
    })
  }))
}

const tensorsIn = (result: unknown): Tensor[] => (result instanceof Tensor ? [result] : typeof result === 'object' && result !== null ? Object.values(result).flatMap(tensorsIn) : [])

/** w' = w scale, b' = (b - mean) scale + shift, with scale = factor / sqrt(variance + eps), a number each output channel. */
function fold(layer: Pair['layer'], norm: Norm): void {
  const { weight, bias, runningMean, runningVar, eps } = norm
  const rsqrt = runningVar!.add(eps).rsqrt()
  const scale = weight === null ? rsqrt : weight.mul(rsqrt)
  const centred = layer.bias === null ? runningMean!.neg() : layer.bias.sub(runningMean!)
  const shift = centred.mul(scale)
  const summand = bias === null ? shift : shift.add(bias)
  // Parameters of its own: another layer may share the ones that it had.
  const { requiresGrad } = layer.weight
  layer.weight = new Parameter(weighted(layer.weight, scale), requiresGrad)
  layer.bias = new Parameter(summand as Tensor<FloatDType>, requiresGrad)
}

const weighted = (weight: Tensor, scale: Tensor): Tensor<FloatDType> =>
  weight.mul(scale.reshape([-1, ...weight.shape.slice(1).map(() => 1)])) as Tensor<FloatDType>

function replace(model: Module, path: string, module: Module): void {
  const keys = path.split('.')
  const last = keys.pop() as string
  const parent = keys.reduce((at, key) => (at as unknown as Record<string, Module>)[key] as Module, model)
  ;(parent as unknown as Record<string, Module>)[last] = module
}
