import { describe, expect, test } from 'vitest'
import {
  arange,
  type DType,
  eye,
  full,
  fullLike,
  Generator,
  linspace,
  manualSeed,
  ones,
  onesLike,
  rand,
  randint,
  randn,
  randperm,
  stack,
  tensor,
  zeros,
  zerosLike,
} from '../ts/index.js'
import { numbers } from './check.js'

describe('tensor', () => {
  test('typed arrays say their dtype and are copied', () => {
    const values = Float32Array.of(1, 2, 3, 4)
    const x = tensor(values, { shape: [2, 2] })
    values[0] = 9
    expect([x.dtype, x.shape, numbers(x)]).toEqual(['float32', [2, 2], [1, 2, 3, 4]])
    const kinds: [Parameters<typeof tensor>[0], DType][] = [
      [new Float64Array(1), 'float64'],
      [new Int32Array(1), 'int32'],
      [new BigInt64Array(1), 'int64'],
      [new Uint8Array(1), 'uint8'],
      [new Uint8ClampedArray(1), 'uint8'],
      [new Int8Array(1), 'int8'],
    ]
    expect(kinds.map(([data]) => tensor(data).dtype)).toEqual(kinds.map(([, dtype]) => dtype))
    expect(numbers(tensor(new Float32Array([0, 1, 2, 3]).subarray(1, 3)))).toEqual([1, 2])
  })
  test('nested arrays say their shape; numbers are float32, booleans bool, bigints int64', () => {
    expect([
      tensor([
        [1, 2, 3],
        [4, 5, 6],
      ]).shape,
      tensor(5).shape,
      tensor([]).shape,
      tensor([[], []]).shape,
    ]).toEqual([[2, 3], [], [0], [2, 0]])
    expect([tensor([1]).dtype, tensor([true]).dtype, tensor([1n]).dtype, tensor(true).dtype]).toEqual(['float32', 'bool', 'int64', 'bool'])
    expect(tensor([2n ** 60n]).dataSync()[0]).toBe(2n ** 60n)
  })
  test.each(['float32', 'float64', 'bfloat16', 'float16', 'int64', 'int32', 'uint8', 'int8', 'bool'] as const)('as %s', async (dtype) => {
    const x = tensor(
      [
        [0, 1],
        [1, 0],
      ],
      { dtype },
    )
    expect([x.dtype, await x.tolist()]).toEqual([
      dtype,
      dtype === 'bool'
        ? [
            [false, true],
            [true, false],
          ]
        : [
            [0, 1],
            [1, 0],
          ],
    ])
    expect(tensor(Float64Array.of(0, 1), { dtype }).dtype).toBe(dtype)
  })
  test('any byte but 0 is true', () => {
    expect(numbers(tensor(Uint8Array.of(0, 1, 7), { dtype: 'bool' }))).toEqual([0, 1, 1])
  })
  test('a leaf that requires gradients, also after a cast', () => {
    const x = tensor([1, 2], { dtype: 'bfloat16', requiresGrad: true })
    expect([x.requiresGrad, x.isLeaf]).toEqual([true, true])
    x.sum().backward()
    expect(x.grad!.dtype).toBe('bfloat16')
  })
  test('messages', () => {
    expect(() => tensor([[1, 2], [3]])).toThrowErrorMatchingInlineSnapshot(
      `[ShapeError: tensor: nested arrays must all have one length a level; the first ones say [2, 2].]`,
    )
    expect(() => tensor([1, [2]] as never)).toThrowErrorMatchingInlineSnapshot(
      `[ShapeError: tensor: nested arrays must all have one length a level; the first ones say [2].]`,
    )
    expect(() => tensor([1, 2, 3], { shape: [2, 2] })).toThrowErrorMatchingInlineSnapshot(
      `[ShapeError: tensor: 3 values do not fill the shape [2, 2].]`,
    )
    expect(() => tensor([1, true] as never)).toThrowErrorMatchingInlineSnapshot(
      `[ValueError: tensor: numbers, booleans and bigints do not mix in one tensor.]`,
    )
    expect(() => tensor([1.5], { dtype: 'int32' })).toThrowErrorMatchingInlineSnapshot(
      `
      [ValueError: tensor: the value 1.5 at [0] is no int32.
        Round or clamp the values first, or choose another dtype.]
    `,
    )
    expect(() => tensor([NaN], { dtype: 'uint8' })).toThrowErrorMatchingInlineSnapshot(
      `
      [ValueError: tensor: the value NaN at [0] is no uint8.
        Round or clamp the values first, or choose another dtype.]
    `,
    )
    expect(() => tensor('1' as never)).toThrowErrorMatchingInlineSnapshot(
      `[ValueError: tensor: takes numbers, booleans, bigints, arrays of them and typed arrays, got string.]`,
    )
    expect(() => tensor(new Uint16Array(2) as never)).toThrowErrorMatchingInlineSnapshot(
      `[DTypeError: tensor: a Uint16Array has no dtype here. Use Float32Array, Float64Array, Int32Array, BigInt64Array, Uint8Array or Int8Array.]`,
    )
    expect(() => tensor([1], { dtype: 'float' as 'float32' })).toThrowErrorMatchingInlineSnapshot(
      `[DTypeError: tensor: no dtype is called float. Did you mean 'float32'? The dtypes are float32, float64, bfloat16, float16, int64, int32, uint8, int8, bool.]`,
    )
    expect(() => tensor([1], { dtype: 'int32', requiresGrad: true })).toThrowErrorMatchingInlineSnapshot(
      `[DTypeError: requiresGrad: only floating dtypes have gradients, this is int32. Convert it with .to('float32').]`,
    )
    expect(() => tensor([1], { device: 'tpu' })).toThrowErrorMatchingInlineSnapshot(
      `[DeviceError: there is no device "tpu". The devices are cpu, meta and cuda:0.]`,
    )
  })
})

