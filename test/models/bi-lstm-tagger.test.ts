import { expect, it } from 'vitest'
import { compile, ctcDecode, ctcLoss, manualSeed, models, nn, optim, rand, randint, randn, scope, type Tensor, tensor, Trainer, ValueError, zeros } from '../../ts/index.js'
import { numbers } from '../check.js'

const int32 = (...values: number[]): Tensor => tensor(Int32Array.from(values))

it('has as many parameters as its layers', () => {
  const count = (options?: models.BiLstmTaggerOptions): number => models.biLstmTagger(options).parameters().reduce((sum, { size }) => sum + size, 0)
  // With the paper's 26 features, 61 phonemes and peephole-less blocks.
  expect(count({ inputs: 26, outputs: 61 })).toBe(2 * 4 * 93 * (26 + 93 + 2) + 2 * 93 * 61 + 61)
  expect(count({ inputs: 12, hidden: 16, numLayers: 2, outputs: 9, pool: 'mean' })).toBe(2 * 4 * 16 * (12 + 16 + 2) + 2 * 4 * 16 * (32 + 16 + 2) + 32 * 9 + 9)
})

it.each(['none', 'last', 'mean', 'max'] as const)('reads a sequence up to its length, and no further: %s', (pool) => {
  scope(() => {
    const model = models.biLstmTagger({ inputs: 3, hidden: 5, outputs: 4, numLayers: 2, pool }).eval()
    const features = randn([2, 6, 3])
    const whole = model.forward({ features, lengths: int32(6, 2) })
    expect(whole.shape).toEqual(pool === 'none' ? [2, 6, 4] : [2, 4])
    const [long, short] = [model.forward(features.slice(0, 0, 1)), model.forward(features.slice(0, 1, 2).slice(1, 0, 2))]
    const row = (at: number, steps: number): Tensor => (pool === 'none' ? whole.select(0, at).slice(0, 0, steps) : whole.select(0, at))
    numbers(row(0, 6)).forEach((v, i) => expect(v).toBeCloseTo(numbers(long)[i]!, 5))
    numbers(row(1, 2)).forEach((v, i) => expect(v).toBeCloseTo(numbers(short)[i]!, 5))
    if (pool === 'none') expect(numbers(whole.select(0, 1).select(0, 5))).toEqual(numbers(model.head.bias!))
  })
})

it('drops outputs in front of the head and between layers, in training alone', () => {
  scope(() => {
    const model = models.biLstmTagger({ inputs: 3, hidden: 5, outputs: 4, dropout: 0.5 })
    const x = randn([2, 6, 3])
    expect(numbers(model.forward(x))).not.toEqual(numbers(model.forward(x)))
    model.eval()
    expect(numbers(model.forward(x))).toEqual(numbers(model.forward(x)))
  })
})

it('labels steps by what comes before and what comes after', async () => {
  manualSeed(1)
  // 1 where the step before is smaller than the step after; the ends, and what lies behind them, are not asked.
  const set = async (rows: number): Promise<{ inputs: models.SequenceInputs; labels: Tensor }> => {
    const [features, lengths] = [rand([rows, 12, 1]), Array.from({ length: rows }, (_, i) => 5 + (i % 8))]
    const x = await features.data()
    const labels = lengths.flatMap((length, n) => Array.from({ length: 12 }, (_, t) => (t === 0 || t >= length - 1 ? -100 : Number(x[n * 12 + t - 1]! < x[n * 12 + t + 1]!))))
    return { inputs: { features, lengths: int32(...lengths) }, labels: tensor(Int32Array.from(labels), { shape: [rows, 12] }) }
  }
  const model = models.biLstmTagger({ inputs: 1, hidden: 12, outputs: 2 })
  const trainer = new Trainer(model, { optimizer: new optim.Adam(model.parameters(), { lr: 0.02 }), loss: 'crossEntropy' })
  await trainer.fit(await set(600), { epochs: 12, batchSize: 32, verbose: false })
  const { inputs, labels } = await set(100)
  const [found, wanted] = [await model.eval().forward(inputs).argmax(-1).data(), await labels.data()]
  const asked = [...wanted.keys()].filter((i) => Number(wanted[i]) >= 0)
  const right = asked.filter((i) => Number(found[i]) === Number(wanted[i])).length / asked.length
  expect(right).toBeGreaterThan(0.95)
}, 60_000)

