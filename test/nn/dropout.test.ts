import { describe, expect, it } from 'vitest'
import { Generator, manualSeed, ones } from '../../ts/index.js'
import * as nn from '../../ts/nn/index.js'

describe('Dropout', () => {
  it('drops p of the elements, scales the others, and passes the gradient through the same mask', () => {
    manualSeed(3)
    const layer = new nn.Dropout(0.3)
    const x = ones([100_000], { requiresGrad: true })
    const y = layer.forward(x)
    y.backward(ones([100_000]))
    const values = y.dataSync()
    const zeros = values.filter((v) => v === 0).length
    // Four standard deviations of a binomial around 30,000.
    expect(Math.abs(zeros - 30_000)).toBeLessThan(4 * Math.sqrt(100_000 * 0.3 * 0.7))
    expect(Array.from(values, Number).every((v) => v === 0 || Math.abs(v - 1 / 0.7) < 1e-6)).toBe(true)
    expect(x.grad!.dataSync()).toEqual(values)
  })

  it('does nothing in evaluation, and everything at p = 1', () => {
    const x = ones([5])
    expect(new nn.Dropout(0.5).eval().forward(x)).toBe(x)
    expect([...new nn.Dropout(1).forward(x).dataSync()]).toEqual([0, 0, 0, 0, 0])
    expect([...new nn.Dropout(0).forward(x).dataSync()]).toEqual([1, 1, 1, 1, 1])
  })

  it('follows its generator: other masks in a row, the same ones from the same seed', () => {
    const draw = (): unknown[] => {
      const layer = new nn.Dropout(0.5, { generator: new Generator(7) })
      return [layer.forward(ones([64])).dataSync(), layer.forward(ones([64])).dataSync()]
    }
    const [first, second] = draw()
    expect(first).not.toEqual(second)
    expect(draw()).toEqual([first, second])
  })
})
