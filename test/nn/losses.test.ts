// Every option of every loss against PyTorch: values and gradients.
import { describe, expect, it } from 'vitest'
import { compile, type DType, FerrogradError, ShapeError, type Tensor, tensor } from '../../ts/index.js'
import * as nn from '../../ts/nn/index.js'
import { cosineSimilarity } from '../../ts/ops/composed.js'
import { ctcLoss } from '../../ts/ops/ctc-loss.js'
import { expectClose, formula, type LossCase, makeInput, readGolden } from './golden.js'

const golden = readGolden()
const cases = golden.cases.filter((c): c is LossCase => c.kind === 'loss')
type AnyLoss = (...args: unknown[]) => Tensor

const withoutOptions: Record<string, AnyLoss> = {
  cosineSimilarity: ((a: Tensor, b: Tensor, { dim = -1 }: { dim?: number }) => cosineSimilarity(a, b, dim)) as AnyLoss,
}

function runCase(c: LossCase, dtype: DType): void {
  const loss = withoutOptions[c.loss] ?? (nn as unknown as Record<string, AnyLoss>)[c.loss]
  if (loss === undefined) throw new Error(`no loss ${c.loss}`)
  const inputs = c.inputs.map((spec) => makeInput(spec, dtype))
  c.inputs.forEach((spec, k) => { if (spec.grad) inputs[k]!.requiresGrad = true })
  const y = loss(...inputs, c.options)
  y.backward(formula(y.shape, 50, dtype))
  expectClose(`${c.name}.y`, y, golden.expected(`${c.name}.y`)!)
  c.inputs.forEach((spec, k) => { if (spec.grad) expectClose(`${c.name}.d${k}`, inputs[k]!.grad, golden.expected(`${c.name}.d${k}`)!) })
}

describe.each(['float64', 'float32'] as const)('losses as PyTorch has them, %s', (dtype) => {
  it.each(cases.map((c) => [c.name, c] as const))('%s', (_, c) => runCase(c, dtype))
})

