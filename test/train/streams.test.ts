// Training, measuring and predicting on (async) iterables: of batches, and of samples where batchSize is given.
import { describe, expect, test } from 'vitest'
import { data, device, nn, tensor, type Tensor, train, Trainer, ValueError, zeros } from '../../ts/index.js'
import { classifier, clusters, floats, hash } from './support.js'

const quiet = { verbose: false as const }
const all = clusters(24)
const int32 = (values: number[]): Tensor => tensor(values, { dtype: 'int32' })
const batchOf = (from: number, to: number): data.Batch => ({ inputs: floats(all.inputs.slice(from, to)), labels: int32(all.labels.slice(from, to)) })
const samples = {
  async *[Symbol.asyncIterator](): AsyncGenerator<data.Sample> {
    for (const [i, inputs] of all.inputs.entries()) yield { inputs: floats(inputs), labels: all.labels[i] }
  },
}
const batches = {
  *[Symbol.iterator](): Generator<data.Batch> {
    for (let at = 0; at < 24; at += 8) yield batchOf(at, at + 8)
  },
}
const trained = async (source: train.TrainingData, options: train.FitOptions = {}): Promise<string> => {
  const model = classifier()
  await new Trainer(model, { loss: 'crossEntropy' }).fit(source, { epochs: 2, ...quiet, ...options })
  return hash(model.stateDict())
}

