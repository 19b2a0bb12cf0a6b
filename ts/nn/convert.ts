import { type DType, type FloatDType, isDType, isFloat } from '../dtype.js'
import { noGrad, scope } from '../scope.js'
import { buffer, Parameter, type Tensor } from '../tensor.js'
import type { Module } from './module.js'
import { slots } from './walk.js'

/**
 * Moves or casts every tensor of a module. Tied weights stay tied, frozen ones frozen; integer buffers (counters) keep their dtype.
 * What is there already stays the same tensor. The old ones are released by the collector: an optimizer or the caller may still hold them.
 */
export function convert(module: Module, target: string | DType): void {
  const done = new Map<Tensor, Tensor>()
  for (const slot of slots(module, { lazy: true })) {
    const old = slot.tensor
    let fresh = done.get(old)
    if (fresh === undefined) {
      const stays = isDType(target) ? !isFloat(old.dtype) || old.dtype === target : old.device === target
      fresh = stays ? old : moved(old, slot.kind, target)
      done.set(old, fresh)
    }
    if (fresh === old) continue
    slot.set(fresh)
    if (old instanceof Parameter) old._replaced = true
  }
}

function moved(old: Tensor, kind: 'parameter' | 'buffer', target: string): Tensor {
  return noGrad(() => scope(() => {
    const tensor = old.detach().to(target)
    return kind === 'buffer' ? buffer(tensor) : new Parameter(tensor as Tensor<FloatDType>, old.requiresGrad)
  }))
}
