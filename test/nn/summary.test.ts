import { describe, expect, it, test } from 'vitest'
import { ones, type Tensor } from '../../ts/index.js'
import * as nn from '../../ts/nn/index.js'
import { held, settled } from '../settle.js'

const small = (): nn.Sequential => new nn.Sequential(
  new nn.Conv2d(3, 4, 3), new nn.ReLU(), new nn.MaxPool2d(2), new nn.Flatten(), new nn.LazyLinear(5),
)

describe('summary', () => {
  it('lists shapes, parameters and operations, computing nothing', () => {
    const model = small()
    const result = nn.summary(model, [2, 8, 8, 3])
    expect(result.rows.map((row) => [row.path, row.type, row.outputShape, row.parameters, row.flops])).toEqual([
      ['', 'Sequential', [2, 5], 0, 0],
      ['0', 'Conv2d', [2, 6, 6, 4], 112, 2 * 6 * 6 * 4 * (2 * 27 + 1)],
      ['1', 'ReLU', [2, 6, 6, 4], 0, 288],
      ['2', 'MaxPool2d', [2, 3, 3, 4], 0, 72 * 4],
      ['3', 'Flatten', [2, 36], 0, 0],
      ['4', 'LazyLinear', [2, 5], 185, 10 * 73],
    ])
    expect([result.parameters, result.trainable, result.parameterBytes]).toEqual([297, 297, 1188])
    expect(result.activationBytes).toBe(4 * (288 + 288 + 72 + 72 + 10))
    expect(String(result)).toMatchInlineSnapshot(`
      "layer             output        parameters   FLOPs
      --------------------------------------------------
      Sequential        [2, 5]                 0       0
        0 (Conv2d)      [2, 6, 6, 4]         112  15,840
        1 (ReLU)        [2, 6, 6, 4]           0     288
        2 (MaxPool2d)   [2, 3, 3, 4]           0     288
        3 (Flatten)     [2, 36]                0       0
        4 (LazyLinear)  [2, 5]               185     730
      --------------------------------------------------
      parameters  297, 1.2 KiB
      activations 2.9 KiB
      forward     0.02 MFLOP"
    `)
  })

  it('leaves the model as it was, also when forward fails', () => {
    const model = new nn.Sequential(new nn.BatchNorm1d(3), new nn.Linear(3, 2))
    const before = model.parameters()
    ;(model[1] as nn.Linear).requiresGrad_(false)
    const result = nn.summary(model, [4, 3])
    expect([result.parameters, result.trainable]).toEqual([14, 6])
    expect(String(result)).toContain('14 (6 train, 8 frozen)')
    expect(() => nn.summary(model, [4, 7])).toThrow(/7/)
    expect(model.parameters()).toEqual(before)
    expect(model.modules().every((m) => m.training && !m.hasHooks)).toBe(true)
    expect((model[0] as nn.BatchNorm1d).numBatchesTracked!.itemSync()).toBe(0)
    expect(model.forward(ones([4, 3])).device).toBe('cpu')
  })

  it('takes several inputs, ids, and layers used twice', () => {
    class Two extends nn.Module {
      table = new nn.Embedding(10, 4)
      head = new nn.Linear(4, 4)
      forward(ids: Tensor, x: Tensor): Tensor {
        return this.head.forward(this.head.forward(this.table.forward(ids)).add(x))
      }
    }
    const result = nn.summary(new Two(), [[2, 3], [2, 3, 4]], { dtype: ['int32', 'float32'] })
    expect(result.rows.map((row) => row.path)).toEqual(['', 'table', 'head', 'head'])
    expect(result.parameters).toBe(60)
    expect(result.flops).toBe(2 * 24 * 9)
  })

  it('keeps no memory', async () => {
    const model = new nn.Sequential(new nn.Linear(10, 10))
    nn.summary(model, [1, 10])
    const before = await settled()
    for (let i = 0; i < 20; i++) nn.summary(model, [1000, 10])
    expect(await held()).toEqual(before)
  })
})

test('names what is missing', () => {
  const loose = nn.summary as any
  expect(() => loose(new nn.Linear(2, 2))).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: summary: the second argument is the input's shape with its batch dimension, as in nn.summary(model, [1, 32, 32, 3]), got undefined.
      Several inputs take a list of shapes.]
  `)
  expect(() => loose(nn.Linear, [1, 2])).toThrow(/^summary: takes a module, got the function Linear/)
})

test('layers of one\'s own numbers count them', () => {
  const model = new nn.Sequential(new nn.PReLU(4), new nn.ReLU6(), new nn.AdaptiveAvgPool1d(2), new nn.Hardtanh(-2, 2))
  const { rows, parameters } = nn.summary(model, [1, 6, 4])
  expect(rows.slice(1).map(({ type, outputShape, flops }) => [type, outputShape, flops])).toEqual([
    ['PReLU', [1, 6, 4], 24], ['ReLU6', [1, 6, 4], 24], ['AdaptiveAvgPool1d', [1, 2, 4], 24], ['Hardtanh', [1, 2, 4], 8],
  ])
  expect(parameters).toBe(4)
})

test('a recurrent layer counts its products, and shows its output', () => {
  const { rows, flops } = nn.summary(new nn.LSTM(12, 16, { numLayers: 2 }), [3, 5, 12])
  const weights = 64 * (12 + 16) + 64 * (16 + 16)
  expect(rows.map(({ type, outputShape }) => [type, outputShape])).toEqual([['LSTM', [3, 5, 16]]])
  expect(flops).toBe(2 * 15 * weights)
})
