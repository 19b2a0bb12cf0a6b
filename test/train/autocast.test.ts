// `new Trainer(model, { autocast: 'bfloat16' })`: training, measuring and predicting in mixed precision, with float32 weights and outputs.
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { autocast, CheckpointError, data, isAutocastEnabled, manualSeed, models, nn, noGrad, optim, type Tensor, tensor, train, Trainer, ValueError } from '../../ts/index.js'
import { classifier, clusters, cnn, hash, images, timeless } from './support.js'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ferrograd-autocast-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

/** The newest checkpoint, or one before it. */
const newest = async (checkpointDir: string, before = 0): Promise<string> => join(checkpointDir, (await readdir(checkpointDir)).sort().at(-1 - before)!)

const mixed = { autocast: 'bfloat16', loss: 'crossEntropy', metrics: ['accuracy'] } as const satisfies train.TrainerOptions

describe('digits are learnt as well as in float32', () => {
  test.each([
    ['a CNN', () => models.lenet(), 32, 4, 2e-3],
    ['a residual network', () => models.resnet20({ inChannels: 1, classes: 10, width: 8, zeroInitResidual: true }), 8, 3, 3e-3],
    ['a densely connected one, computed again', () => models.densenet({ inChannels: 1, growthRate: 8, blockConfig: [2, 2], memoryEfficient: true }), 8, 3, 3e-3],
  ] as [string, () => nn.Module, number, number, number][])('%s', async (_, make, size, epochs, lr) => {
    const { train, test } = await data.digits({ size })
    const accuracy = await Promise.all([{}, { autocast: 'bfloat16' } as const].map(async (option) => {
      manualSeed(0)
      const model = make()
      const trainer = new Trainer(model, { optimizer: new optim.Adam(model.parameters(), { lr }), loss: 'crossEntropy', metrics: ['accuracy'], ...option })
      await trainer.fit(train, { epochs, batchSize: 32, seed: 0, schedule: optim.cosineWarmup(0.1), verbose: false })
      expect(model.parameters().every(({ dtype }) => dtype === 'float32')).toBe(true)
      return (await trainer.evaluate(test)).accuracy as number
    }))
    const [plain, cast] = accuracy as [number, number]
    expect(plain).toBeGreaterThan(0.88)
    expect(cast).toBeGreaterThan(plain - 0.03)
  })
})

