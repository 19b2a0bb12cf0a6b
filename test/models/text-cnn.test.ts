import { describe, expect, it } from 'vitest'
import { compile, manualSeed, models, nn, noGrad, optim, randn, scope, ShapeError, type Tensor, tensor, ValueError } from '../../ts/index.js'
import { numbers } from '../check.js'

const ids = (rows: number[][]): Tensor => tensor(rows, { dtype: 'int32' })
const int32 = (...values: number[]): Tensor => tensor(Int32Array.from(values))
const small = { vocabulary: 20, embedding: 4, filters: 3, outputs: 2 } as const

it('has as many parameters as its layers', () => {
  const count = (options?: models.TextCnnOptions): number => models.textCnn(options).parameters().reduce((sum, { size }) => sum + size, 0)
  expect(count()).toBe(20_000 * 128 + 100 * ((3 + 4 + 5) * 128 + 3) + 300 * 2 + 2)
  expect(count({ ...small, vectors: 'both', widths: [2, 7] })).toBe(2 * 20 * 4 + 3 * ((2 + 7) * 4 + 2) + 6 * 2 + 2)
})

it('reads a text up to its length, and no further: the batch does not matter', () => {
  scope(() => {
    const model = models.textCnn(small).eval()
    // A bias above 0 is what windows of padding alone would win with.
    noGrad(() => model.convs.forEach(({ bias }) => bias!.fill_(1)))
    const short = numbers(model.forward(ids([[5, 7]])))
    expect(numbers(model.forward({ ids: ids([[5, 7, 0, 0, 0, 0, 0, 0]]), lengths: int32(2) }))).toEqual(short)
    const both = model.forward({ ids: ids([[5, 7, 0, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7, 8]]), lengths: int32(2, 8) })
    numbers(both.select(0, 0)).forEach((v, i) => expect(v).toBeCloseTo(short[i]!, 5))
  })
})

it('does not look behind a text: other words there change neither logits nor gradients', () => {
  scope(() => {
    const model = models.textCnn({ ...small, vectors: 'both', dropout: 0 })
    const read = (rows: number[][]): { logits: number[]; gradients: number[][] } => {
      const logits = model.forward({ ids: ids(rows), lengths: int32(3, 0) })
      model.zeroGrad()
      nn.crossEntropy(logits, int32(1, 0)).backward()
      return { logits: numbers(logits), gradients: model.parameters().flatMap(({ grad }) => (grad === null ? [] : [numbers(grad)])) }
    }
    const padded = read([[3, 4, 5, 0, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0, 0, 0]])
    expect(padded.gradients.length).toBeGreaterThan(8)
    expect(read([[3, 4, 5, 9, 12, 4, 7, 8], [1, 2, 3, 4, 5, 6, 7, 8]])).toEqual(padded)
    // Not even whether there is such a word.
    expect(read([[3, 4, 5, 99, -1, 0, 0, 0], [99, 0, 0, 0, 0, 0, 0, 0]])).toEqual(padded)
  })
})

it('refuses other inputs than it reads', () => {
  const model = models.textCnn(small)
  expect(() => model.forward({ ids: ids([[1]]), mask: ids([[1]]) } as never)).toThrow(/^textCnn: there is no input 'mask'\.\n {2}There are ids, lengths\./)
  expect(() => model.forward([[1]] as never)).toThrow(ValueError)
})

it('refuses lengths that are none of its texts', async () => {
  const model = models.textCnn(small).eval()
  const two = ids([[1, 2, 3], [4, 5, 0]])
  expect(() => model.forward({ ids: two, lengths: int32(3) })).toThrow(/^textCnn: lengths must be int32 \[N\] = \[2\], got int32 \[1\]/)
  expect(() => model.forward({ ids: two, lengths: tensor([3, 2]) })).toThrow(/got float32 \[2\]/)
  for (const bad of [-1, 4]) await expect(model.forward({ ids: two, lengths: int32(3, bad) }).data()).rejects.toThrow(`length ${bad} of row 1 does not fit`)
})

