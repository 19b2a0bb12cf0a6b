// What would train nothing, or something else than was meant, without a word.
import { describe, expect, test } from 'vitest'
import { data, manualSeed, nn, optim, type Tensor, tensor, train, Trainer, ValueError } from '../../ts/index.js'
import { classifier, clusters, floats, hash } from './support.js'

const quiet = { verbose: false as const }
const { inputs, labels } = clusters(24)

test('labels beside the inputs are refused, with the way to write them', async () => {
  const trainer = new Trainer(classifier(), { loss: 'crossEntropy' })
  for (const second of [tensor(labels, { dtype: 'int32' }), labels, Int32Array.from(labels), data.dataset({ inputs, labels })]) {
    for (const name of ['fit', 'evaluate'] as const) {
      const error = await trainer[name](floats(inputs) as never, second as never).catch((caught: unknown) => caught)
      expect(error).toBeInstanceOf(ValueError)
      expect((error as Error).message).toContain(`${name}({ inputs: x, labels: y }`)
    }
  }
})

describe('class weights', () => {
  const fit = async (classWeights: object, names = true): Promise<string> => {
    const model = classifier()
    const source = names ? data.dataset({ inputs, labels, classes: ['ape', 'bee', 'cat'] }) : { inputs, labels }
    await new Trainer(model, { loss: 'crossEntropy' }).fit(source, { ...quiet, classWeights: classWeights as never })
    return hash(model.stateDict())
  }
  test('go by the names of the data, too', async () => {
    expect(await fit({ cat: 5 })).toBe(await fit([1, 1, 5]))
    expect(await fit({ cat: 5 })).not.toBe(await fit([1, 1, 1]))
  })
  test('that a record leaves out weigh 1, also of the last classes and with one-hot labels', async () => {
    expect(await fit({ 0: 2 }, false)).toBe(await fit([2, 1, 1], false))
    expect(await fit({ ape: 2 })).toBe(await fit([2, 1, 1]))
    const hot = labels.map((label) => [0, 1, 2].map((c) => Number(c === label)))
    const soft = async (classWeights: object): Promise<string> => {
      const model = classifier()
      await new Trainer(model, { loss: 'crossEntropy' }).fit({ inputs, labels: hot }, { ...quiet, classWeights: classWeights as never })
      return hash(model.stateDict())
    }
    expect(await soft({ 0: 5 })).toBe(await soft([5, 1, 1]))
    expect(await soft({ 0: 5 })).not.toBe(await soft([5, 5, 5]))
    await expect(soft([5])).rejects.toThrow(/^fit: classWeights has 1 weights, but there are 3 classes/)
    await expect(fit({ 3: 2 })).rejects.toThrow(/^fit: classWeights has a weight for class 3, but there are 3 classes/)
    const yesOrNo = async (classWeights: object): Promise<string> => {
      manualSeed(1)
      const model = new nn.Linear(4, 1)
      await new Trainer(model, { loss: 'bceWithLogits' }).fit({ inputs, labels: labels.map((label) => label % 2) }, { ...quiet, classWeights: classWeights as never })
      return hash(model.stateDict())
    }
    expect(await yesOrNo({ 0: 2 })).toBe(await yesOrNo([2, 1]))
  })
  test('of classes that are not there, and what is no weight, are refused', async () => {
    await expect(fit({ cap: 2 })).rejects.toThrow(/^fit: classWeights: 'cap' is no class number, and none of the data's classes. Did you mean '(cat|ape)'\?\n {2}There are ape, bee, cat/)
    await expect(fit({ cat: 2 }, false)).rejects.toThrow(/'cat' is no class number.\n {2}The data does not name its classes: write \{ 0: 1/)
    await expect(fit({ 0: -1 })).rejects.toThrow(/the weight of class 0 is -1/)
    await expect(fit({ 0: '2' })).rejects.toThrow(/the weight of class 0 is 2; it must be a finite number/)
    await expect(fit({})).rejects.toThrow(/are empty/)
    await expect(fit('balanced' as never)).rejects.toThrow(/classWeights is of the type string/)
  })
})

describe('class names as labels', () => {
  const names = labels.map((label) => ['cat', 'dog', 'eel'][label] as string)
  const only = (wanted: string): { inputs: number[][]; labels: string[] } => {
    const at = names.flatMap((name, i) => (name === wanted ? [i] : []))
    return { inputs: at.map((i) => inputs[i] as number[]), labels: at.map((i) => names[i] as string) }
  }
  const made = (): Trainer => new Trainer(classifier(), { loss: 'crossEntropy', metrics: ['accuracy'], lr: 0.05 })

  test('keep in evaluation and validation the numbers they had in training', async () => {
    const trainer = made()
    const history = await trainer.fit({ inputs, labels: names }, { ...quiet, epochs: 30, validation: only('eel') })
    expect(history.last?.valAccuracy).toBe(1)
    for (const name of ['cat', 'dog', 'eel']) expect((await trainer.evaluate(only(name))).accuracy, name).toBe(1)
    const { inputs: some, labels: dogs } = only('dog')
    expect((await trainer.evaluate([some, dogs] as never)).accuracy).toBe(1)
    // Trained on with a part of the classes, they stay what they are.
    await trainer.fit(only('eel'), { ...quiet, epochs: 1 })
    expect((await trainer.evaluate(only('eel'))).accuracy).toBe(1)
  })

  test('in batches of an iterable are refused: each batch would count them anew', async () => {
    const batches = [only('eel'), only('cat')]
    await expect(made().fit(batches as never, quiet)).rejects.toThrow(/^DataLoader: the labels of a batch are names; .*\n {2}Give class numbers/)
  })

  test('that training did not know, or counted otherwise, are refused', async () => {
    const trainer = made()
    await trainer.fit({ inputs, labels: names }, quiet)
    const fox = { inputs: [[0, 0, 0, 0]], labels: ['fox'] }
    await expect(trainer.evaluate(fox)).rejects.toThrow(/^evaluate: the label 'fox' is none of the classes that the model was trained on: cat, dog, eel\.$/)
    await expect(trainer.evaluate(data.dataset(only('dog')))).rejects.toThrow(/^evaluate: the data counts its classes as dog, the model was trained on cat, dog, eel\.\n {2}Give the data the classes of training/)
    await expect(trainer.evaluate(data.loader(only('dog')))).rejects.toThrow(/counts its classes as dog/)
    expect((await trainer.evaluate(data.dataset({ ...only('dog'), classes: ['cat', 'dog', 'eel'] }))).loss).toBeGreaterThan(0)
    await expect(made().fit({ inputs, labels: names }, { ...quiet, validation: fox })).rejects.toThrow(/^fit: validation: the label 'fox' is none/)
    await expect(made().fit({ inputs, labels }, { ...quiet, validation: only('dog') })).rejects.toThrow(/^fit: validation: the labels are names, but the training data did not name its classes/)
  })
})

describe('fit', () => {
  const fit = (trainer: Trainer): Promise<unknown> => trainer.fit({ inputs, labels }, quiet)

  test('without data, of a frozen model, and after model.to is refused, with the way out', async () => {
    const trainer = new Trainer(classifier(), { loss: 'crossEntropy' })
    await expect(trainer.fit(undefined as never)).rejects.toThrow(/^fit: the data is missing, got undefined\.\n {2}fit\(\{ inputs: x, labels: y \}\)/)
    await expect(trainer.evaluate(null as never)).rejects.toThrow(/^evaluate: the data is missing, got null/)
    await expect(trainer.predict(undefined as never)).rejects.toThrow(/^predict: the inputs are missing/)
    trainer.model.requiresGrad_(false)
    await expect(fit(trainer)).rejects.toThrow(/^fit: all of the model's parameters are frozen: there is nothing to train\.\n {2}layer.requiresGrad_\(true\)/)
    trainer.model.requiresGrad_(true)
    await fit(trainer)
    trainer.model.to('float64')
    await expect(fit(trainer)).rejects.toThrow(/belongs to the model\.\n {2}They were replaced since it was made, as by model.to\(\.\.\.\): make a new Trainer\.$/)
    await expect(fit(new Trainer(new nn.ReLU(), { loss: 'crossEntropy' }))).rejects.toThrow(/^fit: the model has no parameters/)
  })
})

test('a lazy model takes the first batch of a stream that flows once, too', async () => {
  const lazy = (): nn.Module => {
    manualSeed(1)
    return new nn.Sequential(new nn.LazyLinear(8), new nn.ReLU(), new nn.Linear(8, 3))
  }
  const fit = async (source: unknown, options: train.FitOptions): Promise<[number, string]> => {
    const model = lazy()
    let batches = 0
    const counter: train.Callback = { onBatchEnd: () => void batches++ }
    await new Trainer(model, { loss: 'crossEntropy' }).fit(source as train.TrainingData, { ...quiet, callbacks: [counter], ...options })
    return [batches, await hash(model.stateDict())]
  }
  const samples = inputs.map((row, i) => ({ inputs: row, labels: labels[i] }))
  const expected = await fit(samples, { batchSize: 8, shuffle: false })
  expect(expected[0]).toBe(3)
  function* flowing(): Generator<unknown> { yield* samples }
  async function* slowly(): AsyncGenerator<unknown> { yield* samples }
  expect(await fit(flowing(), { batchSize: 8 })).toEqual(expected)
  expect(await fit(slowly(), { batchSize: 8 })).toEqual(expected)
  function* batches(): Generator<unknown> { for (let i = 0; i < 24; i += 8) yield { inputs: floats(inputs.slice(i, i + 8)), labels: tensor(labels.slice(i, i + 8), { dtype: 'int32' }) } }
  expect(await fit(batches(), {})).toEqual(expected)
  // One that begins anew each epoch does so after the first.
  expect((await fit({ [Symbol.iterator]: flowing }, { batchSize: 8, epochs: 2 }))[0]).toBe(6)
})

describe('an optimizer', () => {
  const headOf = (model: nn.Module): nn.Linear => (model as unknown as { head: nn.Linear }).head
  class Net extends nn.Module {
    body = new nn.Linear(4, 8)
    head = new nn.Linear(8, 3)
    forward(x: Tensor): Tensor { return this.head.forward(this.body.forward(x).relu()) }
  }
  const values = (model: nn.Module): Promise<string> => hash(headOf(model).stateDict())

  test('by name trains a head that was put in between two fits', async () => {
    const model = new Net()
    const trainer = new Trainer(model, { loss: 'crossEntropy' })
    await trainer.fit({ inputs, labels }, quiet)
    model.head = new nn.Linear(8, 3)
    const before = await values(model)
    await trainer.fit({ inputs, labels }, quiet)
    expect(await values(model)).not.toBe(before)
    await trainer.fit({ inputs, labels }, quiet)
    expect(trainer.optimizer.groups.length).toBe(2)
  })

  test('of the user refuses such a head, naming it, until it has it; what it left out from the first stays out', async () => {
    const make = (parameters: nn.Parameter[], model: nn.Module): optim.Optimizer => new optim.Adam([...headOf(model).parameters()])
    for (const given of [(model: Net) => new Trainer(model, { loss: 'crossEntropy', optimizer: make }), (model: Net) => new Trainer(model, { loss: 'crossEntropy', optimizer: make([], model) })]) {
      const model = new Net()
      const trainer = given(model)
      await trainer.fit({ inputs, labels }, quiet)
      model.body = new nn.Linear(4, 8)
      await expect(trainer.fit({ inputs, labels }, quiet)).rejects.toThrow(/^fit: the optimizer does not train what came into the model since: body.weight, body.bias.\n {2}trainer.optimizer.addGroup/)
      model.body.requiresGrad_(false)
      await trainer.fit({ inputs, labels }, quiet)
      model.body.requiresGrad_(true)
      trainer.optimizer.addGroup({ params: model.body.parameters() })
      await trainer.fit({ inputs, labels }, quiet)
    }
  })

  test('of another model is refused', async () => {
    const optimizer = new optim.Adam(classifier().parameters())
    await expect(new Trainer(classifier(), { loss: 'crossEntropy', optimizer }).fit({ inputs, labels }, quiet)).rejects.toThrow(
      /^fit: none of the parameters of the optimizer belongs to the model.\n {2}Make it of this model/,
    )
  })
})

test('metrics and callbacks without options refuse some', () => {
  const { Accuracy, ConfusionMatrix, MeanAbsoluteError, RocAuc } = train.metrics
  for (const Class of [Accuracy, ConfusionMatrix, MeanAbsoluteError, RocAuc, train.StopOnNaN, train.LearningRateLogger]) {
    expect(() => new Class({ treshold: 1 } as never)).toThrow(new RegExp(`^${Class.name}: there is no option 'treshold'`))
    new Class()
    new Class({})
  }
})