describe('what tensor does not take', () => {
  const rows = [new Float32Array(2), new Float32Array(2)]
  const wrong = (data: unknown) => (): unknown => tensor(data as number[])

  test('says how tensors and typed arrays are joined', () => {
    expect(wrong([tensor([1]), tensor([2])])).toThrow(/got Tensor \[1\]\.\n  Join tensors with stack\(\[a, b\]\)/)
    expect(wrong(tensor([1]))).toThrow(/got Tensor \[1\]\.\n  Copy a tensor with x\.clone\(\)/)
    expect(wrong(rows)).toThrow(/got Float32Array\.\n  Join typed arrays with stack\(rows\.map\(\(row\) => tensor\(row\)\)\)/)
    expect(stack(rows.map((row) => tensor(row))).shape).toEqual([2, 2])
    expect(wrong({ a: 1 })).toThrow(/got Object\.$/)
    expect(wrong(null)).toThrow(/got null\.$/)
  })

  test('an array that was given away has nothing left', () => {
    const given = new Float32Array([1, 2])
    structuredClone(given, { transfer: [given.buffer] })
    expect(wrong(given)).toThrowErrorMatchingInlineSnapshot(`
      [ValueError: tensor: the Float32Array has no memory any more: it was given away, to tensor(..., { transfer: true }) or to a worker.
        Give a copy away instead: values.slice().]
    `)
    expect(tensor(new Float32Array(0)).shape).toEqual([0])
  })

  test('a size that is too large is called that', () => {
    expect(() => zeros([2e11])).toThrow(/^zeros: the shape \[200000000000\] has a size above 2147483647, the largest there is/)
    expect(() => zeros([1.5])).toThrow(/no whole number of at least 0/)
  })
})

