import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { FileError, nn, optim, type Tensor, tensor, train, Trainer } from '../../ts/index.js'
import { Progress } from '../../ts/train/progress.js'
import { classifier, clusters, hash, noise, Sink } from './support.js'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferrograd-callbacks-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

const quiet = { verbose: false as const }
/** A callback that sets the figure the others watch. */
const says = (values: number[]): train.Callback => ({
  figures: ['watched'],
  onEpochEnd: (_, log) => {
    log.watched = values[log.epoch] ?? NaN
  },
})

describe('EarlyStopping', () => {
  test('stops after patience and puts the best weights back', async () => {
    const model = classifier()
    const hashes: string[] = []
    const keepHash: train.Callback = {
      onEpochEnd: async () => {
        hashes.push(await hash(model.stateDict()))
      },
    }
    const stopping = new train.EarlyStopping({ monitor: 'watched', mode: 'min', patience: 2 })
    const history = await new Trainer(model, { loss: 'crossEntropy' }).fit(clusters(24), {
      epochs: 9,
      ...quiet,
      callbacks: [says([5, 3, 4, 3.5, 1]), keepHash, stopping],
    })
    expect(history.epochs.length).toBe(4)
    expect(history.stopped).toMatch(/watched has not improved for 2 epochs \(best 3 in epoch 2\)/)
    expect(await hash(model.stateDict())).toBe(hashes[1])
  })
  test('minDelta, max, and a figure that is not there', async () => {
    const stopping = new train.EarlyStopping({ monitor: 'watched', mode: 'max', patience: 1, minDelta: 0.5, restoreBest: false })
    const history = await new Trainer(classifier(), { loss: 'crossEntropy' }).fit(clusters(12), {
      epochs: 9,
      ...quiet,
      callbacks: [says([1, 2, 2.3]), stopping],
    })
    expect(history.epochs.length).toBe(3)
    await expect(
      new Trainer(classifier(), { loss: 'crossEntropy' }).fit(clusters(12), { ...quiet, callbacks: [new train.EarlyStopping()] }),
    ).rejects.toThrow(/no figure 'valLoss'[\s\S]*There are loss, lr/)
  })
})

describe('a monitor', () => {
  const run = (monitor: string, Watcher: 'EarlyStopping' | 'ModelCheckpoint' = 'EarlyStopping', options: train.FitOptions = {}): Promise<number> => {
    let steps = 0
    const counter: train.Callback = { onBatchEnd: () => void steps++ }
    const watcher = Watcher === 'EarlyStopping' ? new train.EarlyStopping({ monitor }) : new train.ModelCheckpoint(join(folder, 'monitored.safetensors'), { monitor })
    return new Trainer(classifier(), { loss: 'crossEntropy', metrics: ['acc', 'top_k_categorical_accuracy'] })
      .fit(clusters(24), { batchSize: 8, ...quiet, callbacks: [watcher, counter], ...options })
      .then(() => steps, (error: unknown) => { throw Object.assign(error as Error, { steps }) })
  }
  test('may be spelled as in Keras', async () => {
    for (const name of ['val_loss', 'val_accuracy', 'val_acc', 'acc', 'loss', 'valAccuracy', 'val_sparse_categorical_accuracy', 'val_top_k_categorical_accuracy', 'lr'])
      for (const Watcher of ['EarlyStopping', 'ModelCheckpoint'] as const) expect(await run(name, Watcher, { validation: 0.25 }), name).toBe(3)
  })
  test('that there will not be is refused before the first step, with the nearest', async () => {
    for (const Watcher of ['EarlyStopping', 'ModelCheckpoint'] as const) {
      await expect(run('valAcuracy', Watcher, { validation: 0.25 })).rejects.toMatchObject({
        code: 'ERR_VALUE', steps: 0, message: expect.stringMatching(new RegExp(`^${Watcher}: the epochs will have no figure 'valAcuracy'. Did you mean 'valAccuracy'\\?`)),
      })
      await expect(run('val_loss', Watcher)).rejects.toMatchObject({ steps: 0, message: expect.stringMatching(/those of validation want validation: 0.1/) })
      await expect(run('watched', Watcher)).rejects.toThrow(/callbacks that name them in `figures`/)
    }
  })
})

