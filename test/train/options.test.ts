import { expect, test } from 'vitest'
import { nn, optim, type Tensor, train, Trainer, ValueError } from '../../ts/index.js'
import { fitOptionNames, normaliseOptions, toClassWeights, trainerOptionNames } from '../../ts/train/options.js'

test('every option of fit and Trainer is known by name', () => {
  // The compiler counts the keys, the test compares.
  const fit: Record<keyof train.FitOptions, true> = {
    epochs: true, batchSize: true, validation: true, validationBatchSize: true, shuffle: true, seed: true, augment: true, clipNorm: true,
    clipValue: true, accumulate: true, schedule: true, callbacks: true, signal: true, checkpointDir: true, checkpointEvery: true,
    checkpointKeep: true, resume: true, metadata: true, classWeights: true, compile: true, verbose: true, stream: true,
  }
  const trainer: Record<keyof train.TrainerOptions, true> = {
    optimizer: true, lr: true, loss: true, lossOptions: true, fromLogits: true, task: true, metrics: true, autocast: true, vectorizer: true,
  }
  expect([...fitOptionNames].sort()).toEqual(Object.keys(fit).sort())
  expect([...trainerOptionNames].sort()).toEqual(Object.keys(trainer).sort())
})

test('Keras words become ours, however they are spelled', () => {
  const known = [...new Set([...fitOptionNames, ...trainerOptionNames])]
  for (const [word, name] of Object.entries(train.kerasWords)) {
    expect([word, normaliseOptions({ [word]: 1 }, known, 'fit')]).toEqual([word, { [name]: 1 }])
  }
  expect(normaliseOptions({ batch_size: 8, validation_split: 0.2, class_weight: [1], verbose: 0 }, known, 'fit')).toEqual({
    batchSize: 8, validation: 0.2, classWeights: [1], verbose: false,
  })
  expect(normaliseOptions({ epochs: undefined }, known, 'fit')).toEqual({})
  expect(() => normaliseOptions({ validation: 1, validation_data: 2 }, known, 'fit')).toThrow(/'validation' is given twice/)
  expect(() => normaliseOptions({ constructor: 1 }, known, 'fit')).toThrow(/no option 'constructor'/)
})

test('class weights by number or by list', () => {
  expect(toClassWeights({ 1: 5, 3: 2 })?.(5)).toEqual([1, 5, 1, 2, 1])
  expect(toClassWeights({ b: 5 }, ['a', 'b', 'c'])?.(3)).toEqual([1, 5, 1])
  expect(toClassWeights([1, 2])?.(2)).toEqual([1, 2])
  expect(() => toClassWeights({ 3: 2 })?.(3)).toThrow(/^fit: classWeights has a weight for class 3, but there are 3 classes/)
  expect(() => toClassWeights([1, 2])?.(3)).toThrow(/^fit: classWeights has 2 weights, but there are 3 classes\.\n {2}Give a weight a class/)
  expect(toClassWeights(undefined)).toBeUndefined()
})

test('the history finds the best epoch by the figure\'s name', () => {
  const epochs = [0.5, 0.3, 0.4].map((loss, epoch) => ({ epoch, loss, accuracy: loss, lr: 1, seconds: 1 }))
  const history = new train.History(epochs)
  expect(history.best('loss')?.epoch).toBe(1)
  expect(history.best('accuracy')?.epoch).toBe(0)
  expect(history.best('nothing')).toBeUndefined()
  expect(history.get('nothing')).toEqual([NaN, NaN, NaN])
})

test('optimizers by name are those of optim', () => {
  expect(optim.GD.prototype).toBeInstanceOf(optim.SGD)
  expect(optim.AdamW.prototype).toBeInstanceOf(optim.Adam)
})

const fit = (options: object): Promise<unknown> =>
  new Trainer(new nn.Linear(1, 1), { loss: 'mse', optimizer: 'sgd' }).fit({ inputs: [[1], [2]], labels: [[1], [2]] }, { verbose: false, ...options })

