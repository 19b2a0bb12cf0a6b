// The two rows that write in place, which the library uses for parameters and state.
import { expect, test } from 'vitest'
import { noGrad, share, tensor, ValueError, VersionError, zeros } from '../../ts/index.js'
import { run } from '../../ts/native/run.js'
import { numbers } from '../check.js'

const FLOATS = ['float32', 'float64', 'bfloat16', 'float16'] as const
test.each([...FLOATS, 'int64', 'int32', 'uint8', 'int8', 'bool'] as const)(
  'assign writes the source into %s, also through a view, and broadcasts it',
  (dtype) => {
    const x = zeros([2, 3], { dtype })
    run.assign(x, tensor([1, 0, 1], { dtype }))
    expect(numbers(x)).toEqual([1, 0, 1, 1, 0, 1])
    run.assign(run.select(x, 1, 1), tensor([1, 1], { dtype }))
    expect(numbers(x)).toEqual([1, 1, 1, 1, 1, 1])
    run.assign(run.permute(x, [1, 0]), zeros([3, 2], { dtype }))
    expect(numbers(x)).toEqual([0, 0, 0, 0, 0, 0])
  },
)

test.each(FLOATS)('fill writes one value into %s, also through a view', (dtype) => {
  const x = zeros([2, 3], { dtype })
  run.fill(x, 0.5)
  run.fill(run.slice(x, 1, 0, 2, 2), 2)
  expect(numbers(x)).toEqual([2, 0.5, 2, 2, 0.5, 2])
  run.fill(zeros([0], { dtype }), 1)
})

test('a large tensor, in tasks', () => {
  const x = zeros([131, 523])
  noGrad(() =>
    run.assign(
      run.permute(x, [1, 0]),
      tensor(
        Float32Array.from({ length: 131 * 523 }, (_, i) => i),
        { shape: [523, 131] },
      ),
    ),
  )
  expect([numbers(x)[1], numbers(x)[523]]).toEqual([131, 1])
})

test('a source that does not broadcast is refused and leaves the target whole', () => {
  const x = tensor([1, 2])
  expect(() => run.assign(x, zeros([3]))).toThrow(/does not broadcast/)
  expect(numbers(x)).toEqual([1, 2])
})

test('assign_, fill_ and zero_ write in place, casting', () => {
  const x = tensor([1, 2, 3])
  expect(x.assign_(tensor([4, 5, 6], { dtype: 'int32' }))).toBe(x)
  expect(numbers(x)).toEqual([4, 5, 6])
  x.at([0, 2]).fill_(7)
  expect(numbers(x)).toEqual([7, 7, 6])
  x.zero_()
  expect(numbers(x)).toEqual([0, 0, 0])
})

test('what requires a gradient is changed inside noGrad alone, by whichever alias', () => {
  const w = tensor([1, 2], { requiresGrad: true })
  for (const alias of [w, w.detach(), w.detach().at([0, 1])]) expect(() => alias.fill_(3)).toThrow(VersionError)
  const loss = w.mul(w).sum()
  noGrad(() => w.fill_(3))
  expect(numbers(w.detach())).toEqual([3, 3])
  expect(() => loss.backward()).toThrow(VersionError)
})

test('a shared tensor is frozen', () => {
  const x = tensor([1, 2])
  const { revoke } = share(x)
  expect(() => x.fill_(3)).toThrow(VersionError)
  expect(() => run.assign(x, tensor([3, 4]))).toThrow(VersionError)
  revoke()
})

test('fill_ refuses what an integer dtype does not hold, and changes nothing then', () => {
  const x = tensor([1, 2], { dtype: 'uint8' })
  for (const value of [300, -1, 0.5, NaN, Infinity]) expect(() => x.fill_(value)).toThrow(ValueError)
  expect(numbers(x)).toEqual([1, 2])
  expect(numbers(x.fill_(255))).toEqual([255, 255])
  expect(numbers(tensor([1]).fill_(NaN))).toEqual([NaN])
})