it('gives log-probabilities for CTC, in which what lies behind a sequence changes nothing', () => {
  scope(() => {
    const model = models.biLstmTagger({ inputs: 3, hidden: 5, outputs: 4, blank: 3 })
    const [features, lengths, targets] = [randn([2, 8, 3], { requiresGrad: true }), int32(8, 4), tensor([[0, 1, 1], [2, -1, -1]], { dtype: 'int32' })]
    const logProbs = model.forward({ features, lengths })
    numbers(logProbs.exp().sum([-1])).forEach((sum) => expect(sum).toBeCloseTo(1, 5))
    const [free, told] = [null, lengths].map((lengths) => ctcLoss(logProbs, targets, lengths, null, { blank: 3 }))
    expect(free!.itemSync()).toBe(told!.itemSync())
    expect(numbers(ctcDecode(logProbs, null, { blank: 3, beamWidth: 9 }).scores)).toEqual(numbers(ctcDecode(logProbs, lengths, { blank: 3, beamWidth: 9 }).scores))
    free!.backward()
    const gradient = numbers(features.grad!)
    expect(gradient.every(Number.isFinite)).toBe(true)
    expect(gradient.slice(8 * 3 + 4 * 3).every((v) => v === 0)).toBe(true)
    expect(gradient.slice(0, 8 * 3 + 4 * 3).some((v) => v === 0)).toBe(false)
  })
})

it.each(['none', 'mean', 'last', 'ctc'] as const)('a captured training step has the bits of the eager one: %s', (kind) => {
  const train = (captured: boolean): number[][] => {
    manualSeed(3)
    const options = { inputs: 3, hidden: 5, outputs: 4, numLayers: 2, dropout: 0.2, inputDropout: 0.1, recurrentDropout: 0.1 }
    const model = models.biLstmTagger(kind === 'ctc' ? { ...options, blank: 3 } : { ...options, pool: kind })
    const optimizer = new optim.Adam(model.parameters(), { lr: 0.01 })
    const loss = kind === 'ctc' ? new nn.CTCLoss({ blank: 3 }) : new nn.CrossEntropyLoss()
    const body = (features: Tensor, lengths: Tensor, labels: Tensor): Tensor => {
      const value = loss.forward(model.forward({ features, lengths }), labels)
      value.backward()
      optimizer.step()
      optimizer.zeroGrad()
      return value.detach()
    }
    const step = captured ? compile(body) : body
    return scope(() => {
      for (const lengths of [[6, 6], [4, 6], [5, 3]]) {
        step(randn([2, 6, 3]), int32(...lengths), randint(0, 3, kind === 'none' ? [2, 6] : kind === 'ctc' ? [2, 2] : [2]).to('int32'))
      }
      return model.parameters().map(numbers)
    })
  }
  expect(train(true)).toEqual(train(false))
})

it('refuses options that make no sense', () => {
  expect(() => models.biLstmTagger({ hidden: 0 })).toThrow(ValueError)
  expect(() => models.biLstmTagger({ dropout: 2 })).toThrow(ValueError)
  expect(() => models.biLstmTagger({ pool: 'sum' as 'mean' })).toThrow("biLstmTagger: pool is 'none', 'last', 'mean' or 'max', got 'sum'.")
  expect(() => models.biLstmTagger({ blank: 10 })).toThrow('biLstmTagger: blank is one of the 10 classes, 0 to 9, got 10.')
  expect(() => models.biLstmTagger({ blank: 0, pool: 'mean' })).toThrow(/blank is for the labels of steps/)
  expect(() => models.biLstmTagger({ size: 3 } as object)).toThrow(/there is no option 'size'/)
})

it('refuses other inputs than it reads, and gives the logits of zeros for no steps', () => {
  const model = models.biLstmTagger({ inputs: 2, hidden: 3, outputs: 4, pool: 'max' }).eval()
  expect(() => model.forward({ features: zeros([1, 3, 2]), length: zeros([1]) } as never)).toThrow("biLstmTagger: there is no input 'length'. Did you mean 'lengths'?")
  expect(model.forward(zeros([1, 0, 2])).dataSync()).toEqual(model.head.bias!.dataSync())
})