describe('a run', () => {
  const setUp = (options: train.TrainerOptions = mixed): { model: nn.Sequential; trainer: Trainer } => {
    const model = cnn()
    return { model, trainer: new Trainer(model, { optimizer: 'adam', lr: 0.01, ...options }) }
  }
  const options = { epochs: 2, batchSize: 16, seed: 5, verbose: false, validation: 0.2 } as const

  test('calls model and loss in the mode, and nothing else', async () => {
    const seen: Record<string, boolean[]> = { forward: [], loss: [], metric: [], callback: [], augment: [] }
    class Watched extends nn.Module {
      layer = new nn.Linear(4, 3)
      forward(x: Tensor): Tensor {
        seen.forward!.push(isAutocastEnabled())
        return this.layer.forward(x)
      }
    }
    class Watching extends train.metrics.Accuracy {
      override update(...args: Parameters<train.metrics.Accuracy['update']>): void {
        seen.metric!.push(isAutocastEnabled())
        expect(args[0].dtype).toBe('float32')
        super.update(...args)
      }
    }
    const trainer = new Trainer(new Watched(), {
      autocast: 'bfloat16', metrics: [new Watching()], task: 'multiclass',
      loss: (output: Tensor, labels: Tensor) => { seen.loss!.push(isAutocastEnabled()); expect(output.dtype).toBe('bfloat16'); return nn.crossEntropy(output, labels) },
    })
    await trainer.fit(clusters(60), {
      ...options, augment: (x: Tensor) => { seen.augment!.push(isAutocastEnabled()); return x }, callbacks: [{ onBatchEnd: () => { seen.callback!.push(isAutocastEnabled()) } }],
    })
    await trainer.evaluate(clusters(30))
    for (const [where, on] of Object.entries({ forward: true, loss: true, metric: false, callback: false, augment: false })) {
      expect(seen[where]!.length, where).toBeGreaterThan(0)
      expect(new Set(seen[where]), where).toEqual(new Set([on]))
    }
  })

  test('gives float32 outputs, which are those of autocast', async () => {
    const { model, trainer } = setUp()
    await trainer.fit(images(60), options)
    const { inputs, labels } = images(12)
    const x = tensor(inputs)
    const output = await trainer.predict(x)
    expect(output.dtype).toBe('float32')
    model.eval()
    const byHand = noGrad(() => autocast(() => model.forward(x) as Tensor))
    expect(byHand.dtype).toBe('bfloat16')
    expect(await output.tolist()).toEqual(await byHand.tolist())
    expect((await trainer.predictProbabilities(x)).dtype).toBe('float32')
    expect(await trainer.predictClasses(x)).toEqual(await byHand.argmax(-1).tolist())
    const { loss } = await trainer.evaluate({ inputs, labels })
    expect(loss).toBeCloseTo(await nn.crossEntropy(byHand.to('float32'), tensor(labels, { dtype: 'int32' })).item(), 6)
  })

  test('compiled or not, stopped and resumed or not, has the same bits; float32 has others', async () => {
    const checkpointDir = join(folder, 'resume')
    const whole = setUp()
    const history = timeless(await whole.trainer.fit(images(60), { ...options, checkpointDir, checkpointEvery: 2, checkpointKeep: Infinity }))
    const expected = await hash(whole.model.stateDict())
    for (const extra of [{ compile: false }, { resume: await newest(checkpointDir, 1) }]) {
      const again = setUp()
      expect(timeless(await again.trainer.fit(images(60), { ...options, ...extra }))).toEqual(history)
      expect(await hash(again.model.stateDict())).toBe(expected)
    }
    const plain = setUp({ loss: 'crossEntropy', metrics: ['accuracy'] })
    await plain.trainer.fit(images(60), options)
    expect(await hash(plain.model.stateDict())).not.toBe(expected)
  })

  test('is not resumed in another precision', async () => {
    const file = async (name: string, options: train.TrainerOptions): Promise<string> => {
      const checkpointDir = join(folder, name)
      await setUp(options).trainer.fit(images(60), { epochs: 1, batchSize: 60, verbose: false, checkpointDir })
      return newest(checkpointDir)
    }
    const plain = { loss: 'crossEntropy' } as const
    const [wide, narrow] = [await file('wide', plain), await file('narrow', mixed)]
    const resume = async (path: string, options: train.TrainerOptions): Promise<string> => {
      const { model, trainer } = setUp(options)
      const before = await hash(model.stateDict())
      const error: unknown = await trainer.fit(images(60), { epochs: 2, batchSize: 60, verbose: false, resume: path }).then(() => null, (reason: unknown) => reason)
      expect(error).toBeInstanceOf(CheckpointError)
      expect(await hash(model.stateDict())).toBe(before)
      return (error as Error).message.replace(folder, '')
    }
    expect(`${await resume(narrow, plain)}\n${await resume(wide, mixed)}`).toMatchInlineSnapshot(`
      "resume: /narrow/checkpoint-00000001.safetensors was written with autocast: 'bfloat16', the trainer has no autocast.
        Resume with the options the run began with.
      resume: /wide/checkpoint-00000001.safetensors was written with no autocast, the trainer has autocast: 'bfloat16'.
        Resume with the options the run began with."
    `)
  })

  test('with lazy layers makes float32 weights', async () => {
    const model = new nn.Sequential(new nn.LazyLinear(16), new nn.ReLU(), new nn.LazyLinear(3))
    await new Trainer(model, mixed).fit(clusters(30), { verbose: false })
    expect(model.parameters().map(({ dtype }) => dtype)).toEqual(Array(4).fill('float32'))
  })
})

test('other dtypes are refused', () => {
  const message = (autocast: unknown): string => {
    try {
      new Trainer(classifier(), { ...mixed, autocast: autocast as 'bfloat16' })
    } catch (error) {
      expect(error).toBeInstanceOf(ValueError)
      return (error as Error).message
    }
    return 'nothing'
  }
  expect(['float16', true, 16].map(message).join('\n')).toMatchInlineSnapshot(`
    "Trainer: autocast is 'float16'; it must be 'bfloat16', or left out.
      To compute in another dtype throughout, convert the model: model.to('float64').
    Trainer: autocast is true; it must be 'bfloat16', or left out.
      To compute in another dtype throughout, convert the model: model.to('float64').
    Trainer: autocast is 16; it must be 'bfloat16', or left out.
      To compute in another dtype throughout, convert the model: model.to('float64')."
  `)
})
