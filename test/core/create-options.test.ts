// What functions that make tensors refuse, and what reading refuses, instead of changing values in silence.
import { describe, expect, it, test } from 'vitest'
import {
  arange, DTypeError, eye, full, fullLike, linspace, ones, onesLike, rand, randint, randn, randperm, ShapeError, tensor, ValueError, zeros, zerosLike,
} from '../../ts/index.js'

const x = tensor([1, 2])
const makers: Record<string, (options: any) => unknown> = {
  tensor: (options) => tensor([1.5], options),
  full: (options) => full([2], 1, options),
  zeros: (options) => zeros([2], options),
  ones: (options) => ones([2], options),
  fullLike: (options) => fullLike(x, 1, options),
  zerosLike: (options) => zerosLike(x, options),
  onesLike: (options) => onesLike(x, options),
  arange: (options) => arange(0, 3, 1, options),
  linspace: (options) => linspace(0, 1, 3, options),
  eye: (options) => eye(2, 2, options),
  rand: (options) => rand([2], options),
  randn: (options) => randn([2], options),
  randint: (options) => randint(0, 2, [2], options),
  randperm: (options) => randperm(3, options),
}
describe.each(Object.entries(makers))('%s', (name, make) => {
  it('refuses an option that there is not, and what is no object', () => {
    expect(() => make({ dytpe: 'float64' })).toThrow(new RegExp(`^${name}: there is no option 'dytpe'. Did you mean 'dtype'\\?`))
    expect(() => make('float64')).toThrow(new RegExp(`^${name}: takes its options as one object`))
  })
  it('names itself where the dtype is none', () => {
    for (const dtype of ['flot32', 'constructor', 'toString']) {
      expect(() => make({ dtype })).toThrow(DTypeError)
      expect(() => make({ dtype })).toThrow(new RegExp(`^${name}: no dtype is called ${dtype}\\. The dtypes are`))
    }
  })
  it('takes what there is', () => {
    expect(make({ dtype: 'float64', device: 'cpu', requiresGrad: false })).toMatchObject({ dtype: 'float64' })
  })
})

test('sizes one after another, and a size that is none: the function called is named', () => {
  for (const [name, make] of Object.entries({ zeros, ones, rand, randn } as Record<string, (...args: any[]) => unknown>)) {
    expect(() => make(2, 3)).toThrow(new RegExp(`^${name}: takes the sizes as one array, as in ${name}\\(\\[2, 3\\]\\), got 2`))
    for (const size of [-1, 1.5, NaN, '2']) expect(() => make([size])).toThrow(ShapeError)
    expect(() => make([-1])).toThrow(new RegExp(`^${name}: the shape \\[-1\\]`))
  }
  expect(() => (arange as any)(0, 3, { dtype: 'int64' })).toThrow(/^arange: start, stop and step are numbers, options come after them/)
  expect(() => (full as any)([2], '1')).toThrow(/^full: the value is a number/)
})

test('as a callback of lists', () => {
  expect([x, x].map(zerosLike as (x: any) => any).map((y) => y.shape)).toEqual([[2], [2]])
})

describe('a value that an integer dtype does not hold', () => {
  const wrong: [string, () => unknown, RegExp][] = [
    ['too large', () => tensor([1, 300], { dtype: 'uint8' }), /^tensor: the value 300 at \[1\] does not fit uint8, which holds 0 to 255/],
    ['too small, nested', () => tensor([[1, 2], [3, -1]], { dtype: 'uint8' }), /^tensor: the value -1 at \[1, 1\] does not fit uint8/],
    ['int8', () => tensor([-129], { dtype: 'int8' }), /which holds -128 to 127/],
    ['int32', () => tensor([2 ** 31], { dtype: 'int32' }), /the value 2147483648 at \[0\] does not fit int32/],
    ['a fraction', () => tensor([1.5], { dtype: 'int32' }), /^tensor: the value 1.5 at \[0\] is no int32/],
    ['NaN', () => tensor([NaN], { dtype: 'int64' }), /the value NaN at \[0\] is no int64/],
    ['a number that is not exact', () => tensor([2 ** 53], { dtype: 'int64' }), /is not exact as a number \(write it as a bigint\)/],
    ['a bigint beyond int64', () => tensor([2n ** 63n]), /does not fit int64/],
    ['a bigint beyond int32', () => tensor([2n ** 40n], { dtype: 'int32' }), /does not fit int32/],
    ['in a typed array', () => tensor(Int32Array.of(1, 300), { dtype: 'uint8' }), /the value 300 at \[1\] does not fit uint8/],
    ['a fraction in a typed array', () => tensor(Float32Array.of(0.5), { dtype: 'int32' }), /the value 0.5 at \[0\] is no int32/],
    ['of full', () => full([2], 256, { dtype: 'uint8' }), /^full: the value 256 does not fit uint8/],
    ['of fullLike', () => fullLike(tensor([1], { dtype: 'int32' }), 0.5), /^fullLike: the value 0.5 is no int32/],
    ['of arange', () => arange(0, 300, 1, { dtype: 'uint8' }), /^arange: the value 299 does not fit uint8/],
  ]
  it.each(wrong)('%s', (_, make, message) => {
    expect(make).toThrow(ValueError)
    expect(make).toThrow(message)
  })
  it('the ends of each range fit', async () => {
    expect(await tensor([0, 255], { dtype: 'uint8' }).tolist()).toEqual([0, 255])
    expect(await tensor([-128, 127], { dtype: 'int8' }).tolist()).toEqual([-128, 127])
    expect(await tensor([-(2 ** 31), 2 ** 31 - 1], { dtype: 'int32' }).tolist()).toEqual([-(2 ** 31), 2 ** 31 - 1])
    expect([...await tensor([-(2n ** 63n), 2n ** 63n - 1n]).data() as BigInt64Array]).toEqual([-(2n ** 63n), 2n ** 63n - 1n])
    expect(await tensor([5, 0.5], { dtype: 'bool' }).tolist()).toEqual([true, true])
  })
})

test('an int64 that no number holds is not read as one', async () => {
  const large = tensor([9007199254740993n])
  await expect(large.item()).rejects.toThrow(/^item: the int64 value 9007199254740993 is larger than any exact number\. Read data\(\)/)
  await expect(large.tolist()).rejects.toThrow(ValueError)
  expect(() => large.itemSync()).toThrow(ValueError)
  expect([...await large.data() as BigInt64Array]).toEqual([9007199254740993n])
  expect(await tensor([9007199254740991n, -9007199254740991n]).tolist()).toEqual([9007199254740991, -9007199254740991])
})
