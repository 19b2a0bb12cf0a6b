import { describe, expect, it } from 'vitest'
import { manualSeed, randn, ShapeError, tensor } from '../../ts/index.js'
import { cnn } from '../../ts/models/index.js'
import * as nn from '../../ts/nn/index.js'

describe('the article\'s CNN', () => {
  it('has 122,570 parameters on CIFAR-10', () => {
    const result = nn.summary(cnn(), [1, 32, 32, 3])
    expect(result.parameters).toBe(122_570)
    expect(result.trainable).toBe(122_570)
    expect(result.rows.at(-1)!.outputShape).toEqual([1, 10])
    expect(cnn().parameters().reduce((sum, p) => sum + p.size, 0)).toBe(122_570)
  })

  it('follows its options', () => {
    const model = cnn({ inChannels: 1, classes: 4, imageSize: 28 })
    expect(model.forward(randn([2, 28, 28, 1])).shape).toEqual([2, 4])
    expect(cnn({ imageSize: 18 }).forward(randn([1, 18, 18, 3])).shape).toEqual([1, 10])
    expect(() => cnn({ imageSize: 17 })).toThrow(/at least 18/)
    expect(() => model.forward(randn([2, 28, 28, 3]))).toThrow(ShapeError)
    expect(() => model.forward(randn([2, 32, 32, 1]))).toThrow(/Flatten gives 1024/)
  })

  it('gives every parameter a gradient', () => {
    manualSeed(0)
    const model = cnn()
    nn.crossEntropy(model.forward(randn([4, 32, 32, 3])), tensor(Int32Array.from([0, 3, 9, 1]))).backward()
    for (const [name, p] of model.namedParameters()) {
      const g = Array.from(p.grad!.dataSync() as Float32Array)
      expect(g.every(Number.isFinite), name).toBe(true)
      expect(g.some((v) => v !== 0), name).toBe(true)
    }
  })
})