test('what makes no optimizer, loss or metric is refused when the trainer is made, with the way out', () => {
  const wrong: [options: object, message: RegExp][] = [
    [{ optimizer: optim.Adam }, /^Trainer: optimizer is the class Adam, not made yet.\n {2}Give its name, 'adam', or make it of the parameters: \(params\) => new optim.Adam\(params/],
    [{ optimizer: class Mine extends optim.Adam {} }, /\n {2}Make it of the parameters: \(params\) => new optim.Mine/],
    [{ optimizer: 'adamx' }, /^optimizer: none is named 'adamx'.\n {2}Did you mean 'adam'\? There are gd, sgd/],
    [{ optimizer: 3 }, /^Trainer: optimizer is of the type number/],
    [{ optimizer: new optim.Adam(new nn.Linear(1, 1).parameters()), lr: 1 }, /its own rate/],
    [{ loss: nn.MSELoss }, /^loss: MSELoss is a class, not a loss made of it.\n {2}Make one: new nn.MSELoss\(\)/],
    [{ loss: class Own { forward(): null { return null } } }, /Make one: new Own\(\)/],
    [{ loss: 3 }, /^loss: a name, a function or a loss module is wanted, got number/],
    [{ metrics: 'mae' }, /^Trainer: metrics is a list, got 'mae'.\n {2}Put 'mae' in brackets: metrics: \['mae'\]/],
    [{ metrics: { mae: true } }, /^Trainer: metrics is a list, got object/],
    [{ metrics: [train.metrics.Accuracy] }, /^metrics: Accuracy is a class, not a metric made of it.\n {2}Make one: new metrics.Accuracy\(\)/],
    [{ metrics: [1] }, /^metrics: one is of the type number/],
  ]
  for (const [options, message] of wrong) {
    const make = (): unknown => new Trainer(new nn.Linear(1, 1), options)
    expect(make, String(message)).toThrow(ValueError)
    expect(make).toThrow(message)
  }
  new Trainer(new nn.Linear(1, 1), { optimizer: 'AdamW', lr: 0.1, loss: new nn.MSELoss(), metrics: [train.metrics.mae, new train.metrics.Accuracy(), 'f1'] })
  expect(() => new Trainer(new nn.Linear(1, 1), { optimizer: (() => 'adam') as never }).optimizer).toThrow(/^Trainer: the function given as optimizer made string/)
})

test('what is no model is refused when the trainer is made; what its forward gives, in the first step', async () => {
  // @ts-expect-error JavaScript lets one forget it.
  class Bare extends nn.Module {}
  const wrong: [model: unknown, message: RegExp][] = [
    [null, /^Trainer: the model must be an nn.Module, got null\.\n {2}new Trainer\(new nn.Sequential/],
    [undefined, /got undefined/],
    [{ forward: () => null }, /got Object/],
    [(x: unknown) => x, /^Trainer: the model must be an nn.Module, got the function .*\n {2}Put it into one: class Net extends nn.Module/],
    [nn.Linear, /^Trainer: the model is the class Linear, not made yet\.\n {2}Make one: new nn.Linear\(\.\.\.\)/],
    [new Bare(), /^Trainer: the model Bare has no forward\.\n {2}Give it one/],
  ]
  for (const [model, message] of wrong) {
    expect(() => new Trainer(model as never), String(message)).toThrow(message)
    expect(() => new Trainer(model as never)).toThrow(ValueError)
  }
  expect(() => new Trainer(new nn.Linear(1, 1), null as never)).toThrow(/^Trainer: takes its options as one object, as in \{ optimizer: \.\.\. \}, got null/)

  class Net extends nn.Module {
    layer = new nn.Linear(1, 1)
    readonly #give: (y: unknown) => unknown
    constructor(give: (y: unknown) => unknown) {
      super()
      this.#give = give
    }
    forward(x: Tensor): unknown { return this.#give(this.layer.forward(x)) }
  }
  const gives: [give: (y: unknown) => unknown, message: RegExp][] = [
    [() => undefined, /^Net.forward: must give a tensor, or a record whose logits are one, got undefined\.\n {2}A return is missing, perhaps/],
    [(y) => [y], /got array/],
    [async (y) => y, /^Net.forward: gave a promise\.\n {2}A forward may not be async/],
    [async () => { throw new Error('late') }, /gave a promise/],
  ]
  const points = { inputs: [[1], [2]], labels: [[1], [2]] }
  for (const [give, message] of gives) {
    for (const compile of [true, false]) {
      const trainer = new Trainer(new Net(give), { loss: 'mse' })
      for (const call of [() => trainer.fit(points, { verbose: false, compile }), () => trainer.evaluate(points), () => trainer.predict([[1], [2]])]) {
        const error = await call().catch((reason: unknown) => reason)
        expect(error, String(message)).toBeInstanceOf(ValueError)
        expect((error as Error).message).toMatch(message)
      }
    }
  }
})

test('options that would change nothing beside the loss are refused', () => {
  const own = (): Tensor => { throw new Error('not called') }
  const wrong: [options: object, message: RegExp][] = [
    [{ loss: own, lossOptions: { delta: 1 } }, /^Trainer: lossOptions would change nothing: the loss is a function of your own/],
    [{ loss: new nn.HuberLoss(), lossOptions: { delta: 1 } }, /^Trainer: lossOptions would change nothing: a loss module has its own options/],
    [{ loss: own, fromLogits: true }, /^Trainer: fromLogits would change nothing: .*\n {2}Pass task: 'multiclass' or 'binary' too/],
    [{ loss: new nn.CrossEntropyLoss(), fromLogits: false }, /^Trainer: fromLogits: false does not go with CrossEntropyLoss: it takes logits, as it was made/],
    [{ loss: 'mse', fromLogits: false }, /^Trainer: fromLogits: false does not go with mse: its outputs are quantities/],
    [{ loss: 'bceWithLogits', fromLogits: false }, /does not go with bceWithLogits: it takes logits alone/],
    [{ loss: 'mse', task: 'binery' }, /^Trainer: task is "binery"; it must be one of multiclass, binary, regression, other\. Did you mean 'binary'\?/],
    [{ loss: 'bce', fromLogits: 'yes' }, /^Trainer: fromLogits is "yes"; it must be true or false/],
  ]
  for (const [options, message] of wrong) {
    const make = (): unknown => new Trainer(new nn.Linear(1, 1), options)
    expect(make, String(message)).toThrow(ValueError)
    expect(make).toThrow(message)
  }
  for (const options of [
    { loss: own, task: 'binary', fromLogits: false }, { loss: nn.huber, lossOptions: { delta: 2 } }, { loss: 'bce', fromLogits: true },
    { loss: new nn.CrossEntropyLoss({ fromLogits: false }), fromLogits: false }, { loss: 'bceWithLogits', fromLogits: true },
  ]) new Trainer(new nn.Linear(1, 1), options as train.TrainerOptions)
})

test('values that mean nothing are refused before anything runs', async () => {
  const checkpointDir = 'nowhere'
  const wrong: [options: object, message: RegExp][] = [
    [{ checkpointDir, checkpointEvery: 'step' }, /^fit: checkpointEvery is 'step'; it must be 'epoch', or a whole number of batches of at least 1\.$/],
    [{ checkpointDir, checkpointEvery: 'epochs' }, /Did you mean 'epoch'\?/],
    [{ checkpointDir, checkpointEvery: 0 }, /checkpointEvery is 0/],
    [{ checkpointDir, checkpointEvery: 1.5 }, /checkpointEvery is 1.5/],
    [{ checkpointDir, checkpointKeep: -1 }, /^fit: checkpointKeep is -1; it must be a whole number of at least 1, or Infinity for all/],
    [{ checkpointDir, checkpointKeep: 0 }, /checkpointKeep is 0/],
    [{ checkpointDir: '' }, /checkpointDir is ''/],
    [{ checkpointEvery: 5 }, /^fit: checkpointEvery without checkpointDir would write nothing/],
    [{ checkpointKeep: 5 }, /^fit: checkpointKeep without checkpointDir/],
    [{ resume: 1 }, /resume is 1/],
    [{ resume: true }, /wants checkpointDir/],
    [{ compile: 'no' }, /^fit: compile is 'no'; it must be true or false/],
    [{ shuffle: 'batch' }, /shuffle is 'batch'/],
    [{ verbose: 'line' }, /Did you mean 'lines'\?/],
    [{ epochs: '3' }, /epochs is '3'; it must be a whole number/],
    [{ epochs: 0 }, /epochs is 0/],
    [{ batch_size: NaN }, /batchSize is NaN/],
    [{ seed: 0.5 }, /seed is 0.5/],
    [{ clipNorm: 0 }, /clipNorm is 0; it must be a number above 0/],
    [{ clipValue: '1' }, /clipValue is '1'/],
    [{ validation: 'some' }, /validation is 'some'/],
    [{ augment: 'flip' }, /augment is 'flip'/],
    [{ metadata: [1] }, /metadata is a list/],
    [{ metadata: { run: { id: 5n } } }, /^fit: metadata.run.id is a bigint; it must be plain data/],
    [{ metadata: { make: () => 1 } }, /metadata.make is a function/],
    [{ signal: new AbortController() }, /signal is of the class AbortController; it must be an AbortSignal, as an AbortController's signal/],
    [{ stream: {} }, /stream is of the class Object/],
  ]
  for (const [options, message] of wrong) {
    const ran: train.Callback = { onFitStart: () => { throw new Error('it ran') } }
    const error = await fit({ callbacks: [ran], ...options }).catch((reason: unknown) => reason)
    expect(error, String(message)).toBeInstanceOf(ValueError)
    expect((error as Error).message).toMatch(message)
  }
})

test('what is no schedule is refused, with the way to one', async () => {
  const wrong: [unknown, RegExp][] = [
    ['cosine', /^fit: schedule is 'cosine'.\n {2}Give one that is made: optim\./],
    ['steplr', /optim.stepLR\(\.\.\.\)/],
    [0.1, /^fit: schedule is 0.1/],
    [{ stepSize: 1 }, /^fit: schedule is/],
    [optim.stepLR, /^fit: schedule is the function optim.stepLR itself.\n {2}Call it: optim.stepLR\(\.\.\.\)/],
    [optim.oneCycle, /Call it: optim.oneCycle/],
    [optim.reduceLROnPlateau, /Call it: optim.reduceLROnPlateau/],
    [optim.StepLR, /^fit: schedule is the class StepLR.\n {2}Give a schedule: new optim.StepLR\(optimizer, \.\.\.\)/],
    [() => () => 1, /^fit: the function given as schedule made function instead of a schedule/],
    [() => undefined, /^fit: the function given as schedule made undefined/],
  ]
  for (const [schedule, message] of wrong) {
    const error = await fit({ schedule }).catch((reason: unknown) => reason)
    expect(error, String(schedule)).toBeInstanceOf(ValueError)
    expect((error as Error).message).toMatch(message)
  }
  await fit({ schedule: optim.stepLR({ stepSize: 1 }) })
  await fit({ schedule: (optimizer: optim.Optimizer) => new optim.LambdaLR(optimizer, () => 1) })
})

test('a callback that would hear of nothing is refused, with the nearest hook', async () => {
  class Log { note(): void {} }
  const wrong: [unknown, RegExp][] = [
    [[() => {}], /^fit: callbacks\[0\] is a function; a callback is an object with hooks/],
    [[null], /^fit: callbacks\[0\] is null/],
    [['EarlyStopping'], /^fit: callbacks\[0\] is a string/],
    [[train.StopOnNaN], /^fit: callbacks\[0\] is a function/],
    [new train.StopOnNaN(), /^fit: callbacks is a list of callbacks, got object/],
    [[new train.StopOnNaN(), { onEpochFinish() {} }], /^fit: callbacks\[1\] has 'onEpochFinish', which is none of the hooks. Did you mean 'onEpoch(Start|End)'\?/],
    [[{ onEpochEnd() {}, onBatchend() {} }], /'onBatchend', which is none of the hooks. Did you mean 'onBatchEnd'\?/],
    [[{ on_epoch_end() {} }], /Did you mean 'onEpochEnd'\?/],
    [[{ epochEnd() {} }], /has 'epochEnd', which is none of the hooks. Did you mean 'onEpochEnd'\?/],
    [[{}], /^fit: callbacks\[0\] has no hook.\n {2}There are onFitStart/],
    [[new Log()], /has no hook/],
  ]
  for (const [callbacks, message] of wrong) {
    const error = await fit({ callbacks }).catch((reason: unknown) => reason)
    expect(error, String(message)).toBeInstanceOf(ValueError)
    expect((error as Error).message).toMatch(message)
  }
  const heard: string[] = []
  class Mine { prefix = 'epoch '; onEpochEnd(_: unknown, { epoch }: train.EpochLog): void { this.note(epoch) } note(epoch: number): void { heard.push(this.prefix + epoch) } }
  class Derived extends Mine {}
  await fit({ callbacks: [new Derived(), { guardNonFinite: true }] })
  expect(heard).toEqual(['epoch 0'])
})