describe('vectors', () => {
  const given = (): Tensor => {
    // Some draws leave a word without a filter that it is the largest of.
    manualSeed(1)
    return randn([20, 4])
  }
  const trained = (model: models.TextCnn): models.TextCnn => {
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.5 })
    scope(() => nn.crossEntropy(model.forward(ids([[5, 7, 9, 3]])), int32(1)).backward())
    optimizer.step()
    return model
  }
  it.each([['static', false], ['tuned', true]] as const)('%s ones change in training: %s', (vectors, change) => {
    const embeddings = given()
    const { embedding, fixed } = trained(models.textCnn({ embeddings, vectors, filters: 3 }))
    const table = (embedding ?? fixed)!
    expect([embedding, fixed].indexOf(null)).toBe(change ? 1 : 0)
    const row = (t: Tensor, i: number): number[] => numbers(t.select(0, i))
    expect(row(table.weight, 0)).toEqual([0, 0, 0, 0])
    expect(row(table.weight, 4)).toEqual(row(embeddings, 4))
    if (change) expect(row(table.weight, 7)).not.toEqual(row(embeddings, 7))
    else expect(row(table.weight, 7)).toEqual(row(embeddings, 7))
  })
  it("both: a filter sees the sum, and one half changes", () => {
    const embeddings = given()
    const { embedding, fixed, config } = trained(models.textCnn({ embeddings, vectors: 'both', filters: 3 }))
    expect(numbers(fixed!.weight.select(0, 7))).toEqual(numbers(embeddings.select(0, 7)))
    expect(numbers(embedding!.weight.select(0, 7))).not.toEqual(numbers(embeddings.select(0, 7)))
    expect(config).toMatchObject({ vocabulary: 20, embedding: 4, vectors: 'both' })
    expect(models.textCnn(config).config).toEqual(config)
  })
})

it('rows of the head keep to maxNorm when a training step reads them, and count as if they did in evaluation', () => {
  scope(() => {
    const model = models.textCnn({ ...small, dropout: 0, maxNorm: 2 })
    const norms = (): number[] => numbers(model.head.weight.norm(2, [1]))
    noGrad(() => model.head.weight.assign_(model.head.weight.mul(tensor([[100], [0.01]]))))
    const [long, short] = norms() as [number, number]
    const x = ids([[5, 7, 9, 3]])
    const evaluated = numbers(model.eval().forward(x))
    expect(norms()).toEqual([long, short])
    expect(numbers(model.train().forward(x))).toEqual(evaluated)
    expect(norms()[0]).toBeCloseTo(2, 5)
    expect(norms()[1]).toBe(short)
    const free = models.textCnn({ ...small, maxNorm: Infinity })
    noGrad(() => free.head.weight.fill_(9))
    free.forward(x)
    expect(numbers(free.head.weight)).toEqual(Array.from({ length: 18 }, () => 9))
  })
})

it('a captured step leaves the same bits as an eager one', () => {
  const run = (captured: boolean): number[] => {
    manualSeed(3)
    const model = models.textCnn({ ...small, maxNorm: 0.3 })
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 })
    const body = (x: Tensor, lengths: Tensor, y: Tensor): Tensor => {
      const loss = nn.crossEntropy(model.forward({ ids: x, lengths }), y)
      loss.backward()
      optimizer.step()
      optimizer.zeroGrad()
      return loss.detach()
    }
    const step = captured ? compile(body) : body
    const losses = [0, 1, 2, 3].map((i) => scope(() => step(ids([[5, 7, 9 + i, 3], [2 + i, 4, 0, 0]]), int32(4, 2), int32(i % 2, 1)).itemSync()))
    return [...losses, ...model.parameters().flatMap((p) => numbers(p))]
  }
  expect(run(true)).toEqual(run(false))
})

it.each<[models.TextCnnOptions, RegExp]>([
  [{ filters: 0 }, /textCnn: filters must be a positive integer/],
  [{ widths: [] }, /textCnn: widths is a list of numbers of words/],
  [{ widths: [3, 0] }, /textCnn: widths\[1\] must be a positive integer/],
  [{ dropout: 2 }, /textCnn: dropout must be a number from 0 to 1/],
  [{ maxNorm: 0 }, /textCnn: maxNorm is a positive number, or Infinity/],
  [{ vectors: 'frozen' as 'static' }, /textCnn: vectors is 'static', 'tuned' or 'both', got 'frozen'/],
  [{ embeddings: [[1]] as unknown as Tensor }, /textCnn: embeddings is a tensor/],
])('refuses %o', (options, message) => {
  expect(() => models.textCnn(options)).toThrow(ValueError)
  expect(() => models.textCnn(options)).toThrow(message)
})

it('refuses a table of other sizes', () => {
  expect(() => models.textCnn({ vocabulary: 30, embeddings: randn([20, 4]) })).toThrow(ShapeError)
  expect(() => models.textCnn({ embeddings: randn([20]) })).toThrow(/embeddings must be \[vocabulary, embedding\], got \[20\]/)
})
