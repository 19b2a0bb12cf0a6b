// Every option of every layer against PyTorch: outputs, gradients of the input and of each parameter, buffers.
import { describe, expect, it } from 'vitest'
import { type DType, tensor } from '../../ts/index.js'
import * as nn from '../../ts/nn/index.js'
import { expectClose, formula, type LayerCase, readGolden } from './golden.js'

const golden = readGolden()
const cases = golden.cases.filter((c): c is LayerCase => c.kind === 'layer')

function runCase(c: LayerCase, dtype: DType): void {
  const make = (nn as unknown as Record<string, new (...args: unknown[]) => nn.Module>)[c.layer]
  if (make === undefined) throw new Error(`no layer ${c.layer}`)
  const layer = new make(...c.args).to(dtype).train(c.training)
  const weights = layer.namedParameters().map(([name, p], k) => [name, formula(p.shape, 100 + k, dtype)] as const)
  layer.loadStateDict(Object.fromEntries(weights), { strict: false })
  let [x, y] = [tensor(0), tensor(0)]
  for (let pass = 0; pass < c.passes; pass++) {
    layer.zeroGrad()
    const size = c.shape.reduce((a, b) => a * b, 1)
    const ids = Int32Array.from({ length: size }, (_, i) => (i * 7 + 3) % (c.ids ?? 1))
    x = c.ids === null ? formula(c.shape, 1 + pass, dtype, c.scale) : tensor(ids, { shape: c.shape })
    if (c.ids === null) x.requiresGrad = true
    y = layer.forward(x)
    y.backward(formula(y.shape, 50, dtype))
  }
  const parameters = Object.fromEntries(layer.namedParameters())
  const buffers = Object.fromEntries(layer.namedBuffers())
  const keys = golden.keys(`${c.name}.`)
  for (const key of keys) {
    const what = key.slice(c.name.length + 1)
    const expected = golden.expected(key)!
    if (what === 'y') expectClose(key, y, expected)
    else if (what === 'dx') expectClose(key, x.grad, expected)
    else if (what.startsWith('grad.')) expectClose(key, parameters[what.slice(5)]!.grad, expected)
    else if (what.startsWith('buffer.')) {
      const buffer = buffers[what.slice(7)]!
      expectClose(key, buffer.ndim === expected.shape.length ? buffer : buffer.reshape(expected.shape), expected)
    } else throw new Error(`unknown golden key ${key}`)
  }
  expect(keys.filter((key) => key.includes('.grad.')).length, 'every parameter is compared').toBe(Object.keys(parameters).length)
  expect(keys.filter((key) => key.includes('.buffer.')).length, 'every buffer is compared').toBe(Object.keys(buffers).length)
}

describe.each(['float64', 'float32'] as const)('layers as PyTorch has them, %s', (dtype) => {
  it.each(cases.map((c) => [c.name, c] as const))('%s', (_, c) => runCase(c, dtype))
})