describe('an iterable', () => {
  test('of samples, of batches and the same data in memory train alike to the last bit', async () => {
    const memory = await trained(all, { batchSize: 8, shuffle: false })
    expect(await trained(samples, { batchSize: 8 })).toBe(memory)
    expect(await trained(batches)).toBe(memory)
    expect(await trained([...batches])).toBe(memory)
    // An array of samples has numbers, so that it can be shuffled as data in memory is.
    const array = all.inputs.map((inputs, i) => ({ inputs, labels: all.labels[i] }))
    expect(await trained(array, { batchSize: 8 })).toBe(await trained(all, { batchSize: 8 }))
  })

  test('is measured and predicted alike', async () => {
    const trainer = new Trainer(classifier(), { loss: 'crossEntropy', metrics: ['accuracy'] })
    const memory = await trainer.evaluate(all, { batchSize: 8 })
    expect(await trainer.evaluate(samples, { batchSize: 8 })).toEqual(memory)
    expect(await trainer.evaluate(batches)).toEqual(memory)
    const classes = await trainer.predictClasses(all.inputs.map(floats))
    expect(await trainer.predictClasses(samples, { batchSize: 5 })).toEqual(classes)
    expect(await trainer.predictClasses(batches)).toEqual(classes)
  })

  test('of samples without batchSize is answered with the way out', async () => {
    const trainer = new Trainer(classifier(), { loss: 'crossEntropy' })
    for (const run of [trainer.fit(samples, quiet), trainer.evaluate(samples), trainer.predict(samples)])
      await expect(run).rejects.toThrow(/single samples[^]*Give batchSize/)
  })

  test('is augmented, by settings and by a function, and wrong settings are refused', async () => {
    const pictures = {
      *[Symbol.iterator](): Generator<data.Batch> {
        yield { inputs: tensor(Float32Array.from({ length: 2 * 64 }, (_, i) => 1 + i), { shape: [2, 8, 8, 1] }), labels: int32([0, 1]) }
      },
    }
    const seen: number[][] = []
    class Net extends nn.Module {
      head = new nn.Linear(64, 2)
      forward(x: Tensor): Tensor {
        seen.push(Array.from(x.dataSync() as Float32Array))
        return this.head.forward(x.flatten(1))
      }
    }
    const fit = (augment: unknown): Promise<unknown> =>
      new Trainer(new Net(), { loss: 'crossEntropy' }).fit(pictures, { ...quiet, compile: false, augment: augment as data.AugmentSettings })
    await fit({ cutout: 4 })
    expect(seen.pop()?.filter((value) => value === 0).length).toBeGreaterThan(0)
    await fit((images: Tensor) => images.mul(0))
    expect(seen.pop()?.every((value) => value === 0)).toBe(true)
    await expect(fit({ flp: true })).rejects.toThrow(/no option 'flp'. Did you mean 'flip'/)
    await expect(fit('flip')).rejects.toThrow(ValueError)
  })

  test('cannot be shuffled, and says what can', async () => {
    const trainer = new Trainer(classifier(), { loss: 'crossEntropy' })
    await expect(trainer.fit(batches, { shuffle: true, ...quiet })).rejects.toThrow(/shuffle: true wants samples by number[^]*array of samples/)
  })

  test('gives tensors that stay its own', async () => {
    const batch = batchOf(0, 8)
    const trainer = new Trainer(classifier(), { loss: 'crossEntropy' })
    await trainer.fit([batch, batch], { epochs: 2, ...quiet })
    await trainer.evaluate([batch])
    await trainer.predict([batch])
    // A generator may give the same tensors again and again, too.
    await trainer.fit((function* () { for (let i = 0; i < 4; i++) yield batch })(), quiet)
    for await (const _ of data.loader([batch], { augment: () => batch })) { /* what the function gave is its own */ }
    expect([batch.inputs.disposed, batch.labels.disposed]).toEqual([false, false])
    expect(await batch.labels.tolist()).toEqual(all.labels.slice(0, 8))
  })

  test('may dispose of what it gave when it is asked for the next', async () => {
    const trainer = new Trainer(classifier(), { loss: 'crossEntropy' })
    const wanted = await trainer.evaluate(all, { batchSize: 8 })
    function* tidy(size: number): Generator<data.Batch> {
      for (let at = 0; at < 24; at += size) {
        const batch = size === 1 ? { inputs: floats(all.inputs[at]!), labels: int32([all.labels[at]!]).reshape([]) } : batchOf(at, at + size)
        yield batch
        batch.inputs.dispose()
        batch.labels.dispose()
      }
    }
    expect(await trainer.evaluate(tidy(8))).toEqual(wanted)
    expect(await trainer.evaluate(tidy(1), { batchSize: 8 })).toEqual(wanted)
  })

  test('of fresh tensors does not pile them up, and is not warned of', async () => {
    const warnings: unknown[] = []
    const listen = (warning: Error & { code?: string }): void => { if (warning.code === 'FERROGRAD_UNSCOPED') warnings.push(warning.message) }
    process.on('warning', listen)
    const before = device.memory().live
    let most = 0
    async function* large(): AsyncGenerator<data.Batch> {
      for (let i = 0; i < 300; i++) {
        most = Math.max(most, device.memory().live - before)
        yield { inputs: zeros([256, 4096]), labels: zeros([256, 1]) }
      }
    }
    async function* single(): AsyncGenerator<data.Sample> {
      for (let i = 0; i < 200; i++) yield { inputs: zeros([2 ** 18]), labels: zeros([1]) }
    }
    await new Trainer(new nn.Linear(4096, 1), { loss: 'mse' }).evaluate(large())
    await new Trainer(new nn.Linear(2 ** 18, 1), { loss: 'mse' }).evaluate(single(), { batchSize: 4 })
    process.off('warning', listen)
    expect(warnings).toEqual([])
    // 1.2 GiB in all.
    expect(most / 2 ** 20).toBeLessThan(400)
  })
})

test('options beside a DataLoader, which it would not follow, are refused', async () => {
  const loader = new data.DataLoader(all, { batchSize: 8 })
  const trainer = new Trainer(classifier(), { loss: 'crossEntropy' })
  await expect(trainer.fit(loader, { batchSize: 4, augment: { flip: true }, ...quiet })).rejects.toThrow(/fit: a DataLoader has its own options; batchSize, augment would/)
  await expect(trainer.fit(loader, { shuffle: true, ...quiet })).rejects.toThrow(ValueError)
  await expect(trainer.evaluate(loader, { batchSize: 4 })).rejects.toThrow(/evaluate: a DataLoader/)
  expect(() => data.loader(loader, { batchSize: 4 })).toThrow(/batchSize would change nothing/)
  expect(data.loader(loader)).toBe(loader)
  await trainer.fit(loader, { ...quiet, augment: (x: Tensor) => x.mul(2) })
})
