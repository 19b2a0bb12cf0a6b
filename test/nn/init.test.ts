import { describe, expect, it } from 'vitest'
import { Generator, ShapeError, type Tensor, ValueError, zeros } from '../../ts/index.js'
import { init, Parameter } from '../../ts/nn/index.js'

const generator = (): Generator => new Generator(11)
const weight = (...shape: number[]): Parameter => new Parameter(zeros(shape))
const valuesOf = (t: Tensor): number[] => Array.from(t.dataSync() as Float32Array)

function moments(t: Tensor): { mean: number; std: number; max: number } {
  const v = valuesOf(t)
  const mean = v.reduce((a, b) => a + b, 0) / v.length
  return { mean, std: Math.sqrt(v.reduce((a, b) => a + (b - mean) ** 2, 0) / v.length), max: v.reduce((a, b) => Math.max(a, Math.abs(b)), 0) }
}

/** Bounds of a uniform initialiser, and the standard deviation of a normal one, by PyTorch's formulas for a 200 x 300 Linear. */
const [fanIn, fanOut] = [300, 200]

describe('initialisers', () => {
  it.each([
    ['xavierUniform', (t: Parameter) => init.xavierUniform(t, { gain: 2, generator: generator() }), 2 * Math.sqrt(6 / (fanIn + fanOut))],
    ['kaimingUniform', (t: Parameter) => init.kaimingUniform(t, { generator: generator() }), Math.sqrt(6 / fanIn)],
    ['kaimingUniform a = √5', (t: Parameter) => init.kaimingUniform(t, { a: Math.sqrt(5), generator: generator() }), 1 / Math.sqrt(fanIn)],
    ['kaimingUniform fanOut', (t: Parameter) => init.kaimingUniform(t, { mode: 'fanOut', nonlinearity: 'relu', generator: generator() }), Math.sqrt(6 / fanOut)],
    ['lecunUniform', (t: Parameter) => init.lecunUniform(t, { generator: generator() }), Math.sqrt(3 / fanIn)],
    ['uniform', (t: Parameter) => init.uniform(t, -0.5, 0.5, { generator: generator() }), 0.5],
  ] as const)('%s is uniform within its bound', (_, fill, bound) => {
    const { mean, std, max } = moments(fill(weight(200, 300)))
    expect(max).toBeLessThanOrEqual(bound * (1 + 1e-6))
    expect(max).toBeGreaterThan(bound * 0.999)
    expect(std / (bound / Math.sqrt(3))).toBeCloseTo(1, 1.9)
    expect(Math.abs(mean)).toBeLessThan(bound / 50)
  })

  it.each([
    ['xavierNormal', (t: Parameter) => init.xavierNormal(t, { generator: generator() }), Math.sqrt(2 / (fanIn + fanOut))],
    ['kaimingNormal', (t: Parameter) => init.kaimingNormal(t, { generator: generator() }), Math.sqrt(2 / fanIn)],
    ['kaimingNormal tanh', (t: Parameter) => init.kaimingNormal(t, { nonlinearity: 'tanh', mode: 'fanOut', generator: generator() }), 5 / 3 / Math.sqrt(fanOut)],
    ['lecunNormal', (t: Parameter) => init.lecunNormal(t, { generator: generator() }), Math.sqrt(1 / fanIn)],
    ['normal', (t: Parameter) => init.normal(t, 0, 0.02, { generator: generator() }), 0.02],
  ] as const)('%s has its standard deviation', (_, fill, std) => {
    const found = moments(fill(weight(200, 300)))
    expect(found.std / std).toBeCloseTo(1, 1.9)
    expect(found.max).toBeGreaterThan(3.5 * std)
  })

  it('truncatedNormal stays within its bounds', () => {
    const t = init.truncatedNormal(weight(100, 100), 1, 2, 0, 2, { generator: generator() })
    expect(valuesOf(t).every((v) => v >= 0 && v <= 2)).toBe(true)
    expect(moments(t).mean).toBeCloseTo(1, 1)
  })

  it('orthogonal gives rows or columns at right angles', () => {
    for (const shape of [[4, 7], [7, 4], [5, 5], [6, 2, 2, 3]]) {
      const t = init.orthogonal(weight(...shape), { gain: 2, generator: generator() })
      const [rows, columns] = [shape[0]!, shape.slice(1).reduce((a, b) => a * b, 1)]
      const matrix = t.reshape([rows, columns])
      const product = rows <= columns ? matrix.matmul(matrix.t()) : matrix.t().matmul(matrix)
      const n = Math.min(rows, columns)
      valuesOf(product).forEach((v, i) => expect(v).toBeCloseTo(i % (n + 1) === 0 ? 4 : 0, 4))
    }
  })

  it('dirac passes the input through', () => {
    const t = init.dirac(weight(3, 3, 3, 2))
    const ones = valuesOf(t).flatMap((v, i) => (v === 1 ? [i] : []))
    // [channel, row 1, column 1, channel] for the two inputs there are.
    expect(ones).toEqual([0, 1].map((c) => ((c * 3 + 1) * 3 + 1) * 2 + c))
    expect(valuesOf(init.dirac(weight(4, 3, 1), { groups: 2 })).flatMap((v, i) => (v === 1 ? [i] : []))).toEqual([1, 7])
  })

  it('sparse empties its share of each column', () => {
    const t = init.sparse(weight(10, 6), 0.25, 1, { generator: generator() })
    const v = valuesOf(t)
    for (let column = 0; column < 6; column++) {
      expect(Array.from({ length: 10 }, (_, row) => v[row * 6 + column]!).filter((x) => x === 0)).toHaveLength(3)
    }
  })

  it('constants', () => {
    expect(valuesOf(init.constant(weight(2), 3))).toEqual([3, 3])
    expect(valuesOf(init.ones(weight(2)))).toEqual([1, 1])
    expect(valuesOf(init.zeros(init.ones(weight(2))))).toEqual([0, 0])
  })

  it('the same seed gives the same numbers, and the tensor keeps its identity', () => {
    const t = weight(3, 3)
    expect(init.normal(t, 0, 1, { generator: generator() })).toBe(t)
    expect(t.requiresGrad).toBe(true)
    expect(valuesOf(init.normal(weight(3, 3), 0, 1, { generator: generator() }))).toEqual(valuesOf(t))
  })

  it('fans are those of the layout here, [O, KH, KW, I]', () => {
    expect(init.fans(weight(8, 3, 5, 2))).toEqual({ fanIn: 30, fanOut: 120 })
    expect(() => init.fans(weight(3))).toThrow(ShapeError)
    expect(() => init.orthogonal(weight(3))).toThrow(ShapeError)
    expect(() => init.dirac(weight(3, 3))).toThrow(ShapeError)
    expect(() => init.sparse(weight(3), 0.5)).toThrow(ShapeError)
    expect(() => init.gain('gelu' as 'relu')).toThrow(ValueError)
    expect(() => init.kaimingNormal(weight(2, 2), { mode: 'avg' as 'fanIn' })).toThrow(ValueError)
    expect([init.gain('relu'), init.gain('leakyRelu', 0), init.gain('selu'), init.gain('linear')]).toEqual([Math.SQRT2, Math.SQRT2, 0.75, 1])
  })
})
