// A run stopped anywhere and resumed ends with the uninterrupted run's bits.
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { augment, CheckpointError, data, nn, optim, type Tensor, train, Trainer } from '../../ts/index.js'
import { classifier, clusters, cnn, hash, images, timeless } from './support.js'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferrograd-resume-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

// Images whose class says which half is bright; the small network has batch normalisation and dropout.
const pictures = images(118)
const setUp = (): { model: nn.Sequential; optimizer: optim.Optimizer; trainer: Trainer } => {
  const model = cnn()
  const optimizer = new optim.AdamW(optim.decayGroups(model, { weightDecay: 0.05 }), { lr: 0.01 })
  return { model, optimizer, trainer: new Trainer(model, { optimizer, loss: 'crossEntropy', metrics: ['accuracy', 'f1', 'rocAuc'] }) }
}
const options = (compile: boolean): train.FitOptions => ({
  epochs: 2,
  batchSize: 4,
  accumulate: 4,
  seed: 11,
  clipNorm: 1,
  schedule: optim.linearWarmup(0.2),
  verbose: false,
  compile,
  validation: 0.1,
  augment: (x: Tensor) => augment(x, { flip: true, pad: 1 }),
  callbacks: [new train.EarlyStopping({ patience: 5, restoreBest: true })],
})
const outcome = async ({ model, optimizer }: { model: nn.Module; optimizer: optim.Optimizer }): Promise<string> =>
  hash({ ...model.stateDict(), ...optimizer.stateDict().tensors })

