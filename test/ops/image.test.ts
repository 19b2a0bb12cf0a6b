import { describe, expect, test } from 'vitest'
import { Generator, tensor, zeros } from '../../ts/index.js'
import { augment, resize } from '../../ts/ops/image.js'
import { type Case, checkOp, numbers } from '../check.js'
import { build, get, type Nd } from '../reference.js'

/** PyTorch's rule for align_corners = false: sample at (i + 0.5) n / to - 0.5, held inside. */
function bilinear(x: Nd, h: number, w: number): Nd {
  const place = (i: number, n: number, to: number): [number, number, number] => {
    const at = Math.max(0, ((i + 0.5) * n) / to - 0.5)
    const low = Math.min(n - 1, Math.floor(at))
    return [low, Math.min(n - 1, low + 1), at - low]
  }
  return build([x.shape[0]!, h, w, x.shape[3]!], ([n, r, c, k]) => {
    const [top, bottom, fy] = place(r!, x.shape[1]!, h)
    const [left, right, fx] = place(c!, x.shape[2]!, w)
    const at = (y: number, z: number): number => get(x, [n!, y, z, k!])
    return (at(top, left) * (1 - fx) + at(top, right) * fx) * (1 - fy) + (at(bottom, left) * (1 - fx) + at(bottom, right) * fx) * fy
  })
}
const of = (shape: number[], size: [number, number], layout?: Case['layout']): Case<[number, number]> => ({
  inputs: [shape],
  args: size,
  ...(layout && { layout }),
})
checkOp<[number, number]>('resize', {
  op: ([x], [h, w]) => resize(x!, h, w),
  reference: ([x], [h, w]) => bilinear(x!, h, w),
  large: [of([4, 32, 30, 3], [47, 61])],
  cases: [
    of([1, 4, 4, 1], [8, 8]),
    of([2, 5, 3, 2], [3, 5]),
    of([1, 1, 1, 2], [3, 3]),
    of([1, 4, 4, 1], [4, 4]),
    of([1, 4, 6, 1], [1, 1]),
    of([1, 7, 5, 3], [2, 9]),
    of([2, 4, 4, 3], [3, 3], 'transposed'),
    of([1, 4, 4, 2], [6, 2], 'sliced'),
    of([0, 4, 4, 2], [2, 2]),
  ],
})

describe('augment', () => {
  const image = (): ReturnType<typeof tensor> =>
    tensor(
      Array.from({ length: 2 * 6 * 6 * 3 }, (_, i) => (i % 255) / 255),
      { shape: [2, 6, 6, 3] },
    )
  test('without options changes nothing', () => {
    expect(augment(image(), {}).dataSync()).toEqual(image().dataSync())
  })
  test('is a function of the seed', () => {
    const options = { flip: true, pad: 2, cutout: 2, brightness: 0.2, contrast: 0.2, saturation: 0.2 }
    const of = (seed: number): unknown => augment(image(), { ...options, generator: new Generator(seed) }).dataSync()
    expect(of(1)).toEqual(of(1))
    expect(of(1)).not.toEqual(of(2))
  })
  test('flips about half of the images, mirrored exactly', () => {
    const x = tensor(
      Array.from({ length: 400 * 2 }, (_, i) => i % 2),
      { shape: [400, 1, 2, 1] },
    )
    const y = numbers(augment(x, { flip: true, generator: new Generator(5) }))
    const flipped = y.filter((v, i) => i % 2 === 0 && v === 1).length
    expect(flipped).toBeGreaterThan(150)
    expect(flipped).toBeLessThan(250)
  })
  test('a cutout sets a square to 0 and keeps the rest', () => {
    const y = numbers(augment(tensor(new Float32Array(36).fill(1), { shape: [1, 6, 6, 1] }), { cutout: 2, generator: new Generator(2) }))
    const zerosCount = y.filter((v) => v === 0).length
    expect([zerosCount >= 1 && zerosCount <= 4, y.every((v) => v === 0 || v === 1)]).toEqual([true, true])
  })
  test('keeps uint8', () => {
    const y = augment(tensor(new Uint8Array(48).fill(200), { shape: [1, 4, 4, 3] }), { brightness: 0.5, generator: new Generator(2) })
    expect(y.dtype).toBe('uint8')
  })
})

test('messages', () => {
  expect(() => resize(zeros([4, 4, 1]), 2, 2)).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: resize: images must have four dimensions, N H W C.
      images [4, 4, 1] float32
      Add the missing ones with reshape, for example [1, H, W, C] for a single image.]
  `)
  expect(() => augment(zeros([4, 4, 1]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: augment: images must have four dimensions, N H W C.
      images [4, 4, 1] float32
      Add the missing ones with reshape, for example [1, H, W, C] for a single image.]
  `)
  expect(() =>
    augment(zeros([1, 4, 4, 1], { requiresGrad: true }), { flip: true })
      .sum()
      .backward(),
  ).toThrowErrorMatchingInlineSnapshot(`[NoGradientError: augment: has no gradient. Augment the data before it enters the model.]`)
})
