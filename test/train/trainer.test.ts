import { describe, expect, test } from 'vitest'
import { data, IndexError, nn, NonFiniteError, optim, type Tensor, tensor, train, Trainer, ValueError } from '../../ts/index.js'
import { classifier, clusters, cnn, floats, hash, images, noise, numbers, Sink, timeless } from './support.js'

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

  test('the epoch\'s loss is the mean over samples, as a loop by hand gives it', async () => {
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
      const history = await new Trainer(model, { loss: 'crossEntropy', metrics: ['accuracy'] }).fit(images(45), { epochs: 2, batchSize: 8, seed, compile, clipValue: 0.1, ...quiet })
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
      await new Trainer(model, { optimizer: 'sgd', lr: 0.1, loss: 'crossEntropy' }).fit(clusters(48), { epochs: 2, batchSize, accumulate, shuffle: false, ...quiet })
      return numbers(model.parameters()[0] as Tensor)
    }
    const [large, small] = [await run(16, 1), await run(4, 4)]
    small.forEach((value, i) => expect(value).toBeCloseTo(large[i] as number, 5))
  })

  test('GD takes all samples in one step', async () => {
    const steps: number[] = []
    const model = classifier()
    await new Trainer(model, { optimizer: 'gd', loss: 'crossEntropy' }).fit(clusters(50), { epochs: 3, ...quiet, callbacks: [{ onBatchEnd: (_, { size }) => { steps.push(size) } }] })
    expect(steps).toEqual([50, 50, 50])
  })

  test('modes are as they were, during and after', async () => {
    const model = classifier(0.5)
    const dropout = [...model.modules()].find((module) => module instanceof nn.Dropout) as nn.Dropout
    model.eval()
    const seen: boolean[] = []
    await new Trainer(model, { loss: 'crossEntropy' }).fit(clusters(12), { ...quiet, validation: clusters(6), callbacks: [{ onBatchEnd: () => { seen.push(dropout.training) } }] })
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
      { inputs, labels }, [inputs, labels] as never, data.dataset({ inputs, labels }), new data.DataLoader({ inputs, labels }, { batchSize: 5 }),
      { length: 24, get: (i: number) => ({ inputs: inputs[i], labels: labels[i] }) },
      { async *[Symbol.asyncIterator]() { for (const { inputs, labels } of batches) yield { inputs: inputs.clone(), labels: labels.clone() } } },
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
    const stream: AsyncIterable<data.Batch> = { async *[Symbol.asyncIterator]() { for (let at = 0; at < 20; at += 4) yield { inputs: floats(inputs.slice(at, at + 4)), labels: tensor(labels.slice(at, at + 4), { dtype: 'int32' }) } } }
    let steps = 0
    const model = classifier()
    await new Trainer(model, { loss: 'crossEntropy' }).fit(stream, { accumulate: 2, epochs: 2, shuffle: false, ...quiet, callbacks: [{ onEpochEnd: ({ step }) => { steps = step } }] })
    expect(steps).toBe(6)
    expect(model.parameters().every(({ grad }) => grad === null)).toBe(true)
  })

  test('class weights', async () => {
    const model = classifier()
    const optimizer = new optim.SGD(model.parameters(), { lr: 0 })
    const { inputs, labels } = clusters(30)
    const history = await new Trainer(model, { optimizer, loss: 'crossEntropy' }).fit({ inputs, labels }, { batchSize: 30, classWeights: { 0: 3, 2: 0.5 }, ...quiet })
    const expected = await nn.crossEntropy(model.forward(floats(inputs)) as Tensor, tensor(labels, { dtype: 'int32' }), { weight: [3, 1, 0.5] }).item()
    expect(history.last?.loss).toBeCloseTo(expected, 5)
  })
})

