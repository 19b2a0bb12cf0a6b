import { describe, expect, it } from 'vitest'
import { IndexError, manualSeed, models, noGrad, optim, randn, scope, tensor, type Tensor, Trainer, ValueError } from '../../ts/index.js'
import { numbers } from '../check.js'

const ids = (rows: number[][]): Tensor => tensor(rows, { dtype: 'int32' })
const count = (options?: models.CharRnnOptions): number => models.charRnn(options).parameters().reduce((sum, { size }) => sum + size, 0)

it('has as many parameters as its layers', () => {
  expect(count()).toBe(65 * 64 + 4 * 256 * (64 + 256 + 2) + 4 * 256 * (256 + 256 + 2) + 256 * 65 + 65)
  expect(count({ vocabulary: 10, embedding: 4, hidden: 6, numLayers: 1, cell: 'gru', dropout: 0.5 })).toBe(10 * 4 + 3 * 6 * (4 + 6 + 2) + 6 * 10 + 10)
})

it.each(['lstm', 'gru'] as const)('reads a text in pieces as in one: %s', (cell) => {
  scope(() => {
    const model = models.charRnn({ vocabulary: 10, embedding: 4, hidden: 6, cell })
    const whole = numbers(model.forward(ids([[3, 1, 4, 1, 5, 9]])))
    const first = model.read(ids([[3, 1]]))
    const second = model.read(ids([[4, 1, 5, 9]]), first.states)
    const pieces = [...numbers(first.logits), ...numbers(second.logits)]
    expect(pieces.length).toBe(whole.length)
    pieces.forEach((v, i) => expect(v).toBeCloseTo(whole[i]!, 5))
  })
})

describe('generate', () => {
  const prompt = [0, 1, 2]
  /** A model that has learned 0 1 2 3 4 0 1 2 3 4 ... by heart. */
  const cycle = async (): Promise<models.CharRnn> => {
    manualSeed(1)
    const model = models.charRnn({ vocabulary: 5, embedding: 8, hidden: 16, numLayers: 1, dropout: 0.1 })
    const rows = Array.from({ length: 40 }, (_, i) => Array.from({ length: 11 }, (_, t) => (i + t) % 5))
    const trainer = new Trainer(model, { optimizer: new optim.Adam(model.parameters(), { lr: 0.02 }), loss: 'crossEntropy' })
    await trainer.fit({ inputs: ids(rows.map((row) => row.slice(0, -1))), labels: ids(rows.map((row) => row.slice(1))) }, { epochs: 20, batchSize: 8, verbose: false })
    return model
  }

  it('goes on as the text that was learned', async () => {
    const model = await cycle()
    const on = [3, 4, 0, 1, 2, 3, 4, 0, 1, 2]
    expect([...(await model.generate(prompt, { length: 10, temperature: 0 }))]).toEqual(on)
    expect([...(await model.generate(prompt, { length: 10, topK: 1 }))]).toEqual(on)
    expect([...(await model.generate(prompt, { length: 10, temperature: 0.1, seed: 4 }))]).toEqual(on)
    expect(await model.generate(prompt, { length: 0 })).toEqual(new Int32Array(0))
    // It is in training still, and its own draws are as they were.
    expect(model.training).toBe(true)
  })

  it('the seed decides; characters come as often as they are likely', async () => {
    const model = models.charRnn({ vocabulary: 5, embedding: 2, hidden: 3, numLayers: 1 })
    const draw = (options: models.GenerateOptions): Promise<Int32Array> => model.generate(prompt, { length: 40, ...options })
    expect(await draw({ seed: 7 })).toEqual(await draw({ seed: 7 }))
    expect(await draw({ seed: 8 })).not.toEqual(await draw({ seed: 7 }))
    // Logits of the head's bias alone, whatever came before.
    noGrad(() => {
      model.head.weight.fill_(0)
      model.head.bias!.assign_(tensor([0.5, 0.2, 0.15, 0.1, 0.05]).log())
    })
    const share = (drawn: Int32Array, id: number): number => drawn.filter((other) => other === id).length / drawn.length
    const all = await draw({ seed: 1, length: 2000 })
    ;[0.5, 0.2, 0.15, 0.1, 0.05].forEach((p, id) => expect(Math.abs(share(all, id) - p)).toBeLessThan(4 * Math.sqrt((p * (1 - p)) / 2000)))
    const two = await draw({ seed: 1, length: 1000, topK: 2 })
    expect(new Set(two)).toEqual(new Set([0, 1]))
    expect(Math.abs(share(two, 0) - 5 / 7)).toBeLessThan(0.06)
    expect(share(await draw({ seed: 1, length: 1000, temperature: 0.5 }), 0)).toBeGreaterThan(0.7)
    expect(new Set(await draw({ seed: 1, length: 20, temperature: 1e-40 }))).toEqual(new Set(await draw({ seed: 1, length: 20, temperature: 0 })))
  })

  it('streams, and stops where its reader does', async () => {
    const model = models.charRnn({ vocabulary: 5, embedding: 2, hidden: 3 })
    const all = [...(await model.generate(prompt, { seed: 2, length: 6 }))]
    const some: number[] = []
    for await (const id of model.stream(prompt, { seed: 2 })) if (some.push(id) === 6) break
    expect(some).toEqual(all)
  })

  it('refuses what it cannot go on from', async () => {
    const model = models.charRnn({ vocabulary: 5 })
    await expect(model.generate([])).rejects.toThrow(/generate: the prompt is empty/)
    await expect(model.generate([5])).rejects.toThrow(IndexError)
    await expect(model.generate(3 as never)).rejects.toThrow('generate: the prompt is a list of ids, got 3')
    await expect(model.generate(prompt, { temperature: -1 })).rejects.toThrow(ValueError)
    await expect(model.generate(prompt, { topK: 0 })).rejects.toThrow(/topK must be a positive integer/)
    await expect(model.generate(prompt, { maxLength: 3 } as object)).rejects.toThrow(/no option 'maxLength'/)
  })
})

it('refuses what makes no sense', () => {
  expect(() => models.charRnn({ hidden: 0 })).toThrow(ValueError)
  expect(() => models.charRnn().forward({ ids: randn([1]), lengths: randn([1]) } as never)).toThrow('charRnn: reads ids alone, a tensor, got { ids, lengths }.')
  expect(() => models.charRnn({ cell: 'rnn' as 'gru' })).toThrow(/cell is 'lstm' or 'gru', got 'rnn'/)
})
