import { expect, test } from 'vitest'
import { nn, tensor } from '../../ts/index.js'

// 1 to 9 in a square.
const image = () => tensor([[[1], [2], [3]], [[4], [5], [6]], [[7], [8], [9]]], { requiresGrad: true }).unsqueeze(0)

test('divisorOverride divides the sums of windows, border included', async () => {
  const sums = new nn.AvgPool2d(2, { stride: 1, divisorOverride: 1 })
  expect(await sums.forward(image()).reshape([2, 2]).tolist()).toEqual([[12, 16], [24, 28]])
  // The border adds zeros and no share of the divisor, whatever countIncludePad says.
  for (const countIncludePad of [true, false]) {
    const padded = new nn.AvgPool2d(2, { padding: 1, divisorOverride: 2, countIncludePad })
    expect(await padded.forward(image()).reshape([2, 2]).tolist()).toEqual([[0.5, 2.5], [5.5, 14]])
  }
  const x = image().detach()
  x.requiresGrad = true
  sums.forward(x).sum().backward()
  expect(await x.grad!.reshape([3, 3]).tolist()).toEqual([[1, 2, 1], [2, 4, 2], [1, 2, 1]])
})

test('divisorOverride is a positive integer, and refuses windows that end early', () => {
  expect(() => new nn.AvgPool2d(2, { divisorOverride: 0 })).toThrow('AvgPool2d: divisorOverride must be a positive integer, not 0')
  expect(() => new nn.AvgPool2d(2, { divisorOverride: 3, ceilMode: true })).toThrow(/does not go with ceilMode/)
})
