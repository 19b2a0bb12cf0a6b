// Bad arguments and inputs of the other layers: a typed error that names the way out.
import { describe, expect, it } from 'vitest'
import { autocast, IndexError, ones, ShapeError, tensor, ValueError } from '../../ts/index.js'
import * as nn from '../../ts/nn/index.js'

describe('convolutions', () => {
  it('name channels and layout', () => {
    expect(() => new nn.Conv2d(3, 8, 3).forward(ones([1, 8, 8, 1]))).toThrowErrorMatchingInlineSnapshot(
      `[ShapeError: Conv2d: the input [1, 8, 8, 1] (N H W C) has 1 channels, the layer expects 3: use new nn.Conv2d(1, 8, ...).]`)
    expect(() => new nn.Conv2d(3, 8, 3).forward(ones([1, 3, 8, 8]))).toThrow(/channels are last/)
    expect(() => new nn.Conv2d(3, 8, 3).forward(ones([8, 8, 3]))).toThrow(/x\.unsqueeze\(0\)/)
    expect(() => new nn.Conv1d(3, 8, 3).forward(ones([1, 8, 4]))).toThrow(/new nn.Conv1d\(4, 8/)
    expect(() => new nn.ConvTranspose2d(3, 8, 3).forward(ones([1, 8, 8, 4]))).toThrow(ShapeError)
    expect(() => new nn.Conv2d(1, 1, 5).forward(ones([1, 3, 3, 1]))).toThrow(ShapeError)
  })

  it('refuse impossible options', () => {
    expect(() => new nn.Conv2d(3, 8, 3, { groups: 2 })).toThrow('Conv2d: groups 2 must divide inChannels 3 and outChannels 8')
    expect(() => new nn.Conv2d(3, 8, 0)).toThrow(ValueError)
    expect(() => new nn.Conv2d(1, 1, 3, { padding: 'same', stride: 2 }).forward(ones([1, 8, 8, 1]))).toThrow(/stride 1/)
    expect(() => new nn.Conv2d(1, 1, 3, { padding: 'full' as 'same' }).forward(ones([1, 8, 8, 1]))).toThrow(/'same' or 'valid'/)
  })
})

describe('normalisation', () => {
  it('names channels and ranks', () => {
    expect(() => new nn.BatchNorm2d(3).forward(ones([2, 4, 4, 2]))).toThrowErrorMatchingInlineSnapshot(
      `[ShapeError: BatchNorm2d: the input is [2, 4, 4, 2], expected 4 dimensions, the last of 3 channels. Use new nn.BatchNorm2d(2)]`)
    expect(() => new nn.BatchNorm2d(3).forward(ones([2, 3, 4, 4]))).toThrow(/movedim/)
    expect(() => new nn.BatchNorm2d(3).forward(ones([2, 3]))).toThrow(ShapeError)
    expect(() => new nn.BatchNorm1d(3).forward(ones([1, 3]))).toThrow(/one value a channel/)
    expect(() => new nn.BatchNorm1d(3, { momentum: 2 })).toThrow(ValueError)
    expect(() => new nn.LayerNorm(3).forward(ones([2, 4]))).toThrow(ShapeError)
    expect(() => new nn.GroupNorm(2, 3)).toThrow(/do not divide/)
    expect(() => new nn.GroupNorm(1, 3).forward(ones([2, 4]))).toThrow(/4 channels/)
  })
})

describe('PReLU', () => {
  it('begins with 0.25 for all channels, and names them where they do not fit', () => {
    expect([...new nn.PReLU().weight.dataSync()]).toEqual([0.25])
    expect([...new nn.PReLU(2, { init: 0.5 }).weight.dataSync()]).toEqual([0.5, 0.5])
    expect(new nn.PReLU().forward(ones([2, 3, 4, 5]).neg()).amin().itemSync()).toBe(-0.25)
    expect(() => new nn.PReLU(3).forward(ones([1, 3, 4, 5]))).toThrowErrorMatchingInlineSnapshot(
      `[ShapeError: PReLU: the input [1, 3, 4, 5] has 5 channels (the last dimension), the layer expects 3: use new nn.PReLU(5), or new nn.PReLU() for one factor]`)
  })

  it('trains under autocast too', () => {
    const layer = new nn.Sequential(new nn.Linear(4, 3), new nn.PReLU(3), new nn.Linear(3, 1))
    autocast(() => layer.forward(ones([2, 4]))).cast('float32').sum().backward()
    for (const p of layer.parameters()) expect([p.grad!.dtype, p.grad!.shape]).toEqual(['float32', p.shape])
  })
})

describe('the others', () => {
  it('check their arguments', () => {
    expect(() => new nn.Dropout(1.5)).toThrow(ValueError)
    expect(() => new nn.Embedding(3, 0)).toThrow(ValueError)
    expect(() => new nn.Embedding(3, 2, { paddingIdx: 3 })).toThrow(IndexError)
    expect(() => new nn.MaxPool2d(3).forward(ones([1, 2, 2, 1]))).toThrow(ShapeError)
    expect(() => new nn.MaxPool2d(2, { padding: 2 }).forward(ones([1, 4, 4, 1]))).toThrow(/padding/)
    expect(() => new nn.Unflatten(1, [2, 2]).forward(ones([1, 5]))).toThrow(ShapeError)
  })

  it('embedding\'s padding row starts at zero and stays out of the gradient', () => {
    const table = new nn.Embedding(4, 3, { paddingIdx: -1 })
    expect([...table.weight.dataSync()].slice(9)).toEqual([0, 0, 0])
    expect([...table.weight.dataSync()].slice(0, 9).every((v) => v !== 0)).toBe(true)
    table.forward(tensor(Int32Array.from([0, 3, 3]))).sum().backward()
    expect([...table.weight.grad!.dataSync()]).toEqual([1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  })
})
