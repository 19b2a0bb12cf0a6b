// What the trainer wants of a model: a module, and outputs that loss and metrics can look at.
import { nn, Tensor, ValueError } from '../index.js'
import { kindOf } from '../internal.js'

/** Throws for what is no model. */
export function checkModel(model: unknown): asserts model is nn.Module {
  const wrong = (fault: string, way: string): ValueError => new ValueError(`Trainer: the model ${fault}.\n  ${way}`, { op: 'Trainer' })
  if (model instanceof nn.Module) {
    if (typeof (model.forward as unknown) === 'function') return
    throw wrong(`${model.constructor.name} has no forward`, 'Give it one: forward(x) { return this.layer.forward(x) }')
  }
  if (typeof model !== 'function') throw wrong(`must be an nn.Module, got ${kindOf(model)}`, "new Trainer(new nn.Sequential(...), { loss: 'crossEntropy' }), for example.")
  const { name } = model
  if (model.prototype instanceof nn.Module) throw wrong(`is the class ${name}, not made yet`, `Make one: new ${Object.hasOwn(nn, name) ? 'nn.' : ''}${name}(...).`)
  throw wrong(`must be an nn.Module, got ${kindOf(model)}`, 'Put it into one: class Net extends nn.Module { forward(x) { ... } }, then new Trainer(new Net(), ...).')
}

/** Runs a model. @throws ValueError for outputs that are neither a tensor nor a record with `logits` */
export function outputOf(model: nn.Module, inputs: unknown): unknown {
  const output: unknown = model.forward(inputs)
  if (output instanceof Tensor || (output as { logits?: unknown } | null | undefined)?.logits instanceof Tensor) return output
  const op = `${model.constructor.name}.forward`
  if (typeof (output as PromiseLike<unknown> | null | undefined)?.then === 'function') {
    Promise.resolve(output as PromiseLike<unknown>).catch(() => {})
    throw new ValueError(`${op}: gave a promise.\n  A forward may not be async: ops give tensors at once, and nothing has to be awaited.`, { op })
  }
  throw new ValueError(`${op}: must give a tensor, or a record whose logits are one, got ${kindOf(output)}.${output === undefined ? '\n  A return is missing, perhaps.' : ''}`, { op })
}