test('ModelCheckpoint makes its folder, before an epoch is trained where it can', async () => {
  const fit = (path: string, options: train.FitOptions = {}): Promise<unknown> =>
    new Trainer(classifier(), { loss: 'crossEntropy' }).fit(clusters(12), { ...quiet, ...options, callbacks: [new train.ModelCheckpoint(path, { monitor: 'loss' }), ...(options.callbacks ?? [])] })
  const path = join(folder, 'deep', 'er', 'best.safetensors')
  await fit(path)
  await classifier().load(path)
  await fit(join(folder, 'run-{epoch}', 'best.safetensors'), { epochs: 2 })
  await classifier().load(join(folder, 'run-2', 'best.safetensors'))
  let trained = 0
  const counter: train.Callback = { onBatchEnd: () => { trained++ } }
  await expect(fit(join(path, 'below.safetensors'), { callbacks: [counter] })).rejects.toThrow(FileError)
  expect(trained).toBe(0)
})

test('ModelCheckpoint keeps the best', async () => {
  const model = classifier()
  const checkpoint = new train.ModelCheckpoint(join(folder, 'best-{epoch}.safetensors'), { monitor: 'watched', mode: 'min' })
  let best = ''
  await new Trainer(model, { loss: 'crossEntropy' }).fit(clusters(24), {
    epochs: 4,
    ...quiet,
    callbacks: [
      says([5, 2, 4, 3]),
      checkpoint,
      {
        onEpochEnd: async (_, { epoch }) => {
          if (epoch === 1) best = await hash(model.stateDict())
        },
      },
    ],
  })
  expect(checkpoint.lastPath).toBe(join(folder, 'best-2.safetensors'))
  expect(checkpoint.best).toBe(2)
  const other = classifier()
  await other.load(checkpoint.lastPath as string)
  expect(await hash(other.stateDict())).toBe(best)
})