describe('what goes wrong', () => {
  test('a label out of range names op and layer; weights keep their bits; training goes on', async () => {
    for (const compile of [true, false]) {
      const model = cnn()
      const trainer = new Trainer(model, { loss: 'crossEntropy', metrics: ['accuracy'] })
      const good = images(16)
      await trainer.fit(good, { compile, ...quiet })
      const state = (): Record<string, Tensor> => ({ ...model.stateDict(), ...trainer.optimizer.stateDict().tensors })
      const before = await hash(state())
      const bad = { ...good, labels: good.labels.map((label, i) => (i === 3 ? 9 : label)) }
      const error = await trainer.fit(bad, { compile, ...quiet }).catch((reason: unknown) => reason)
      expect(error).toBeInstanceOf(IndexError)
      expect((error as IndexError).op).toBe('crossEntropy')
      expect((error as Error).message).toMatch(/9/)
      expect(await hash(state())).toBe(before)
      expect(model.parameters().every(({ grad }) => grad === null)).toBe(true)
      const history = await trainer.fit(good, { compile, ...quiet })
      expect(Number.isFinite(history.last?.loss)).toBe(true)
      expect(await hash(state())).not.toBe(before)
    }
  })

  test('an id out of range names the layer', async () => {
    class Net extends nn.Module {
      embedding = new nn.Embedding(5, 4)
      head = new nn.Linear(4, 2)
      forward(ids: Tensor): Tensor { return this.head.forward(this.embedding.forward(ids).mean(1)) }
    }
    const trainer = new Trainer(new Net(), { loss: 'crossEntropy' })
    const error = await trainer.fit({ inputs: tensor([[1, 2], [3, 77]], { dtype: 'int32' }), labels: [0, 1] }, quiet).catch((reason: unknown) => reason as IndexError)
    expect(error).toMatchObject({ code: 'ERR_INDEX', module: 'embedding' })
  })

  test('NaN in one image: the layer is named, the weights keep their bits', async () => {
    for (const compile of [true, false]) {
      const model = cnn()
      const trainer = new Trainer(model, { loss: 'crossEntropy' })
      const good = images(16)
      await trainer.fit(good, { compile, ...quiet })
      const before = await hash(model.stateDict())
      const bad = structuredClone(good)
      ;(bad.inputs[5] as number[][][])[2] = Array.from({ length: 8 }, () => [NaN])
      const error = await trainer.fit(bad, { compile, ...quiet, callbacks: [new train.StopOnNaN()] }).catch((reason: unknown) => reason as Error)
      expect(error).toBeInstanceOf(NonFiniteError)
      expect((error as Error).message).toMatch(/batch 0 of epoch 1/)
      expect((error as Error).message).toMatch(/conv2d \(in 0\)/)
      expect(await hash(model.stateDict())).toBe(before)
      await trainer.fit(good, { compile, ...quiet })
    }
  })

  test('wrong options and wrong data throw with the way out', async () => {
    const model = classifier()
    const trainer = new Trainer(model, { loss: 'crossEntropy', metrics: ['accuracy'] })
    await expect(trainer.fit(clusters(6), { epoch: 3 } as never)).rejects.toThrow(/no option 'epoch'/)
    await expect(trainer.fit(clusters(6), { epochs: 0 })).rejects.toThrow(/epochs is 0/)
    await expect(trainer.fit(clusters(6), { batchSize: 2.5 })).rejects.toThrow(/batchSize is 2.5/)
    await expect(trainer.fit(clusters(6), { resume: true })).rejects.toThrow(/checkpointDir/)
    await expect(trainer.fit({ inputs: [], labels: [] }, quiet)).rejects.toThrow(ValueError)
    await expect(new Trainer(model).fit(clusters(6), quiet)).rejects.toThrow(/no loss was given/)
    expect(() => new Trainer(model, { loss: 'crossentropie' })).toThrow(/none is named 'crossentropie'/)
    expect(() => new Trainer(model, { loss: 'mse', metrics: ['accurac'] })).toThrow(/no metric is named 'accurac'/)
    expect(() => new Trainer(model, { loss: 'mse', optimizer: 'adamm' }).optimizer).toThrow(/none is named 'adamm'/)
    await expect(trainer.fit({ inputs: [[1, 2]], labels: [0] }, quiet)).rejects.toMatchObject({ code: 'ERR_SHAPE' })
    await expect(new Trainer(model, { loss: (x: Tensor) => x }).fit(clusters(6), quiet)).rejects.toThrow(/not one number/)
    await expect(new Trainer(model, { loss: 'mse', metrics: ['accuracy'] }).evaluate({ inputs: clusters(2).inputs, labels: [[1, 0, 0], [0, 1, 0]] })).rejects.toThrow(/knows no classes/)
    await expect(new Trainer(new nn.Linear(4, 1), { loss: (x: Tensor) => x.mean(), metrics: ['accuracy'] }).evaluate(clusters(6))).rejects.toThrow(/task: 'multiclass'/)
  })

  test('a throwing callback rejects, after the steps under way; onFitEnd is heard; the model is free', async () => {
    const model = classifier()
    const trainer = new Trainer(model, { loss: 'crossEntropy' })
    for (const method of ['onFitStart', 'onEpochStart', 'onBatchEnd', 'onEpochEnd', 'onFitEnd'] as const) {
      const heard: string[] = []
      const thrower: train.Callback = { [method]: () => Promise.reject(new Error(`from ${method}`)) }
      await expect(trainer.fit(clusters(30), { batchSize: 4, ...quiet, callbacks: [{ onFitEnd: () => { heard.push('end') } }, thrower] })).rejects.toThrow(`from ${method}`)
      expect(heard.length).toBeGreaterThan(0)
      expect(model.parameters().every(({ grad }) => grad === null)).toBe(true)
    }
    await trainer.fit(clusters(6), quiet)
  })

  test('a stopped fit ends after its step', async () => {
    const trainer = new Trainer(classifier(), { loss: 'crossEntropy' })
    const history = await trainer.fit(clusters(60), { epochs: 9, batchSize: 4, ...quiet, callbacks: [{ onBatchEnd: (context, { index }) => { if (index === 20) context.stop('enough') } }] })
    expect(history.stopped).toBe('enough')
    expect(history.epochs.length).toBe(1)
  })

  test('an aborted signal cancels at once', async () => {
    await expect(new Trainer(classifier(), { loss: 'crossEntropy' }).fit(clusters(6), { signal: AbortSignal.abort(), ...quiet })).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
  })
})