describe('resume', () => {
  for (const compile of [true, false]) {
    test(`at each of 60 batches, ${compile ? 'compiled' : 'eager'}`, async () => {
      const own = join(folder, `each-${compile}`)
      // 132 samples, of which 13 are held out: 119, in batches of 4: 30 an epoch, the last of 3; groups of 4 batches, the last of 2.
      const all = images(132)
      const whole = setUp()
      const history = await whole.trainer.fit(all, {
        ...options(compile),
        checkpointDir: own,
        checkpointEvery: 1,
        checkpointKeep: Infinity,
      })
      const expected = await outcome(whole)
      const files = (await readdir(own)).sort()
      expect(files.length).toBe(60)
      let equal = 0
      for (const file of files) {
        const resumed = setUp()
        const again = await resumed.trainer.fit(all, { ...options(compile), resume: join(own, file) })
        expect(timeless(again)).toEqual(timeless(history))
        if ((await outcome(resumed)) === expected) equal++
      }
      expect(equal).toBe(60)
    })
  }

  test('augmentation by the loader, batches of a stream, plateau schedule', async () => {
    const own = join(folder, 'loader')
    const fit = async (extra: train.FitOptions): Promise<[string, unknown]> => {
      const one = setUp()
      const history = await one.trainer.fit(pictures, {
        epochs: 3,
        batchSize: 16,
        seed: 5,
        verbose: false,
        augment: { flip: true, pad: 1, cutout: 2 },
        schedule: optim.reduceLROnPlateau({ patience: 0, threshold: 0.5 }),
        ...extra,
      })
      return [await outcome(one), timeless(history)]
    }
    const expected = await fit({ checkpointDir: own, checkpointEvery: 5, checkpointKeep: Infinity })
    const files = await readdir(own)
    expect(files.length).toBe(4)
    for (const file of files) expect(await fit({ resume: join(own, file) })).toEqual(expected)
  })

  test('true goes on from the newest checkpoint, or begins', async () => {
    const own = join(folder, 'newest')
    const fit = async (epochs: number): Promise<{ epochs: number; hash: string }> => {
      const model = classifier(0.2)
      const trainer = new Trainer(model, { loss: 'crossEntropy' })
      const history = await trainer.fit(clusters(60), { epochs, seed: 2, verbose: false, checkpointDir: own, resume: true })
      return { epochs: history.epochs.length, hash: await hash(model.stateDict()) }
    }
    await fit(2)
    const resumed = await fit(4)
    expect(resumed.epochs).toBe(4)
    // Two stay by default.
    expect((await readdir(own)).length).toBe(2)
    await rm(own, { recursive: true })
    expect(await fit(4)).toEqual(resumed)
  })

  test('a stop by AbortSignal leaves a checkpoint that goes on exactly', async () => {
    const own = join(folder, 'abort')
    const run = async (extra: train.FitOptions): Promise<string> => {
      const model = classifier(0.2)
      await new Trainer(model, { loss: 'crossEntropy' }).fit(clusters(90), { epochs: 3, batchSize: 8, seed: 4, verbose: false, ...extra })
      return hash(model.stateDict())
    }
    const expected = await run({})
    const controller = new AbortController()
    const stopper: train.Callback = {
      onBatchEnd: (_, { index }) => {
        if (index === 17) controller.abort()
      },
    }
    await expect(run({ signal: controller.signal, callbacks: [stopper], checkpointDir: own, checkpointEvery: 1000 })).rejects.toMatchObject(
      { code: 'ERR_CANCELLED', message: expect.stringContaining(own) as string },
    )
    expect(await run({ resume: true, checkpointDir: own })).toBe(expected)
  })

  test('within an epoch other batches, metrics or groups are refused and change nothing; between epochs they are taken', async () => {
    const own = join(folder, 'within')
    const run = (samples: number, metrics: string[], extra: train.FitOptions): [nn.Module, () => Promise<train.History>] => {
      const model = classifier(0.2)
      const trainer = new Trainer(model, { loss: 'crossEntropy', metrics })
      return [model, () => trainer.fit(clusters(samples), { epochs: 2, batchSize: 10, seed: 4, verbose: false, ...extra })]
    }
    const controller = new AbortController()
    const stopper: train.Callback = { onBatchEnd: (_, { index }) => { if (index === 4) controller.abort() } }
    await run(90, ['accuracy'], { signal: controller.signal, callbacks: [stopper], checkpointDir: own, checkpointEvery: 1000 })[1]().catch(() => {})
    const [file] = await readdir(own)
    const path = join(own, file as string)
    const wrong: [samples: number, metrics: string[], extra: train.FitOptions, message: RegExp][] = [
      [90, ['accuracy'], { batchSize: 50 }, /no state of a loader of 2 batches/],
      [90, ['accuracy'], { batchSize: 5 }, /batchSize 5 here, 10 there/],
      [80, ['accuracy'], {}, /samples 80 here, 90 there/],
      [20, ['accuracy'], {}, /no state of a loader of 2 batches/],
      [90, ['accuracy'], { shuffle: false }, /shuffle false here, true there/],
      [90, ['accuracy'], { accumulate: 2 }, /accumulate: 2 here, 1 in the file/],
      [90, ['f1'], {}, /metrics: f1 here, accuracy in the file/],
      [90, ['top2'], {}, /metrics: top2 here/],
      [90, [], {}, /metrics: none here/],
    ]
    for (const [samples, metrics, extra, message] of wrong) {
      const [model, fit] = run(samples, metrics, { ...extra, resume: path })
      const before = await hash(model.stateDict())
      const error = await fit().catch((reason: unknown) => reason)
      expect(error, String(message)).toBeInstanceOf(CheckpointError)
      expect((error as Error).message).toMatch(/lies within an epoch, which other options cannot end; nothing was changed/)
      expect((error as Error).message).toMatch(message)
      expect(await hash(model.stateDict())).toBe(before)
    }
    const [, between] = run(90, ['accuracy'], { epochs: 1, checkpointDir: join(own, 'between') })
    await between()
    const [, goesOn] = run(80, ['f1'], { batchSize: 20, accumulate: 2, shuffle: false, checkpointDir: join(own, 'between'), resume: true })
    expect((await goesOn()).epochs.length).toBe(2)
    // A file from before these were kept is taken.
    const { tensors, metadata } = await train.loadSafetensors(path)
    const plain = JSON.parse(metadata.checkpoint as string) as { loader: Record<string, unknown>; [name: string]: unknown }
    const { metrics: _, accumulate: __, loader: { epoch, position, seed }, ...others } = plain
    const old = join(own, 'old.safetensors')
    await train.saveSafetensors(old, tensors, { metadata: { ...metadata, checkpoint: JSON.stringify({ ...others, loader: { epoch, position, seed } }) } })
    expect((await run(90, ['accuracy'], { resume: old })[1]()).epochs.length).toBe(2)
  })

  test('a stop in the midst of validation, also twice, leaves a checkpoint that goes on with the validation', async () => {
    const own = join(folder, 'validation')
    const held = clusters(30)
    const run = async (stopAt: number, extra: train.FitOptions = {}): Promise<[string, unknown]> => {
      const one = { model: classifier(0.2) }
      const optimizer = new optim.AdamW(one.model.parameters())
      const controller = new AbortController()
      let asked = 0
      const validation = {
        length: 30,
        get: (i: number) => {
          if (++asked === stopAt) controller.abort()
          return { inputs: held.inputs[i], labels: held.labels[i] }
        },
      }
      const history = await new Trainer(one.model, { optimizer, loss: 'crossEntropy', metrics: ['accuracy', 'f1'] }).fit(clusters(90), {
        epochs: 3,
        batchSize: 8,
        accumulate: 5,
        seed: 4,
        verbose: false,
        validation,
        validationBatchSize: 4,
        schedule: optim.linearWarmup(0.3),
        signal: controller.signal,
        ...extra,
      })
      return [await outcome({ ...one, optimizer }), timeless(history)]
    }
    const expected = await run(Infinity)
    // In the first epoch's validation, in the second's, and once more in the second's, where the resumed run begins.
    for (const [stopAt, batches] of [[13, 12], [48, 24], [9, 24]] as const) {
      const error = await run(stopAt, { checkpointDir: own, resume: true }).then(
        () => 'was not cancelled',
        (reason: unknown) => reason as Error,
      )
      expect(error).toMatchObject({ code: 'ERR_CANCELLED', message: expect.stringContaining(own) as string })
      expect((await readdir(own)).sort().at(-1)).toBe(`checkpoint-000000${batches}.safetensors`)
    }
    expect(await run(Infinity, { checkpointDir: own, resume: true })).toEqual(expected)
  })

  test('a checkpoint that a callback saves after a batch, also after the last one of an epoch, goes on exactly', async () => {
    const own = join(folder, 'callback')
    const run = async (extra: train.FitOptions): Promise<string> => {
      const model = classifier(0.2)
      await new Trainer(model, { loss: 'crossEntropy', metrics: ['accuracy'] }).fit(clusters(50), {
        epochs: 2,
        batchSize: 10,
        seed: 6,
        verbose: false,
        ...extra,
      })
      return hash(model.stateDict())
    }
    const saver: train.Callback = { onBatchEnd: (context, { index }) => context.saveCheckpoint(join(own, `${index}.safetensors`)) }
    await mkdir(own)
    const expected = await run({ callbacks: [saver] })
    for (let index = 0; index < 10; index++) expect([index, await run({ resume: join(own, `${index}.safetensors`) })]).toEqual([index, expected])
  })

  test('a checkpoint names the model, its data and what the caller adds', async () => {
    const own = join(folder, 'named')
    const set = data.dataset({ ...clusters(12), classes: ['a', 'b', 'c'] })
    await new Trainer(classifier(), { loss: 'crossEntropy' }).fit((await data.normalise({ train: set })).train, {
      verbose: false,
      checkpointDir: own,
      metadata: { id: 'clusters-mlp' },
    })
    const [file] = await readdir(own)
    const { metadata } = await train.inspectSafetensors(join(own, file as string))
    const { model } = JSON.parse(metadata.checkpoint as string) as { model: Record<string, unknown> }
    expect(model).toMatchObject({
      class: 'Sequential',
      classes: ['a', 'b', 'c'],
      inputShape: [4],
      id: 'clusters-mlp',
      normalisation: { mean: expect.any(Array) as number[] },
    })
  })

  test('model.load takes the weights of a checkpoint, and says what does not fit', async () => {
    const own = join(folder, 'weights')
    const model = classifier()
    await new Trainer(model, { loss: 'crossEntropy' }).fit(clusters(12), { verbose: false, checkpointDir: own })
    const [file] = await readdir(own)
    const path = join(own, file as string)
    const other = classifier()
    expect(await other.load(path)).toEqual({ missing: [], unexpected: [] })
    expect(await hash(other.stateDict())).toBe(await hash(model.stateDict()))
    await expect(other.load(path, { from: 'torch' })).rejects.toThrow(/is a checkpoint of Ferrograd's, not a file of PyTorch's; nothing was changed.\n {2}Leave from out/)
    const foreign = new nn.Linear(4, 3)
    const error = await foreign.load(path).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(CheckpointError)
    expect((error as Error).message).toMatch(/None of its keys is one of the model/)
    expect((error as Error).message).not.toContain('strict: false')
  })

  test('a checkpoint of another model, optimizer or schedule, and a file of weights, are refused and change nothing', async () => {
    const own = join(folder, 'other')
    await new Trainer(classifier(), { loss: 'crossEntropy' }).fit(clusters(12), { verbose: false, checkpointDir: own })
    const [file] = await readdir(own)
    const path = join(own, file as string)
    const other = new nn.Sequential(new nn.Linear(4, 8), new nn.ReLU(), new nn.Linear(8, 3), new nn.Linear(3, 3))
    const before = await hash(other.stateDict())
    const error = await new Trainer(other, { loss: 'crossEntropy' })
      .fit(clusters(12), { verbose: false, resume: path })
      .catch((reason: unknown) => reason as Error)
    expect(error).toBeInstanceOf(CheckpointError)
    const message = (error as Error).message
    expect(message).toContain('checkpoint of another model')
    expect(message).toContain('0.weight: float32 [8, 4] here, float32 [16, 4] in the file')
    expect(message).toContain('missing in the file')
    expect(await hash(other.stateDict())).toBe(before)

    const same = (): Trainer => new Trainer(classifier(), { loss: 'crossEntropy', optimizer: 'sgd' })
    await expect(same().fit(clusters(12), { verbose: false, resume: path })).rejects.toThrow(/the state is one of Adam/)
    await expect(
      new Trainer(classifier(), { loss: 'crossEntropy' }).fit(clusters(12), { verbose: false, resume: path, schedule: optim.linear() }),
    ).rejects.toThrow(/without a schedule/)
    const weights = join(folder, 'weights.safetensors')
    await classifier().save(weights)
    await expect(same().fit(clusters(12), { verbose: false, resume: weights })).rejects.toThrow(/holds weights but no training state/)
  })
})
