// What ops do with options that they do not have: a misspelt one, an object where there are none, something else in its place.
import { describe, expect, it, test } from 'vitest'
import * as ferrograd from '../../ts/index.js'
import { ones, tensor, type Tensor, ValueError, zeros } from '../../ts/index.js'
import * as ops from '../../ts/ops/index.js'
import { numbers } from '../check.js'

type AnyOp = (...args: unknown[]) => unknown
const surface = ferrograd as unknown as Record<string, AnyOp>
const names = Object.keys(ops).filter((name) => typeof (ops as Record<string, unknown>)[name] === 'function')
const x = tensor([[1, 2], [3, 4]])
/** First arguments that are no tensor. */
const first: Record<string, unknown> = { concat: [x, x], cat: [x, x], stack: [x, x], meshgrid: [x, x], einsum: 'ij,jk->ik' }
const alias: Record<string, string> = { subtract: 'sub', multiply: 'mul', divide: 'div', trueDivide: 'div' }

describe('an object of no meaning is refused, as whichever argument, by', () => {
  it.each(names)('%s', async (name) => {
    for (const before of [0, 1, 2, 3]) {
      // Whatever stands before it: what is looked at first is the object.
      const args = [...Array<unknown>(before).fill(undefined), { sped: 1 }]
      const calls = [() => surface[name]!(first[name] ?? x, ...args), ...(name in first ? [] : [() => (x as unknown as Record<string, AnyOp>)[name]!(...args)])]
      for (const call of calls) {
        const error: unknown = await new Promise((resolve) => resolve(call())).then(() => null, (reason: unknown) => reason)
        expect(error, `argument ${before + 1}`).toBeInstanceOf(ferrograd.FerrogradError)
        expect((error as Error).message).toMatch(new RegExp(`^(${name}|${alias[name]}): `))
      }
    }
  })
})

const loose = x as any
const wrong: [string, () => unknown, RegExp][] = [
  ['keepDim', () => loose.sum([1], { keepDim: true }), /^sum: there is no option 'keepDim'. Did you mean 'keepdim'\?/],
  ['keepDim of argmax', () => loose.argmax(1, { keepDim: true }), /^argmax: .* Did you mean 'keepdim'\?/],
  ['keepdim by itself', () => loose.sum([1], true), /^sum: takes its options as one object, as in \{ keepdim: \.\.\. \}, got true/],
  ['options before the dims', () => loose.sum({ keepdim: true }), /^sum: cannot take the object \{ keepdim \} there\.\n {2}Options are argument 2/],
  ['reverse', () => loose.sort(1, { reverse: true }), /^sort: there is no option 'reverse'.\n {2}There is descending/],
  ['descending by itself', () => loose.sort(1, true), /^sort: takes its options as one object/],
  ['bounds as an object', () => loose.clamp({ min: 0, max: 1 }), /^clamp: cannot take the object \{ min, max \} there.\n {2}Its arguments stand one after another: clamp\(x, min, max\)/],
  ['a bound that is none', () => loose.clamp('a'), /^clamp: takes numbers, got "a"/],
  ['negativeSlope', () => loose.leakyRelu({ negativeSlope: 0.1 }), /^leakyRelu: cannot take the object \{ negativeSlope \} there.\n {2}Its arguments.*leakyRelu\(x, slope = 0?\.01\)/],
  ['a slope that is none', () => loose.leakyRelu('0.1'), /^leakyRelu: takes numbers, got "0.1"/],
  ['roundingMode', () => loose.div(2, { roundingMode: 'floor' }), /^div: cannot take the object \{ roundingMode \} there.\n.*floorDivide/],
  ['decimals', () => loose.round({ decimals: 2 }), /^round: cannot take the object \{ decimals \} there.\n.*mul\(100\)/],
  ['decimals, of the function', () => (ferrograd.round as any)(x, { decimals: 2 }), /^round: cannot take/],
  ['alpha', () => (ferrograd.add as any)(x, x, { alpha: 2 }), /^add: cannot take the object \{ alpha \} there/],
  ['a slice', () => loose.at({ strat: 1 }), /^at: there is no option 'strat'. Did you mean 'start'\?/],
  ['the class weights', () => (ferrograd.crossEntropy as any)(x, x, { wieght: x }), /^crossEntropy: .* Did you mean 'weight'\?/],
]
test.each(wrong)('%s', (_, call, message) => {
  expect(call).toThrow(ValueError)
  expect(call).toThrow(message)
})

test('what is right goes through, undefined and surplus arguments that are no options too', () => {
  const x = tensor([[1, 2], [3, 4]])
  expect(x.sum([1], { keepdim: true }).shape).toEqual([2, 1])
  expect(x.sum([1], undefined).shape).toEqual([2])
  expect(numbers(x.at({ start: 1 }))).toEqual([3, 4])
  // As lists call it: with the place and the list.
  expect([x, x].map(ferrograd.relu as (x: Tensor) => Tensor).map((y) => y.shape)).toEqual([[2, 2], [2, 2]])
  expect(numbers([x].map(ferrograd.neg as (x: Tensor) => Tensor)[0]!)).toEqual([-1, -2, -3, -4])
})

test('var and std take PyTorch\'s older word', () => {
  const y = tensor([[1, 3], [2, 8]])
  expect(numbers(y.var([1], { unbiased: false }))).toEqual(numbers(y.var([1], { correction: 0 })))
  expect(numbers(y.std([1], { unbiased: true }))).toEqual(numbers(y.std([1])))
  expect(numbers(ones([2, 3]).var([1], { unbiased: false }))).toEqual([0, 0])
  expect(() => y.var([1], { unbiased: false, correction: 1 })).toThrow(ValueError)
  expect(() => zeros([2]).var([0], { unbiassed: false } as never)).toThrow("Did you mean 'unbiased'?")
})