describe('constants', () => {
  const all = numbers
  test('zeros, ones, full and their likes', () => {
    expect([all(zeros([2])), all(ones([2])), all(full([2, 1], 7)), all(zeros([0, 3]))]).toEqual([[0, 0], [1, 1], [7, 7], []])
    const x = zeros([2], { dtype: 'int32' })
    expect([zerosLike(x).dtype, onesLike(x).dtype, all(fullLike(x, 3)), onesLike(x, { dtype: 'float64' }).dtype]).toEqual([
      'int32',
      'int32',
      [3, 3],
      'float64',
    ])
    expect([full([2], true).dtype, all(full([2], true)), full([1], false).dtype, full([1], true, { dtype: 'int32' }).dtype]).toEqual(['bool', [1, 1], 'bool', 'int32'])
    expect(fullLike(x, true as never).dtype).toBe('int32')
    for (const dtype of ['float32', 'float64', 'bfloat16', 'float16', 'int64', 'int32', 'uint8', 'int8', 'bool'] as const)
      expect(all(ones([3], { dtype }))).toEqual([1, 1, 1])
  })
  test('arange, linspace, eye', () => {
    expect([all(arange(4)), all(arange(1, 4)), all(arange(0, 1, 0.25)), all(arange(5, 0, -2)), all(arange(3, 3))]).toEqual([
      [0, 1, 2, 3],
      [1, 2, 3],
      [0, 0.25, 0.5, 0.75],
      [5, 3, 1],
      [],
    ])
    expect([arange(3).dtype, arange(0, 1, 0.5).dtype, arange(0, 3, 1, { dtype: 'float64' }).dtype]).toEqual(['int32', 'float32', 'float64'])
    expect([all(linspace(0, 1, 5)), all(linspace(2, 3, 1)), all(linspace(0, 1, 0))]).toEqual([[0, 0.25, 0.5, 0.75, 1], [2], []])
    expect([all(eye(2)), eye(2, 3).shape, all(eye(2, 3))]).toEqual([
      [1, 0, 0, 1],
      [2, 3],
      [1, 0, 0, 0, 1, 0],
    ])
  })
  test('the meta device has shapes only', async () => {
    const x = zeros([1000, 1000, 1000], { device: 'meta' })
    expect([x.device, x.shape, x.exp().sum([0]).shape]).toEqual(['meta', [1000, 1000, 1000], [1000, 1000]])
    expect([randn([2], { device: 'meta' }).device, tensor([1], { device: 'meta' }).device]).toEqual(['meta', 'meta'])
    expect(() => x.dataSync()).toThrowErrorMatchingInlineSnapshot(
      `[DeviceError: dataSync: a tensor on the meta device has a shape but no values. Run the model on the cpu.]`,
    )
  })
  test('messages', () => {
    expect(() => zeros([-1])).toThrowErrorMatchingInlineSnapshot(`[ShapeError: zeros: the shape [-1] has a size that is no whole number of at least 0.]`)
    for (const [name, make] of Object.entries({ zeros, ones, rand, randn })) {
      expect(() => make(Array(9).fill(1))).toThrow(new RegExp(`^${name}: a tensor has at most 8 dimensions`))
    }
    expect(() => arange(0, 1, 0)).toThrowErrorMatchingInlineSnapshot(
      `[ValueError: arange: start 0, stop 1 and step 0 must be finite, and the step not 0.]`,
    )
    expect(() => linspace(0, 1, -1)).toThrowErrorMatchingInlineSnapshot(`[ValueError: linspace: the count is a whole number, got -1.]`)
    expect(() => zeros([1], { dtype: 'float' as 'float32' })).toThrowErrorMatchingInlineSnapshot(
      `[DTypeError: zeros: no dtype is called float. Did you mean 'float32'? The dtypes are float32, float64, bfloat16, float16, int64, int32, uint8, int8, bool.]`,
    )
  })
})

describe('random numbers', () => {
  const N = 200_000
  const moments = (values: ArrayLike<number | bigint>): [number, number] => {
    const list = Array.from(values, Number)
    const mean = list.reduce((a, b) => a + b, 0) / list.length
    return [mean, list.reduce((a, b) => a + (b - mean) ** 2, 0) / list.length]
  }
  test.each(['float32', 'float64'] as const)('rand and randn of %s have their moments', (dtype) => {
    const generator = new Generator(11)
    const uniform = rand([N], { generator, dtype }).dataSync()
    const normal = randn([N], { generator, dtype }).dataSync()
    const [m, v] = moments(uniform)
    const [mean, variance] = moments(normal)
    // Five standard errors.
    expect(Math.abs(m - 0.5)).toBeLessThan(5 * Math.sqrt(1 / 12 / N))
    expect(Math.abs(v - 1 / 12)).toBeLessThan(5 * Math.sqrt(1 / 180 / N))
    expect(Math.abs(mean)).toBeLessThan(5 / Math.sqrt(N))
    expect(Math.abs(variance - 1)).toBeLessThan(5 * Math.sqrt(2 / N))
    const list = Array.from(uniform, Number)
    expect([list.every((u) => u >= 0 && u < 1), Array.from(normal, Number).every(Number.isFinite)]).toEqual([true, true])
  })
  test('randint covers its range evenly, randperm is a permutation', () => {
    const draws = numbers(randint(-2, 3, [50_000], { generator: new Generator(4) }))
    for (let k = -2; k < 3; k++) expect(Math.abs(draws.filter((d) => d === k).length - 10_000)).toBeLessThan(5 * Math.sqrt(8000))
    const order = numbers(randperm(1000, { generator: new Generator(4) }))
    expect([[...order].sort((a, b) => a - b), order.every((v, i) => v === i)]).toEqual([Array.from({ length: 1000 }, (_, i) => i), false])
    expect([randint(0, 2, [1]).dtype, randperm(2).dtype, randperm(2, { dtype: 'int64' }).dtype, numbers(randperm(0))]).toEqual([
      'int32',
      'int32',
      'int64',
      [],
    ])
  })
  test('the same seed gives the same numbers, a longer draw begins with the shorter', () => {
    manualSeed(5)
    const a = [randn([7]).dataSync(), rand([3]).dataSync()]
    manualSeed(5)
    expect([randn([7]).dataSync(), rand([3]).dataSync()]).toEqual(a)
    expect(randn([7], { generator: new Generator(1) }).dataSync()).toEqual(
      randn([20], { generator: new Generator(1) })
        .dataSync()
        .slice(0, 7),
    )
    expect(randn([7], { generator: new Generator(1) }).dataSync()).not.toEqual(randn([7], { generator: new Generator(2) }).dataSync())
  })
})
