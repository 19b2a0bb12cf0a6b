import { describe, expect, test } from 'vitest'
import { data, nn, optim, type Tensor, tensor, type train, Trainer } from '../../ts/index.js'
import { classifier, clusters, cnn, floats, images, noise, numbers } from './support.js'

const quiet = { verbose: false as const }

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
    expect(
      await trainer.predictClasses(
        inputs.map((row) => floats(row as never)),
        { batchSize: 4 },
      ),
    ).toEqual(labels)
    expect(await trainer.predictClasses(data.dataset({ inputs, labels }))).toEqual(labels)
    await expect(trainer.predict([])).rejects.toThrow(/no inputs/)
  })

  test('rows of plain numbers are samples, however many they are', async () => {
    const trainer = new Trainer(new nn.Linear(2, 2), { loss: 'crossEntropy' })
    for (const rows of [[[1, 2]], [[1, 2], [3, 4]], [[1, 2], [3, 4], [5, 6]]]) {
      const outputs = await trainer.predict(rows)
      expect(outputs.shape).toEqual([rows.length, 2])
      expect(await numbers(outputs)).toEqual(await numbers(await trainer.predict(floats(rows))))
      expect(await trainer.predictClasses(rows)).toEqual(await trainer.predictClasses(floats(rows)))
      expect(await trainer.predictClasses(rows.map((row) => Float32Array.from(row)))).toEqual(await trainer.predictClasses(rows))
      expect((await trainer.predict(rows, { batchSize: 2 })).shape).toEqual([rows.length, 2])
    }
    // Two images are no pair either.
    expect((await new Trainer(new nn.Flatten()).predict([[[[1], [2]]], [[[3], [4]]]])).shape).toEqual([2, 2])
    await expect(trainer.predict([[1, 2], [3]])).rejects.toThrow(/rows are not all of shape \[2\]/)
  })

  test('a bare typed array is refused, with the way to a shape', async () => {
    const trainer = new Trainer(new nn.Linear(2, 2), { loss: 'crossEntropy' })
    // @ts-expect-error The types say so too.
    const predicted = trainer.predict(Float32Array.of(1, 2, 3, 4))
    await expect(predicted).rejects.toThrow(/^predict: a Float32Array does not say where its samples end.\n {2}Give tensor\(x, \{ shape: \[samples, ...\] \}\)/)
    // @ts-expect-error
    await expect(trainer.predictClasses(new Uint8Array(4))).rejects.toThrow(/a Uint8Array/)
  })

  test('while the model trains', async () => {
    const model = cnn()
    const trainer = new Trainer(model, { loss: 'crossEntropy', metrics: ['accuracy'] })
    const { inputs: x, labels: y } = images(64)
    // The predictions begin in the middle of the second epoch, and the third does not begin without their results.
    let predicting: Promise<[Tensor, number[], Record<string, unknown>]> | undefined
    const asker: train.Callback = {
      onBatchEnd: (_, { index }) => {
        if (index !== 11) return
        predicting = Promise.all([
          trainer.predict(tensor(x)),
          trainer.predictClasses(tensor(x), { batchSize: 10 }),
          trainer.evaluate({ inputs: x, labels: y }),
        ])
      },
      onEpochEnd: async (_, { epoch }) => {
        if (epoch === 1) await predicting
      },
    }
    const training = trainer.fit({ inputs: x, labels: y }, { epochs: 6, batchSize: 8, callbacks: [asker], ...quiet })
    expect((await training).epochs.length).toBe(6)
    const [outputs, duringTraining] = await (predicting as NonNullable<typeof predicting>)
    expect(outputs.shape).toEqual([64, 2])
    expect(duringTraining.length).toBe(64)
    // Alone again, all agree.
    const [p, classes] = [await trainer.predictProbabilities(tensor(x)), await trainer.predictClasses(tensor(x))]
    expect(await p.argmax(-1).tolist()).toEqual(classes)
  })

  test('yes-or-no outputs go by threshold', async () => {
    const binary = labels.map((label) => (label === 0 ? 1 : 0))
    for (const [loss, last] of [
      ['bceWithLogits', null],
      ['binary_crossentropy', new nn.Sigmoid()],
    ] as const) {
      const model = new nn.Sequential(new nn.Linear(4, 1), ...(last === null ? [] : [last]))
      const trainer = new Trainer(model, { optimizer: 'adam', lr: 0.1, loss, metrics: ['accuracy'] })
      const history = await trainer.fit([inputs, binary] as never, { epochs: 40, ...quiet })
      expect(history.last?.accuracy).toBeGreaterThan(0.9)
      expect(await trainer.predictClasses(floats(inputs))).toEqual(binary)
      const p = await numbers(await trainer.predictProbabilities(floats(inputs)))
      expect(p.every((value) => value >= 0 && value <= 1)).toBe(true)
    }
  })

  test("the article's softmax with categorical cross-entropy and one-hot labels", async () => {
    const model = new nn.Sequential(new nn.Linear(4, 3), new nn.Softmax())
    const oneHot = labels.map((label) => [0, 1, 2].map((k) => (k === label ? 1 : 0)))
    const trainer = new Trainer(model, { optimizer: 'adam', lr: 0.1, loss: 'categorical_crossentropy', metrics: ['accuracy'] })
    const history = await trainer.fit(
      [inputs, oneHot] as never,
      { epochs: 30, batch_size: 10, validation_data: [inputs, oneHot], verbose: 0 } as never,
    )
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
