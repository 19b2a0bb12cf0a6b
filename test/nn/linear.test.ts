import { describe, expect, it } from 'vitest'
import { manualSeed, ones, ShapeError, tensor, ValueError, zeros } from '../../ts/index.js'
import * as nn from '../../ts/nn/index.js'

describe('Linear', () => {
  it('starts uniform in ±1/√in, as PyTorch\'s kaiming_uniform with a = √5', () => {
    manualSeed(1)
    const layer = new nn.Linear(400, 50)
    for (const values of [layer.weight.dataSync(), layer.bias!.dataSync()].map((v) => Array.from(v, Number))) {
      expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(0.05)
      expect(Math.max(...values)).toBeGreaterThan(0.04)
      expect(Math.min(...values)).toBeLessThan(-0.04)
    }
    manualSeed(1)
    expect(new nn.Linear(400, 50).weight.dataSync()).toEqual(layer.weight.dataSync())
  })

  it('says what does not fit', () => {
    expect(() => new nn.Linear(4, 2).forward(ones([3, 5]))).toThrow(ShapeError)
    expect(() => new nn.Linear(4, 2).forward(ones([3, 5]))).toThrowErrorMatchingInlineSnapshot(
      `[ShapeError: Linear: the input has 5 features (shape [3, 5]), Linear expects 4: use new nn.Linear(5, 2) or new nn.LazyLinear(2)]`)
    expect(() => new nn.Linear(4, 2).forward(tensor(1))).toThrow(/no dimensions/)
    expect(() => new nn.Linear(0, 2)).toThrow(ValueError)
    expect(() => new nn.Linear(2.5, 2)).toThrow('Linear: inFeatures must be a positive integer, not 2.5')
  })

  it('takes an empty batch', () => {
    expect(new nn.Linear(4, 2).forward(zeros([0, 4])).shape).toEqual([0, 2])
  })
})

describe('LazyLinear', () => {
  it('takes its size from the first input', () => {
    const layer = new nn.LazyLinear(3)
    expect(layer.isLazy).toBe(true)
    expect(() => layer.parameters()).toThrow(/no weights before its first input/)
    expect(layer.train(false).training).toBe(false)
    expect(layer.forward(ones([2, 5])).shape).toEqual([2, 3])
    expect(layer.weight!.shape).toEqual([3, 5])
    expect(layer.isLazy).toBe(false)
    expect(() => layer.forward(ones([2, 6]))).toThrow(/first input had 5 features/)
  })

  it('takes its size from a state that is loaded', () => {
    const from = new nn.Sequential(new nn.Linear(5, 3))
    const to = new nn.Sequential(new nn.LazyLinear(3))
    to.loadStateDict(from.stateDict())
    expect(to.forward(ones([1, 5])).dataSync()).toEqual(from.forward(ones([1, 5])).dataSync())
  })

  it('computes in the first input\'s dtype', () => {
    expect(new nn.LazyLinear(3, { bias: false }).forward(ones([2, 5], { dtype: 'float64' })).dtype).toBe('float64')
  })
})
