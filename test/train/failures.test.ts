import { describe, expect, test } from 'vitest'
import { IndexError, nn, noGrad, NonFiniteError, type Tensor, tensor, train, Trainer, ValueError } from '../../ts/index.js'
import { classifier, clusters, cnn, hash, images } from './support.js'

const quiet = { verbose: false as const }

describe('what goes wrong', () => {
  test('a label out of range names op and layer; weights keep their bits; training goes on', async () => {
    for (const compile of [true, false]) {
      const model = cnn()
      const trainer = new Trainer(model, { loss: 'crossEntropy', metrics: ['accuracy'] })
      const good = images(16)
      await trainer.fit(good, { compile, ...quiet })
      // A captured step is all or nothing; an eager one has moved the running statistics before the loss fails.
      const state = (): Record<string, Tensor> => ({
        ...(compile ? model.stateDict() : Object.fromEntries(model.namedParameters())),
        ...trainer.optimizer.stateDict().tensors,
      })
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
      forward(ids: Tensor): Tensor {
        return this.head.forward(this.embedding.forward(ids).mean(1))
      }
    }
    const trainer = new Trainer(new Net(), { loss: 'crossEntropy' })
    const error = await trainer
      .fit(
        {
          inputs: tensor(
            [
              [1, 2],
              [3, 77],
            ],
            { dtype: 'int32' },
          ),
          labels: [0, 1],
        },
        quiet,
      )
      .catch((reason: unknown) => reason as IndexError)
    expect(error).toMatchObject({ code: 'ERR_INDEX', module: 'embedding' })
  })

  test('NaN in one image: the layer is named, the weights keep their bits', async () => {
    for (const compile of [true, false]) {
      const model = cnn()
      const trainer = new Trainer(model, { loss: 'crossEntropy' })
      const good = images(16)
      await trainer.fit(good, { compile, ...quiet })
      const state = (): Record<string, Tensor> => (compile ? model.stateDict() : Object.fromEntries(model.namedParameters()))
      const before = await hash(state())
      const bad = structuredClone(good)
      ;(bad.inputs[5] as number[][][])[2] = Array.from({ length: 8 }, () => [NaN])
      const error = await trainer
        .fit(bad, { compile, ...quiet, callbacks: [new train.StopOnNaN()] })
        .catch((reason: unknown) => reason as Error)
      expect(error).toBeInstanceOf(NonFiniteError)
      expect((error as Error).message).toMatch(/batch 0 of epoch 1/)
      expect((error as Error).message).toMatch(/conv2d \(in 0\)/)
      expect(await hash(state())).toBe(before)
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
    await expect(new Trainer(model, { loss: (x: Tensor) => x }).fit(clusters(6), quiet)).rejects.toThrow(/one number/)
    await expect(
      new Trainer(model, { loss: 'mse', metrics: ['accuracy'] }).evaluate({
        inputs: clusters(2).inputs,
        labels: [
          [1, 0, 0],
          [0, 1, 0],
        ],
      }),
    ).rejects.toThrow(/knows no classes/)
    await expect(
      new Trainer(new nn.Linear(4, 1), { loss: (x: Tensor) => x.mean(), metrics: ['accuracy'] }).evaluate(clusters(6)),
    ).rejects.toThrow(/task: 'multiclass'/)
  })

  test('a throwing callback rejects, after the steps under way; onFitEnd is heard; the model is free', async () => {
    const model = classifier()
    const trainer = new Trainer(model, { loss: 'crossEntropy' })
    for (const method of ['onFitStart', 'onEpochStart', 'onBatchEnd', 'onEpochEnd', 'onFitEnd'] as const) {
      const heard: string[] = []
      const thrower: train.Callback = { [method]: () => Promise.reject(new Error(`from ${method}`)) }
      await expect(
        trainer.fit(clusters(30), {
          batchSize: 4,
          ...quiet,
          callbacks: [
            {
              onFitEnd: () => {
                heard.push('end')
              },
            },
            thrower,
          ],
        }),
      ).rejects.toThrow(`from ${method}`)
      expect(heard.length).toBeGreaterThan(0)
      expect(model.parameters().every(({ grad }) => grad === null)).toBe(true)
    }
    await trainer.fit(clusters(6), quiet)
  })

  test('a stopped fit ends after its step', async () => {
    const trainer = new Trainer(classifier(), { loss: 'crossEntropy' })
    const history = await trainer.fit(clusters(60), {
      epochs: 9,
      batchSize: 4,
      ...quiet,
      callbacks: [
        {
          onBatchEnd: (context, { index }) => {
            if (index === 20) context.stop('enough')
          },
        },
      ],
    })
    expect(history.stopped).toBe('enough')
    expect(history.epochs.length).toBe(1)
  })

  test('an aborted signal cancels at once', async () => {
    await expect(
      new Trainer(classifier(), { loss: 'crossEntropy' }).fit(clusters(6), { signal: AbortSignal.abort(), ...quiet }),
    ).rejects.toMatchObject({ code: 'ERR_CANCELLED' })
  })
})

describe('a loss that is no number', () => {
  const data = (value: number) => ({ inputs: [[1], [value], [3], [4]], labels: [[1], [2], [3], [4]] })
  /** The warnings of a `fit`, with how it ended. */
  async function warnings(options: train.FitOptions, inputs = data(2)): Promise<string[]> {
    const heard: string[] = []
    const listen = (warning: Error & { code?: string }) => { if (warning.code === 'FERROGRAD_NAN') heard.push(warning.message) }
    process.on('warning', listen)
    try {
      const trainer = new Trainer(new nn.Linear(1, 1), { loss: 'mse', optimizer: 'sgd', lr: 0.001 })
      await trainer.fit(inputs, { epochs: 3, batchSize: 2, shuffle: false, ...quiet, ...options }).catch((error: unknown) => heard.push((error as Error).name))
      await new Promise((resolve) => setImmediate(resolve))
    } finally {
      process.off('warning', listen)
    }
    return heard
  }

  test('is warned of once, with the epoch and the way to find the layer', async () => {
    expect(await warnings({}, data(NaN))).toEqual([
      "fit: the training loss is NaN in epoch 1.\n  new StopOnNaN(), from 'ferrograd/train', among the callbacks stops at the first such batch and names "
        + 'the layer and op it came from.\n  Check the inputs, lower the learning rate, or clip gradients.',
    ])
    expect(await warnings({}, data(Infinity))).toHaveLength(1)
  })

  test('names the loss for logits where bce was given some', async () => {
    const heard: string[] = []
    const listen = (warning: Error & { code?: string }) => { if (warning.code === 'FERROGRAD_NAN') heard.push(warning.message) }
    process.on('warning', listen)
    await new Trainer(new nn.Linear(1, 1), { loss: 'bce' }).fit({ inputs: [[30], [-30]], labels: [[1], [0]] }, { epochs: 1, ...quiet })
    await new Promise((resolve) => setImmediate(resolve))
    process.off('warning', listen)
    expect(heard).toEqual([expect.stringContaining("'bce' takes probabilities, from a Sigmoid: for outputs below 0 or above 1 there is 'bceWithLogits'.")])
  })

  test('names the epoch in which it began', async () => {
    const spoil: train.Callback = { onEpochEnd: ({ model }, { epoch }) => { if (epoch === 0) for (const p of model.parameters()) noGrad(() => p.fill_(NaN)) } }
    expect((await warnings({ callbacks: [spoil] }))[0]).toMatch(/^fit: the training loss is NaN in epoch 2\./)
  })

  test('is noticed in validation alone', async () => {
    const heard = await warnings({ validation: data(NaN) })
    expect(heard).toHaveLength(1)
    expect(heard[0]).toMatch(/^fit: the validation loss is NaN, while the training loss is \d[\d.]* in epoch 1\./)
    expect(heard[0]).toMatch(/StopOnNaN/)
  })

  test('is not warned of where all is finite, nor where StopOnNaN tells', async () => {
    expect(await warnings({ validation: data(5) })).toEqual([])
    expect(await warnings({ callbacks: [new train.StopOnNaN()] }, data(NaN))).toEqual(['NonFiniteError'])
  })
})
