// The models for sequences against PyTorch: the same weights and inputs, one pass forward and back (sequences.json, written by make_sequences.py).
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { models, nn, noGrad, scope, tensor, type Tensor } from '../../ts/index.js'
import { numbers } from '../check.js'
import { uniform } from '../golden/formula.js'

type Nested = number | Nested[]
type Make = 'lstmClassifier' | 'biLstmTagger' | 'textCnn' | 'charRnn' | 'seq2seq' | 'forecaster'
interface Case { model: Make; options: object; scale: number; inputs: Record<string, Nested[]>; labels: Nested[]; logits: Nested[]; gradients: Record<string, number[]> }

const { cases } = JSON.parse(readFileSync(new URL('../golden/sequences.json', import.meta.url), 'utf8')) as { cases: Case[] }
const flat = (values: Nested[]): number[] => (values as number[]).flat(Infinity) as number[]

/** The model, its k-th parameter drawn as the script drew it; a table's padding stays 0. */
function build({ model, options, scale }: Case, dtype: 'float32' | 'float64'): nn.Module {
  const made = models[model](options).to(dtype)
  noGrad(() => scope(() => made.namedParameters().forEach(([name, p], k) => {
    const values = uniform(k + 1, p.size, scale)
    if (model !== 'charRnn' && /^(\w*[eE]mbedding|fixed)\./.test(name)) values.fill(0, 0, p.shape[1])
    p.assign_(tensor(values, { shape: p.shape, dtype }))
  })))
  return made
}

describe.each([['float64', 1e-11], ['float32', 1e-5]] as const)("%s: logits and gradients are PyTorch's", (dtype, close) => {
  it.each(cases.map((c) => [`${c.model} ${JSON.stringify(c.options)}`, c] as const))('%s', (_, c) => {
    scope(() => {
      const model = build(c, dtype)
      const inputs = Object.fromEntries(Object.entries(c.inputs).map(([key, value]) => [key, tensor(value as number[], { dtype: key === 'x' || key === 'features' ? dtype : 'int32' })]))
      const logits = model.forward(c.model === 'charRnn' ? inputs.ids! : (inputs.x ?? inputs)) as Tensor
      const off = (ours: Tensor, theirs: number[]): number => Math.max(...numbers(ours).map((v, i) => Math.abs(v - theirs[i]!))) / Math.max(...theirs.map(Math.abs))
      expect(off(logits, flat(c.logits))).toBeLessThan(close)
      const labels = flat(c.labels)
      const loss = c.model === 'forecaster' ? nn.mse(logits, tensor(labels, { shape: logits.shape, dtype })) : nn.crossEntropy(logits.reshape([-1, logits.shape.at(-1)!]), tensor(labels, { dtype: 'int32' }))
      loss.backward()
      const gradients = model.namedParameters().filter(([, p]) => p.grad !== null)
      expect(gradients.map(([name]) => name)).toEqual(Object.keys(c.gradients))
      for (const [name, p] of gradients) expect(off(p.grad!, c.gradients[name]!), name).toBeLessThan(close)
    })
  })
})