describe('predict', () => {
  const { inputs, labels } = clusters(30)
  test('raw outputs, probabilities and classes, from tensors, arrays and data sets, whatever the batch', async () => {
    const model = classifier(0.5)
    const trainer = new Trainer(model, { optimizer: new optim.Adam(model.parameters(), { lr: 0.02 }), loss: 'crossEntropy' })
    await trainer.fit({ inputs, labels }, { epochs: 20, batchSize: 10, ...quiet })
    const x = floats(inputs)
    const raw = await trainer.predict(x, { batchSize: 7 })
    expect(raw.shape).toEqual([30, 3])
    const probabilities = await numbers((await trainer.predictProbabilities(x)).sum(-1))
    probabilities.forEach((sum) => expect(sum).toBeCloseTo(1, 5))
    const classes = await trainer.predictClasses(x)
    expect(classes).toEqual(labels)
    expect(await trainer.predictClasses(inputs.map((row) => floats(row as never)), { batchSize: 4 })).toEqual(labels)
    expect(await trainer.predictClasses(data.dataset({ inputs, labels }))).toEqual(labels)
    await expect(trainer.predict([])).rejects.toThrow(/no inputs/)
  })

  test('yes-or-no outputs go by threshold', async () => {
    const binary = labels.map((label) => (label === 0 ? 1 : 0))
    for (const [loss, last] of [['bceWithLogits', null], ['binary_crossentropy', new nn.Sigmoid()]] as const) {
      const model = new nn.Sequential(new nn.Linear(4, 1), ...(last === null ? [] : [last]))
      const trainer = new Trainer(model, { optimizer: 'adam', lr: 0.1, loss, metrics: ['accuracy'] })
      const history = await trainer.fit([inputs, binary] as never, { epochs: 40, ...quiet })
      expect(history.last?.accuracy).toBeGreaterThan(0.9)
      expect(await trainer.predictClasses(floats(inputs))).toEqual(binary)
      const p = await numbers(await trainer.predictProbabilities(floats(inputs)))
      expect(p.every((value) => value >= 0 && value <= 1)).toBe(true)
    }
  })

  test('the article\'s softmax with categorical cross-entropy and one-hot labels', async () => {
    const model = new nn.Sequential(new nn.Linear(4, 3), new nn.Softmax())
    const oneHot = labels.map((label) => [0, 1, 2].map((k) => (k === label ? 1 : 0)))
    const trainer = new Trainer(model, { optimizer: 'adam', lr: 0.1, loss: 'categorical_crossentropy', metrics: ['accuracy'] })
    const history = await trainer.fit([inputs, oneHot] as never, { epochs: 30, batch_size: 10, validation_data: [inputs, oneHot], verbose: 0 } as never)
    expect(history.last?.valAccuracy).toBeGreaterThan(0.9)
  })

  test('regression', async () => {
    const x = Array.from({ length: 64 }, (_, i) => [noise(i), noise(i + 100)])
    const y = x.map(([a = 0, b = 0]) => 2 * a - b + 0.5)
    const trainer = new Trainer(new nn.Linear(2, 1), { optimizer: 'adam', lr: 0.05, loss: 'mse', metrics: ['mae'] })
    const history = await trainer.fit({ inputs: x, labels: y }, { epochs: 60, batchSize: 16, ...quiet })
    expect(history.last?.mae).toBeLessThan(0.1)
    await expect(trainer.predictProbabilities(floats(x))).rejects.toThrow(/regression/)
  })
})

describe('progress', () => {
  test('plain lines elsewhere than on a terminal', async () => {
    const stream = new Sink()
    await new Trainer(classifier(), { loss: 'crossEntropy', metrics: ['accuracy'] }).fit(clusters(30), { epochs: 2, validation: 0.2, stream })
    const lines = stream.text.trim().split('\n')
    expect(lines.length).toBe(2)
    expect(lines[1]).toMatch(/^Epoch 2\/2 {2}[\d.]+ \w+ {2}loss [\d.]+ {2}accuracy [\d.]+ {2}valLoss [\d.]+ {2}valAccuracy [\d.]+ {2}lr 0.0010$/)
    expect(stream.text).not.toContain('\u001B')
  })
})
