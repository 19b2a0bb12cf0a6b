// Every op, called as a function with something that is no tensor: a typed error that names the op, never a TypeError of JavaScript's own.
import { describe, expect, it, test } from 'vitest'
import * as ferrograd from '../../ts/index.js'
import { FerrogradError, scope, tensor, ValueError } from '../../ts/index.js'
import * as ops from '../../ts/ops/index.js'

type AnyOp = (...args: unknown[]) => unknown
const surface = ferrograd as unknown as Record<string, AnyOp>
const names = Object.keys(ops).filter((name) => typeof (ops as Record<string, unknown>)[name] === 'function')

const x = tensor([[1, 2], [3, 4]])
const wrong: [string, unknown][] = [
  ['undefined', undefined], ['null', null], ['a number', 3], ['a string', 'a'], ['an array', [1, 2]], ['an empty array', []], ['an object', {}],
  ['something like a tensor', { shape: [2], dtype: 'float32', ndim: 1, size: 2 }], ['a function', () => x], ['a symbol', Symbol('s')], ['a date', new Date()],
]
/** Ops whose first argument is a list of tensors. */
const lists = ['concat', 'cat', 'stack', 'meshgrid']
/** What may follow. */
const rests: unknown[][] = [[], [x], [1], [x, x], [[0]], ['a']]

/** What a call throws, or its promise rejects with; undefined where it answers. */
async function failure(call: () => unknown): Promise<unknown> {
  try {
    await scope(call)
  } catch (error) {
    return error
  }
  return undefined
}

test('every op is exported as a function, under its own name', () => {
  expect(names.length).toBeGreaterThan(200)
  expect(names.filter((name) => typeof surface[name] !== 'function')).toEqual([])
  // Those of the pointwise tables as they are: nothing is put before them.
  for (const name of ['add', 'mul', 'relu', 'exp', 'gt']) expect(surface[name]).toBe((ops as unknown as Record<string, AnyOp>)[name])
  for (const name of ['softmax', 'concat', 'einsum', 'var']) expect(surface[name]!.name).toBe(name)
})

describe('a wrong first argument', () => {
  // Names of ops that are another one: what they say is its.
  const alias: Record<string, string> = { subtract: 'sub', multiply: 'mul', divide: 'div', trueDivide: 'div' }

  it.each(names)('of %s', async (name) => {
    for (const [what, value] of wrong) {
      for (const rest of rests) {
        // An empty list of tensors is one.
        if (lists.includes(name) && what === 'an empty array') continue
        const error = await failure(() => surface[name]!(value, ...rest))
        expect(error, `${name}(${what}, ...${rest.length})`).toBeInstanceOf(FerrogradError)
        expect((error as FerrogradError).message, `${name}(${what})`).toMatch(new RegExp(`^${alias[name] ?? name}\\b`))
      }
    }
  })
})

describe('a wrong second argument', () => {
  it.each(names)('of %s', async (name) => {
    const first = lists.includes(name) ? [x, x] : name === 'einsum' ? 'ij,jk->ik' : x
    for (const [what, value] of wrong) {
      for (const rest of [[], [x], [1]]) {
        // Many take it for an option, or need none. What they throw is typed.
        const error = await failure(() => surface[name]!(first, value, ...rest))
        if (error !== undefined) expect(error, `${name}(x, ${what})`).toBeInstanceOf(FerrogradError)
        const asMethod = typeof first === 'object' && !Array.isArray(first) ? await failure(() => (x as unknown as Record<string, AnyOp>)[name]!(value, ...rest)) : undefined
        if (asMethod !== undefined) expect(asMethod, `x.${name}(${what})`).toBeInstanceOf(FerrogradError)
      }
    }
  })
})

test('the messages name op and argument, and the way out', () => {
  const message = (call: () => unknown): string => {
    try { call() } catch (error) { return (error as Error).message }
    return 'nothing was thrown'
  }
  const any = surface
  expect([
    () => any['matmul']!([1, 2], x),
    () => any['matmul']!(x, [1, 2]),
    () => any['softmax']!(undefined),
    () => any['concat']!([x, 3]),
    () => any['concat']!(x),
    () => any['relu']!('a'),
    () => any['add']!(3, x),
    () => any['add']!(x, 'a'),
    () => any['lerp']!(x, 3, 0.5),
    () => any['zerosLike']!(null),
    () => any['grad']!(x.sum(), 3),
  ].map(message)).toMatchInlineSnapshot(`
    [
      "matmul: a must be a tensor, got [1, 2]. Make one with tensor(...).",
      "matmul: b must be a tensor, got [1, 2]. Make one with tensor(...).",
      "softmax: x must be a tensor, got undefined. Make one with tensor(...).",
      "concat: xs[1] must be a tensor, got 3. Make one with tensor(...).",
      "concat: xs must be a list of tensors, got Tensor [2, 2].",
      "relu: x must be a tensor, got "a". Make one with tensor(...).",
      "add: a must be a tensor, got 3. Make one with tensor(...).",
      "add: b must be a tensor, got "a". Make one with tensor(...).",
      "lerp: cannot work with (Tensor [2, 2], 3, 0.5): b.sub is not a function.
      A tensor comes from tensor(...) or from ops; sizes and dims are integers, options one plain object.",
      "zerosLike: x must be a tensor, got null. Make one with tensor(...).",
      "grad: inputs must be a tensor, got 3. Make one with tensor(...).",
    ]
  `)
})

test('functions that make or pass on tensors refuse what is none', () => {
  for (const [what, value] of wrong) {
    for (const name of ['fullLike', 'zerosLike', 'onesLike', 'share', 'buffer']) {
      expect(() => surface[name]!(value, x), `${name}(${what})`).toThrow(ValueError)
    }
    // A list of no outputs has no gradient; that is said too.
    expect(() => surface['grad']!(value, x), `grad(${what})`).toThrow(FerrogradError)
    expect(() => surface['grad']!(x, value), `grad(x, ${what})`).toThrow(FerrogradError)
    if (Array.isArray(value)) continue
    for (const name of ['zeros', 'ones', 'rand', 'randn']) expect(() => surface[name]!(value), `${name}(${what})`).toThrow(ValueError)
  }
})
