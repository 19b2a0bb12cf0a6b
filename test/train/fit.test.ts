import { describe, expect, test } from 'vitest'
import { data, nn, optim, type Tensor, tensor, train, Trainer } from '../../ts/index.js'
import { classifier, clusters, cnn, floats, hash, images, numbers, Sink, timeless } from './support.js'

const quiet = { verbose: false as const }

describe('fit', () => {
  test('learns, validates, keeps a history', async () => {
    const trainer = new Trainer(classifier(), { optimizer: 'adam', lr: 0.02, loss: 'crossEntropy', metrics: ['accuracy'] })
    const history = await trainer.fit(clusters(150), { epochs: 5, batchSize: 16, validation: 0.2, ...quiet })
    expect(history.epochs.length).toBe(5)
    expect(history.get('loss')[4]).toBeLessThan(history.get('loss')[0] as number)
    expect(history.last?.valAccuracy).toBeGreaterThan(0.95)
    expect(history.best('valLoss')?.epoch).toBeTypeOf('number')
    expect(JSON.parse(JSON.stringify(history))).toMatchObject({ stopped: null, history: { valAccuracy: expect.any(Array) as unknown[] } })
    const result = await trainer.evaluate(clusters(60))
    expect(result.accuracy).toBeGreaterThan(0.95)
    expect(result.loss).toBeLessThan(0.5)
  })

  test("asks the model's own train for the mode, and gives each module its mode back", async () => {
    class Kept extends nn.Module {
      norm = new nn.BatchNorm1d(4)
      moving = new nn.BatchNorm1d(4)
      head = new nn.Linear(4, 3)

      override train(mode = true): this {
        super.train(mode)
        this.norm.eval()
        return this
      }

      forward(x: Tensor): Tensor {
        return this.head.forward(this.moving.forward(this.norm.forward(x)))
      }
    }
    const batches = (norm: nn.BatchNorm1d): Promise<number> => norm.numBatchesTracked!.item()
    for (const compile of [true, false]) {
      const kept = new Kept()
      const model = new nn.Sequential(kept)
      const trainer = new Trainer(model, { loss: 'crossEntropy' })
      kept.moving.eval()
      const modes = (): boolean[] => model.modules().map((module) => module.training)
      const before = modes()
      await trainer.fit(clusters(32), { epochs: 2, batchSize: 16, validation: 0.5, compile, ...quiet })
      expect(modes()).toEqual(before)
      // eval() before fit keeps nothing, as before a loop of PyTorch's that calls model.train(); overriding train does.
      expect([await batches(kept.norm), await batches(kept.moving)]).toEqual([0, 2])
      expect([...await kept.norm.runningMean!.data()]).toEqual([0, 0, 0, 0])
      await trainer.evaluate(clusters(16))
      await trainer.predict(floats(clusters(16).inputs))
      expect(modes()).toEqual(before)
      expect(await batches(kept.moving)).toBe(2)
    }
  })

  test("the epoch's loss is the mean over samples, as a loop by hand gives it", async () => {
    const model = classifier()
    const { inputs, labels } = clusters(50)
    const optimizer = new optim.SGD(model.parameters(), { lr: 0 })
    const trainer = new Trainer(model, { optimizer, loss: 'crossEntropy', metrics: ['accuracy'] })
    const history = await trainer.fit({ inputs, labels }, { batchSize: 16, ...quiet })
    const expected = await nn.crossEntropy(model.forward(floats(inputs)) as Tensor, tensor(labels, { dtype: 'int32' })).item()
    expect(history.last?.loss).toBeCloseTo(expected, 6)
    expect((await trainer.evaluate({ inputs, labels })).loss).toBeCloseTo(expected, 6)
  })

  test('compiled and eager runs are bit-equal; so are two runs with one seed', async () => {
    const run = async (compile: boolean, seed: number): Promise<[string, unknown]> => {
      const model = cnn()
      const history = await new Trainer(model, { loss: 'crossEntropy', metrics: ['accuracy'] }).fit(images(45), {
        epochs: 2,
        batchSize: 8,
        seed,
        compile,
        clipValue: 0.1,
        ...quiet,
      })
      return [await hash(model.stateDict()), timeless(history)]
    }
    const expected = await run(true, 1)
    expect(await run(true, 1)).toEqual(expected)
    expect(await run(false, 1)).toEqual(expected)
    expect((await run(true, 2))[0]).not.toBe(expected[0])
  })

  test('accumulation over equal batches is the large batch', async () => {
    const run = async (batchSize: number, accumulate: number): Promise<number[]> => {
      const model = classifier()
      await new Trainer(model, { optimizer: 'sgd', lr: 0.1, loss: 'crossEntropy' }).fit(clusters(48), {
        epochs: 2,
        batchSize,
        accumulate,
        shuffle: false,
        ...quiet,
      })
      return numbers(model.parameters()[0] as Tensor)
    }
    const [large, small] = [await run(16, 1), await run(4, 4)]
    small.forEach((value, i) => expect(value).toBeCloseTo(large[i] as number, 5))
  })

  test('GD takes all samples in one step', async () => {
    const steps: number[] = []
    const model = classifier()
    await new Trainer(model, { optimizer: 'gd', loss: 'crossEntropy' }).fit(clusters(50), {
      epochs: 3,
      ...quiet,
      callbacks: [
        {
          onBatchEnd: (_, { size }) => {
            steps.push(size)
          },
        },
      ],
    })
    expect(steps).toEqual([50, 50, 50])
  })

  test('modes are as they were, during and after', async () => {
    const model = classifier(0.5)
    const dropout = [...model.modules()].find((module) => module instanceof nn.Dropout) as nn.Dropout
    model.eval()
    const seen: boolean[] = []
    await new Trainer(model, { loss: 'crossEntropy' }).fit(clusters(12), {
      ...quiet,
      validation: clusters(6),
      callbacks: [
        {
          onBatchEnd: () => {
            seen.push(dropout.training)
          },
        },
      ],
    })
    expect(seen).toEqual([false])
    expect(dropout.training).toBe(false)
    dropout.training = true
    await new Trainer(model, { loss: 'crossEntropy' }).evaluate(clusters(12))
    expect([model.training, dropout.training]).toEqual([false, true])
  })

  test('a second fit on the model throws; afterwards another may', async () => {
    const model = classifier()
    const first = new Trainer(model, { loss: 'crossEntropy' }).fit(clusters(60), { epochs: 3, ...quiet })
    await expect(new Trainer(model, { loss: 'crossEntropy' }).fit(clusters(60), quiet)).rejects.toThrow(/being trained already/)
    await first
    await new Trainer(model, { loss: 'crossEntropy' }).fit(clusters(12), quiet)
  })

  test('takes data in every form', async () => {
    const { inputs, labels } = clusters(24)
    const batches = [{ inputs: floats(inputs), labels: tensor(labels, { dtype: 'int32' }) }]
    const forms: train.TrainingData[] = [
      { inputs, labels },
      [inputs, labels] as never,
      data.dataset({ inputs, labels }),
      new data.DataLoader({ inputs, labels }, { batchSize: 5 }),
      { length: 24, get: (i: number) => ({ inputs: inputs[i], labels: labels[i] }) },
      {
        async *[Symbol.asyncIterator]() {
          for (const { inputs, labels } of batches) yield { inputs: inputs.clone(), labels: labels.clone() }
        },
      },
    ]
    for (const form of forms) {
      const trainer = new Trainer(classifier(), { loss: 'crossEntropy' })
      const history = await trainer.fit(form, { epochs: 2, shuffle: false, ...quiet })
      expect(history.epochs.length).toBe(2)
      expect((await trainer.evaluate(form)).loss).toBeGreaterThan(0)
    }
  })

  test('a stream of unknown length steps with what is left at its end', async () => {
    const { inputs, labels } = clusters(20)
    const stream: AsyncIterable<data.Batch> = {
      async *[Symbol.asyncIterator]() {
        for (let at = 0; at < 20; at += 4)
          yield { inputs: floats(inputs.slice(at, at + 4)), labels: tensor(labels.slice(at, at + 4), { dtype: 'int32' }) }
      },
    }
    let steps = 0
    const model = classifier()
    await new Trainer(model, { loss: 'crossEntropy' }).fit(stream, {
      accumulate: 2,
      epochs: 2,
      shuffle: false,
      ...quiet,
      callbacks: [
        {
          onEpochEnd: ({ step }) => {
            steps = step
          },
        },
      ],
    })
    expect(steps).toBe(6)
    expect(model.parameters().every(({ grad }) => grad === null)).toBe(true)
  })

  test('inputs as a record reach the model as one', async () => {
    class Pair extends nn.Module {
      left = new nn.Linear(4, 3)
      right = new nn.Linear(2, 3)
      forward({ a, b }: { a: Tensor; b: Tensor }): Tensor {
        return this.left.forward(a).add(this.right.forward(b))
      }
    }
    const { inputs, labels } = clusters(30)
    const record = { a: inputs, b: inputs.map((row) => row.slice(2)) }
    const trainer = new Trainer(new Pair(), { optimizer: 'adam', lr: 0.05, loss: 'crossEntropy', metrics: ['accuracy'] })
    const history = await trainer.fit({ inputs: record, labels }, { epochs: 10, batchSize: 8, ...quiet })
    expect(history.last?.accuracy).toBeGreaterThan(0.9)
    expect(await trainer.predictClasses({ a: floats(record.a), b: floats(record.b) })).toEqual(labels)
  })

  test('lazy layers get their size from the data', async () => {
    const model = new nn.Sequential(new nn.Flatten(), new nn.LazyLinear(2))
    const history = await new Trainer(model, { loss: 'crossEntropy' }).fit(images(12), { ...quiet })
    expect(history.last?.loss).toBeGreaterThan(0)
    expect(model.parameters()[0]?.shape).toEqual([2, 64])
  })

  test('each schedule moves as its class does by hand', async () => {
    const factories: [optim.ScheduleFactory, (o: optim.Optimizer) => optim.Schedule][] = [
      [optim.stepLR({ stepSize: 1, gamma: 0.5 }), (o) => new optim.StepLR(o, { stepSize: 1, gamma: 0.5 })],
      [optim.multiStepLR({ milestones: [1] }), (o) => new optim.MultiStepLR(o, { milestones: [1] })],
      [optim.lambdaLR((t) => 1 / (1 + t), { interval: 'step' }), (o) => new optim.LambdaLR(o, (t) => 1 / (1 + t), { interval: 'step' })],
      [optim.cosineAnnealingLR(), (o) => new optim.CosineAnnealingLR(o, { tMax: 12, interval: 'step' })],
      [optim.cosineAnnealingLR({ tMax: 2 }), (o) => new optim.CosineAnnealingLR(o, { tMax: 2 })],
      [optim.linear(), (o) => new optim.LinearLR(o, { startFactor: 1, endFactor: 0, totalIters: 12, interval: 'step' })],
      [optim.linearWarmup(0.25), (o) => new optim.LinearWarmup(o, { totalSteps: 12, warmup: 3 })],
      [optim.cosineWarmup(0.25), (o) => new optim.CosineWarmup(o, { totalSteps: 12, warmup: 3 })],
      [optim.oneCycle({ maxLr: 0.1 }), (o) => new optim.OneCycleLR(o, { maxLr: 0.1, totalSteps: 12 })],
    ]
    for (const [factory, make] of factories) {
      const rates = new train.LearningRateLogger()
      await new Trainer(classifier(), { loss: 'crossEntropy' }).fit(clusters(24), {
        ...quiet,
        epochs: 3,
        batchSize: 6,
        schedule: factory,
        callbacks: [rates],
      })
      const byHand = make(new optim.Adam(classifier().parameters()))
      const expected = Array.from({ length: 12 }, (_, i) => {
        const [rate] = byHand.lastLr
        if (byHand.interval === 'step' || i % 4 === 3) byHand.step()
        return [rate]
      })
      expect(rates.rates).toEqual(expected)
    }
  })

  test('class weights', async () => {
    const model = classifier()
    const optimizer = new optim.SGD(model.parameters(), { lr: 0 })
    const { inputs, labels } = clusters(30)
    const history = await new Trainer(model, { optimizer, loss: 'crossEntropy' }).fit(
      { inputs, labels },
      { batchSize: 30, classWeights: { 0: 3, 2: 0.5 }, ...quiet },
    )
    const expected = await nn
      .crossEntropy(model.forward(floats(inputs)) as Tensor, tensor(labels, { dtype: 'int32' }), { weight: [3, 1, 0.5] })
      .item()
    expect(history.last?.loss).toBeCloseTo(expected, 5)
  })
})

describe('progress', () => {
  test('plain lines elsewhere than on a terminal', async () => {
    const stream = new Sink()
    await new Trainer(classifier(), { loss: 'crossEntropy', metrics: ['accuracy'] }).fit(clusters(30), {
      epochs: 2,
      validation: 0.2,
      stream,
    })
    // An epoch that lasts long has more lines than its last.
    const lines = stream.text.split('\n').filter((line) => line.includes('  lr '))
    expect(lines.length).toBe(2)
    expect(lines[1]).toMatch(
      /^Epoch 2\/2 {2}[\d.]+ \w+ {2}loss [\d.]+ {2}accuracy [\d.]+ {2}valLoss [\d.]+ {2}valAccuracy [\d.]+ {2}lr 0.0010$/,
    )
    expect(stream.text).not.toContain('\u001B')
  })
})