test('CSV and JSONL logs, learning rates', async () => {
  const [csv, jsonl] = [join(folder, 'deep', 'log.csv'), join(folder, 'deep', 'log.jsonl')]
  const rates = new train.LearningRateLogger()
  const callbacks = [new train.CsvLogger(csv), new train.JsonlLogger(jsonl), rates]
  await new Trainer(classifier(), { loss: 'crossEntropy', metrics: ['accuracy', 'confusionMatrix'] }).fit(clusters(24), {
    epochs: 3,
    batchSize: 8,
    ...quiet,
    callbacks,
    schedule: optim.exponentialLR({ gamma: 0.5 }),
  })
  const lines = (await readFile(csv, 'utf8')).trim().split('\n')
  expect(lines[0]).toBe('epoch,loss,accuracy,lr,seconds')
  expect(lines.length).toBe(4)
  const logs = (await readFile(jsonl, 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as train.EpochLog)
  expect(logs.map(({ epoch }) => epoch)).toEqual([0, 1, 2])
  expect(logs[0]?.confusionMatrix).toHaveLength(3)
  expect(rates.rates.map(([rate]) => rate)).toEqual([1e-3, 1e-3, 1e-3, 5e-4, 5e-4, 5e-4, 2.5e-4, 2.5e-4, 2.5e-4])
})

test('GradientNorms measures each parameter and tells of vanishing and exploding ones', async () => {
  class Net extends nn.Module {
    first = new nn.Linear(4, 8)
    head = new nn.Linear(8, 3)
    scale = 1
    forward(x: Tensor): Tensor {
      return this.head.forward(this.first.forward(x).mul(1e-12).tanh())
    }
  }
  const norms = new train.GradientNorms({ every: 2, explode: 1e-3 })
  const stream = new Sink()
  await new Trainer(new Net(), { loss: 'crossEntropy' }).fit(clusters(24), { batchSize: 4, stream, callbacks: [norms] })
  expect(norms.records.map(({ index }) => index)).toEqual([0, 2, 4])
  expect(Object.keys(norms.records[0]?.norms ?? {})).toEqual(['first.weight', 'first.bias', 'head.weight', 'head.bias'])
  expect(norms.warnings.some((text) => /first\.weight vanishes/.test(text))).toBe(true)
  expect(norms.warnings.some((text) => /head\.bias explodes/.test(text))).toBe(true)
  expect(stream.text).toContain('vanishes')
})

test('the norms are those of the gradients', async () => {
  const model = classifier()
  const seen: Readonly<Record<string, number>>[] = []
  const { inputs, labels } = clusters(12)
  await new Trainer(model, { optimizer: 'sgd', lr: 0, loss: 'crossEntropy' }).fit(
    { inputs, labels },
    {
      batchSize: 12,
      ...quiet,
      clipNorm: 1e-3,
      callbacks: [
        {
          gradientNormsEvery: 1,
          onBatchEnd: (_, { gradientNorms }) => {
            if (gradientNorms) seen.push(gradientNorms)
          },
        },
      ],
    },
  )
  nn.crossEntropy(model.forward(tensor(inputs)) as Tensor, tensor(labels, { dtype: 'int32' })).backward()
  for (const [name, parameter] of model.namedParameters()) {
    const norm = Math.hypot(...Array.from((await (parameter.grad as Tensor).data()) as Float32Array))
    expect(seen[0]?.[name]).toBeCloseTo(norm, 5)
  }
})

test('OverfittingGap remarks once', async () => {
  const gap = new train.OverfittingGap({ limit: 0.2 })
  const inputs = Array.from({ length: 24 }, (_, i) => Array.from({ length: 4 }, (_, j) => noise(4 * i + j)))
  const labels = inputs.map((_, i) => Math.floor((noise(i + 77) + 1) * 1.5) % 3)
  const history = await new Trainer(classifier(), { optimizer: 'adam', lr: 0.05, loss: 'crossEntropy' }).fit(
    { inputs, labels },
    { epochs: 40, validation: 0.4, ...quiet, callbacks: [gap] },
  )
  expect(gap.warning).toMatch(/the model overfits: validation loss/)
  expect(history.last?.overfittingGap).toBeGreaterThan(0)
})

describe('Progress', () => {
  const state = (batch: number): Parameters<Progress['update']>[0] => ({
    epoch: 0,
    epochs: 12,
    batch,
    batches: 200,
    figures: { loss: 0.5, accuracy: 1e-5, table: [[1]] },
  })
  test('a bar redraws at most ten times a second', () => {
    const stream = new Sink()
    let now = 0
    const progress = new Progress('bar', stream, () => now)
    progress.begin()
    for (let batch = 1; batch <= 200; batch++) {
      now += 10
      progress.update(state(batch))
    }
    const draws = stream.text.split('\r').length - 1
    expect(draws).toBeGreaterThan(15)
    expect(draws).toBeLessThanOrEqual(21)
    progress.end(state(200), { epoch: 0, loss: 0.25, lr: 1e-3, seconds: 2 })
    expect(stream.text).toMatch(/Epoch {2}1\/12 {2}2\.0 s {2}loss 0\.2500 {2}lr 0\.0010\n$/)
    expect(stream.text).toContain('accuracy 1.00e-5')
  })
  test('NO_COLOR, narrow terminals, lines', () => {
    const before = process.env.NO_COLOR
    try {
      process.env.NO_COLOR = '1'
      const stream = new Sink()
      stream.columns = 40
      const progress = new Progress('bar', stream, () => 1e6)
      progress.update(state(100))
      expect(stream.text).not.toContain('\u001B')
      expect(stream.text.length).toBeLessThanOrEqual(41)
    } finally {
      if (before === undefined) delete process.env.NO_COLOR
      else process.env.NO_COLOR = before
    }
    // A terminal that does not know its width says 0.
    const unknown = new Sink()
    unknown.columns = 0
    const bar = new Progress('bar', unknown, () => 1e6)
    bar.update(state(100))
    const [, drawn = ''] = unknown.text.split('\r')
    expect(drawn).toContain('100/200')
    bar.end(state(200), { epoch: 0, loss: 0.25, lr: 1e-3, seconds: 2 })
    expect(unknown.text).toMatch(/\r +\rEpoch {2}1\/12 {2}2\.0 s/)
    const stream = new Sink()
    let now = 0
    const lines = new Progress(true, stream, () => now)
    lines.begin()
    for (let batch = 1; batch <= 200; batch++) {
      now += 150
      lines.update(state(batch))
    }
    // After 2 s, then every 10 s.
    expect(stream.text.trim().split('\n').length).toBe(3)
    expect(stream.text).toMatch(/^Epoch {2}1\/12 14\/200 {2}150 ms\/step {2}loss 0\.5000/)
  })
})