describe('what losses declare', () => {
  it('names the task and whether outputs are logits', () => {
    expect([nn.crossEntropy.task, nn.crossEntropy.fromLogits]).toEqual(['multiclass', true])
    expect([nn.bce.task, nn.bce.fromLogits]).toEqual(['binary', false])
    expect([nn.bceWithLogits.task, nn.bceWithLogits.fromLogits]).toEqual(['binary', true])
    expect([nn.mse.task, nn.mse.fromLogits]).toEqual(['regression', false])
    const loss = new nn.CrossEntropyLoss({ fromLogits: false })
    expect([loss.task, loss.fromLogits]).toEqual(['multiclass', false])
  })

  it('has a class for each function, with the same value', () => {
    const x = tensor([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    const labels = tensor(Int32Array.from([2, 0]))
    const options = { weight: [1, 2, 3], labelSmoothing: 0.1 }
    expect(new nn.CrossEntropyLoss(options).forward(x, labels).itemSync()).toBe(nn.crossEntropy(x, labels, options).itemSync())
    const target = tensor([[1, 0, 1], [0, 0, 1]])
    const classes = {
      MSELoss: 'mse', L1Loss: 'l1', HuberLoss: 'huber', SmoothL1Loss: 'smoothL1', BCELoss: 'bce', BCEWithLogitsLoss: 'bceWithLogits',
      HingeLoss: 'hinge', KLDivLoss: 'klDiv', HingeEmbeddingLoss: 'hingeEmbedding',
    }
    for (const [name, fn] of Object.entries(classes)) {
      const make = (nn as unknown as Record<string, new (options?: object) => nn.Module>)[name]!
      const direct = (nn as unknown as Record<string, AnyLoss>)[fn]!
      expect(new make({ reduction: 'sum' }).forward(x, target).itemSync(), name).toBe(direct(x, target, { reduction: 'sum' }).itemSync())
    }
    const [scores, places] = [tensor([[[0, 0], [-1, -2]]]), tensor(Int32Array.from([1]), { shape: [1, 1] })]
    expect(new nn.CTCLoss({ reduction: 'sum' }).forward(scores, places).itemSync()).toBe(ctcLoss(scores, places, null, null, { reduction: 'sum' }).itemSync())
    expect(new nn.NLLLoss().forward(x, labels).itemSync()).toBe(nn.nll(x, labels).itemSync())
    expect(new nn.MultiMarginLoss({ p: 2 }).forward(x, labels).itemSync()).toBe(nn.multiMargin(x, labels, { p: 2 }).itemSync())
    const sign = tensor([1, -1])
    expect(new nn.CosineEmbeddingLoss({ margin: 0.2 }).forward(x, target, sign).itemSync()).toBe(nn.cosineEmbedding(x, target, sign, { margin: 0.2 }).itemSync())
    expect(new nn.CosineSimilarity({ dim: 0 }).forward(x, target).dataSync()).toEqual(cosineSimilarity(x, target, 0).dataSync())
  })
})

describe('targets that do not fit', () => {
  const output = tensor([[0.1, 0.9], [0.5, 0.5], [0.2, 0.8]])

  it('takes [N] for one output an example', () => {
    const one = tensor([[0.5], [2], [-1]])
    const target = tensor(Int32Array.from([1, 0, 1]))
    expect(nn.bceWithLogits(one, target).itemSync()).toBeCloseTo(nn.bceWithLogits(one, tensor([[1], [0], [1]])).itemSync() as number, 6)
    expect(nn.mse(one, tensor([1, 2, 3])).shape).toEqual([])
  })

  it('takes integer one-hot rows', () => {
    const hot = tensor(Uint8Array.from([1, 0, 0, 1, 1, 0]), { shape: [3, 2] })
    expect(nn.crossEntropy(output, hot).itemSync()).toBeCloseTo(nn.crossEntropy(output, tensor(Int32Array.from([0, 1, 0]))).itemSync() as number, 6)
  })

  it('names shapes and the way out', () => {
    expect(() => nn.mse(output, tensor([1, 2]))).toThrowErrorMatchingInlineSnapshot(
      `[ShapeError: mse: the output is [3, 2], the target [2]: they must be equal. Use target.reshape([...]) or another last layer]`)
    expect(() => nn.crossEntropy(output, tensor(Int32Array.from([1, 0])))).toThrowErrorMatchingInlineSnapshot(
      `[ShapeError: crossEntropy: outputs [3, 2] (classes last) want labels int32 [3] or probabilities [3, 2], got int32 [2]]`)
    expect(() => nn.crossEntropy(output, tensor([1, 0, 1]))).toThrowErrorMatchingInlineSnapshot(
      `[DTypeError: crossEntropy: labels are class indices, int32 [3], got float32. Use labels.cast('int32')]`)
    expect(() => nn.nll(output, output)).toThrow(/class indices/)
    expect(() => nn.mse(output, output, { reduction: 'avg' as 'mean' })).toThrow(/'none', 'mean' or 'sum'/)
    expect(() => nn.huber(output, output, { delta: 0 })).toThrow(/delta must be positive/)
    expect(() => nn.smoothL1(output, output, { beta: -1 })).toThrow(/beta/)
    expect(() => nn.crossEntropy(output, output, { labelSmoothing: 2 })).toThrow(/labelSmoothing/)
    expect(() => nn.multiMargin(output, output)).toThrow(/labels \[N\]/)
    expect(() => nn.multiMargin(output, tensor(Int32Array.from([0, 1, 1])), { p: 3 as 1 })).toThrow(/p is 1 or 2/)
  })

  it('names what is no tensor', () => {
    const losses = Object.entries(nn as unknown as Record<string, AnyLoss & { defaults?: object }>).filter(([, value]) => value?.defaults !== undefined)
    for (const [name, loss] of [...losses, ['cosineEmbedding', nn.cosineEmbedding as AnyLoss] as const]) {
      for (const wrong of [undefined, null, 3, 'a', [1], {}]) {
        expect(() => loss(wrong, output, output), name).toThrow(FerrogradError)
        expect(() => loss(output, wrong, output), name).toThrow(FerrogradError)
      }
    }
  })

  it('rejects a label outside the classes when the loss is read', async () => {
    await expect(nn.crossEntropy(output, tensor(Int32Array.from([0, 2, 1]))).item()).rejects.toThrow(/label|index/i)
    await expect(nn.nll(output, tensor(Int32Array.from([0, -1, 1]))).item()).rejects.toThrow(/index/i)
  })

  it('keeps losses of probabilities finite', () => {
    const certain = tensor([[1, 0], [0, 1]])
    expect(nn.crossEntropy(certain, tensor(Int32Array.from([1, 0])), { fromLogits: false }).itemSync()).toBeCloseTo(-Math.log(1e-7), 3)
    expect(nn.bce(certain, tensor([[0, 1], [1, 0]])).itemSync()).toBe(100)
  })

  it('ignoring every row gives NaN, as in PyTorch', () => {
    expect(nn.crossEntropy(output, tensor(Int32Array.from([-100, -100, -100]))).itemSync()).toBeNaN()
  })
})

describe('class weights', () => {
  it('are as many as there are classes', () => {
    const z = tensor([[0.2, 0.5, 0.3], [0.6, 0.1, 0.3]])
    const labels = tensor(Int32Array.from([0, 1]))
    const hot = tensor([[1, 0, 0], [0, 1, 0]])
    const calls: Record<string, (weight: nn.Weights) => Tensor> = {
      crossEntropy: (weight) => nn.crossEntropy(z, labels, { weight }),
      'crossEntropy, one-hot': (weight) => nn.crossEntropy(z, hot, { weight }),
      'crossEntropy of probabilities': (weight) => nn.crossEntropy(z, labels, { weight, fromLogits: false }),
      'crossEntropy of probabilities, one-hot': (weight) => nn.crossEntropy(z, hot, { weight, fromLogits: false }),
      nll: (weight) => nn.nll(z, labels, { weight }),
      multiMargin: (weight) => nn.multiMargin(z, labels, { weight }),
    }
    for (const [name, call] of Object.entries(calls)) {
      expect(Number.isFinite(call([1, 2, 3]).itemSync()), name).toBe(true)
      for (const weight of [[2], [1, 2], [1, 2, 3, 4], tensor(2), tensor([[1, 2, 3]]), 'balanced' as never]) {
        expect(() => call(weight), name).toThrow(ShapeError)
        expect(() => call(weight), name).toThrow(/^\w+: weight is one number a class, \[3\] for outputs \[2, 3\], got /)
      }
    }
  })
})

describe('class weights given as an array', () => {
  it('are a tensor of their own, also where a recorded step is the first to want them', () => {
    const loss = new nn.CrossEntropyLoss({ weight: [1, 3] })
    const step = compile((x: Tensor, labels: Tensor) => loss.forward(x, labels))
    const x = tensor([[1, 2], [0, 1]])
    const labels = tensor(Int32Array.from([0, 1]))
    const recorded = [step(x, labels), step(x, labels)].map((t) => t.itemSync())
    expect(recorded).toEqual([0, 1].map(() => loss.forward(x, labels).itemSync()))
  })
})

describe('targets that are none', () => {
  const z = tensor([[1, 2], [3, 4]])
  const loose = nn as any

  it('are named, with the way to a tensor', () => {
    expect(() => loose.crossEntropy(z, [0, 1])).toThrowErrorMatchingInlineSnapshot(`
      [ValueError: crossEntropy: target must be a tensor, got [0, 1].
        Make one with tensor(labels, { dtype: 'int32' }) for classes.]
    `)
    expect(() => loose.mse(z, 0)).toThrow(/^mse: target must be a tensor, got 0\.\n {2}Make one with tensor\(target\)\.$/)
    expect(() => loose.mse([1], z)).toThrow(/^mse: output must be a tensor, got \[1\]/)
    expect(() => new loose.MSELoss().forward(z)).toThrow(/^mse: target must be a tensor, got undefined/)
  })

  it('klDiv names all of its reductions', () => {
    expect(() => loose.klDiv(z, z, { reduction: 'avg' })).toThrow("klDiv: reduction is 'none', 'mean', 'batchmean' or 'sum', not \"avg\"")
    expect(() => loose.mse(z, z, { reduction: 'batchmean' })).toThrow("mse: reduction is 'none', 'mean' or 'sum', not \"batchmean\"")
  })
})

describe('hinge', () => {
  const scores = [0.5, -0.25, 2, -3]
  const losses = async (target: Tensor) => {
    const output = tensor(scores, { requiresGrad: true })
    const y = nn.hinge(output, target, { reduction: 'none' })
    y.sum().backward()
    return [await y.tolist(), await output.grad!.tolist()]
  }

  it('takes labels of -1 and 1, of 0 and 1, and bools, alike', async () => {
    const signs = await losses(tensor([1, -1, -1, 1]))
    expect(signs).toEqual([[0.5, 0.75, 3, 4], [-1, 1, 1, -1]])
    expect(await losses(tensor([1, 0, 0, 1]))).toEqual(signs)
    expect(await losses(tensor([1, 0, 0, 1], { dtype: 'int32' }))).toEqual(signs)
    expect(await losses(tensor([true, false, false, true]))).toEqual(signs)
  })
})
