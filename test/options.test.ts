// Options objects: unknown names are refused by all that take one, with the nearest known name.
import { describe, expect, it } from 'vitest'
import { compile, data, FerrogradError, models, nn, optim, Parameter, tensor, train, Trainer, ValueError } from '../ts/index.js'
import { nearest, settle } from '../ts/options.js'
import { cleanText, TextVectorizer, Vocabulary } from '../ts/text/index.js'

interface Options { width?: number; height?: number; paddingIdx?: number }

describe('settle', () => {
  const of = (given: unknown) => settle<Options, { width: 3; height: undefined; paddingIdx: 0 }>('thing', given as Options, { width: 3, height: undefined, paddingIdx: 0 })

  it('puts defaults where nothing, or undefined, was given', () => {
    expect(of(undefined)).toEqual({ width: 3, height: undefined, paddingIdx: 0 })
    expect(of({ width: undefined, height: 2 })).toEqual({ width: 3, height: 2, paddingIdx: 0 })
    expect(of(Object.assign(Object.create(null), { width: 1 }))).toEqual({ width: 1, height: undefined, paddingIdx: 0 })
  })

  it('names owner, option and the nearest known one', () => {
    expect(() => of({ widht: 1 })).toThrowErrorMatchingInlineSnapshot(`
      [ValueError: thing: there is no option 'widht'. Did you mean 'width'?
        There are width, height, paddingIdx.]
    `)
    expect(() => of({ padding_idx: 1 })).toThrow("Did you mean 'paddingIdx'?")
    expect(() => of({ colour: 1 })).toThrowErrorMatchingInlineSnapshot(`
      [ValueError: thing: there is no option 'colour'.
        There are width, height, paddingIdx.]
    `)
    // What every object inherits is no option.
    for (const name of ['constructor', 'toString', '__proto__x']) expect(() => of({ [name]: 1 })).toThrow(ValueError)
  })

  it('takes one object and nothing else', () => {
    for (const wrong of [null, 3, 'width', true, [1], () => {}]) expect(() => of(wrong)).toThrow(/^thing: takes its options as one object, as in \{ width: \.\.\. \}, got /)
  })

  it('the nearest name is a slip away: letters swapped, left out, put in, changed; case and underscores', () => {
    const known = ['stride', 'padding', 'dilation', 'groups', 'bias']
    expect(['bais', 'pading', 'paddingg', 'BIAS', 'dilatoin', 'strides', 'group'].map((word) => nearest(word, known))).toEqual([
      'bias', 'padding', 'padding', 'bias', 'dilation', 'stride', 'groups',
    ])
    // What others call it.
    const optimizer = ['lr', 'weightDecay', 'l1'], stopping = ['minDelta', 'patience', 'restoreBest']
    expect(['l2', 'learning_rate', 'learningRate', 'weight_decay'].map((word) => nearest(word, optimizer))).toEqual(['weightDecay', 'lr', 'lr', 'weightDecay'])
    expect(['restore_best_weights', 'min_delta'].map((word) => nearest(word, stopping))).toEqual(['restoreBest', 'minDelta'])
    expect(nearest('learning_rate', known)).toBe(undefined)
    expect(['kernel', 'x', ''].map((word) => nearest(word, known))).toEqual([undefined, undefined, undefined])
  })
})

const parameters = (): Parameter[] => [new Parameter(tensor([1, 2]) as Parameter)]
const optimizer = (): optim.SGD => new optim.SGD(parameters(), { lr: 0.1, momentum: 0.9 })
const plan = { totalSteps: 10, stepsPerEpoch: 5 }

/** Everything but layers and losses, which have a table of their own: called with one option more. */
const takers: Record<string, (wrong: object) => unknown> = {
  SGD: (wrong) => new optim.SGD(parameters(), wrong),
  GD: (wrong) => new optim.GD(parameters(), wrong),
  Adam: (wrong) => new optim.Adam(parameters(), wrong),
  AdamW: (wrong) => new optim.AdamW(parameters(), wrong),
  RMSprop: (wrong) => new optim.RMSprop(parameters(), wrong),
  Adagrad: (wrong) => new optim.Adagrad(parameters(), wrong),
  'a group': (wrong) => new optim.Adam([{ params: parameters(), ...wrong }]),
  'optimizer.step': (wrong) => {
    const sgd = optimizer()
    sgd.groups[0]!.params[0]!.grad = tensor([1, 1])
    sgd.step(wrong)
  },
  clipGradNorm: (wrong) => optim.clipGradNorm(parameters(), 1, wrong),
  decayGroups: (wrong) => optim.decayGroups(new nn.Linear(1, 1), wrong),
  LambdaLR: (wrong) => new optim.LambdaLR(optimizer(), () => 1, wrong),
  StepLR: (wrong) => new optim.StepLR(optimizer(), { stepSize: 1, ...wrong }),
  MultiStepLR: (wrong) => new optim.MultiStepLR(optimizer(), { milestones: [1], ...wrong }),
  ExponentialLR: (wrong) => new optim.ExponentialLR(optimizer(), { gamma: 0.5, ...wrong }),
  CosineAnnealingLR: (wrong) => new optim.CosineAnnealingLR(optimizer(), { tMax: 3, ...wrong }),
  LinearLR: (wrong) => new optim.LinearLR(optimizer(), wrong),
  LinearWarmup: (wrong) => new optim.LinearWarmup(optimizer(), { totalSteps: 3, warmup: 1, ...wrong }),
  CosineWarmup: (wrong) => new optim.CosineWarmup(optimizer(), { totalSteps: 3, warmup: 1, ...wrong }),
  OneCycleLR: (wrong) => new optim.OneCycleLR(optimizer(), { totalSteps: 3, maxLr: 1, ...wrong }),
  ReduceLROnPlateau: (wrong) => new optim.ReduceLROnPlateau(optimizer(), wrong),
  stepLR: (wrong) => optim.stepLR({ stepSize: 1, ...wrong })(optimizer(), plan),
  multiStepLR: (wrong) => optim.multiStepLR({ milestones: [1], ...wrong })(optimizer(), plan),
  exponentialLR: (wrong) => optim.exponentialLR({ gamma: 0.5, ...wrong })(optimizer(), plan),
  lambdaLR: (wrong) => optim.lambdaLR(() => 1, wrong)(optimizer(), plan),
  cosineAnnealingLR: (wrong) => optim.cosineAnnealingLR(wrong),
  linear: (wrong) => optim.linear(wrong),
  'linear, of given length': (wrong) => optim.linear({ totalIters: 3, ...wrong })(optimizer(), plan),
  linearWarmup: (wrong) => optim.linearWarmup(0.1, wrong),
  cosineWarmup: (wrong) => optim.cosineWarmup(0.1, wrong),
  oneCycle: (wrong) => optim.oneCycle({ maxLr: 1, ...wrong })(optimizer(), plan),
  reduceLROnPlateau: (wrong) => optim.reduceLROnPlateau(wrong)(optimizer(), plan),
  dataset: (wrong) => data.dataset({ inputs: [[1]], labels: [0], ...wrong }),
  DataLoader: (wrong) => new data.DataLoader({ inputs: [[1]], labels: [0] }, wrong),
  augment: (wrong) => data.augment(wrong),
  'augment of a DataLoader': (wrong) => new data.DataLoader({ inputs: [[1]], labels: [0] }, { augment: wrong }),
  'x.augment': (wrong) => tensor([[[[1]]]]).augment(wrong),
  split: (wrong) => data.split({ inputs: [[1], [2]], labels: [0, 1] }, wrong),
  digits: (wrong) => data.digits(wrong),
  cifar10: (wrong) => data.cifar10(wrong),
  mnist: (wrong) => data.mnist(wrong),
  imageFolder: (wrong) => data.imageFolder('nowhere', wrong),
  readImages: (wrong) => data.readImages([], wrong),
  cnn: (wrong) => models.cnn(wrong),
  Trainer: (wrong) => new Trainer(new nn.Linear(1, 1), wrong),
  fit: (wrong) => new Trainer(new nn.Linear(1, 1), { loss: 'mse' }).fit({ inputs: [[1]], labels: [[1]] }, wrong),
  evaluate: (wrong) => new Trainer(new nn.Linear(1, 1), { loss: 'mse' }).evaluate({ inputs: [[1]], labels: [[1]] }, wrong),
  predict: (wrong) => new Trainer(new nn.Linear(1, 1)).predict(tensor([[1]]), wrong),
  lossOptions: (wrong) => new Trainer(new nn.Linear(1, 1), { loss: 'crossEntropy', lossOptions: wrong }),
  EarlyStopping: (wrong) => new train.EarlyStopping(wrong),
  ModelCheckpoint: (wrong) => new train.ModelCheckpoint('file', wrong),
  JsonlLogger: (wrong) => new train.JsonlLogger('file', wrong),
  CsvLogger: (wrong) => new train.CsvLogger('file', wrong),
  GradientNorms: (wrong) => new train.GradientNorms(wrong),
  OverfittingGap: (wrong) => new train.OverfittingGap(wrong),
  saveSafetensors: (wrong) => train.saveSafetensors('file', {}, wrong),
  loadSafetensors: (wrong) => train.loadSafetensors('file', wrong),
  'model.save': (wrong) => new nn.Linear(1, 1).save('file', wrong),
  'model.load': (wrong) => new nn.Linear(1, 1).load('file', wrong),
  'model.loadStateDict': (wrong) => new nn.Linear(1, 1).loadStateDict({}, wrong),
  TextVectorizer: (wrong) => new TextVectorizer(wrong),
  'TextVectorizer, steps of cleaning': (wrong) => new TextVectorizer({ standardize: wrong }),
  'TextVectorizer.fromJSON': (wrong) => TextVectorizer.fromJSON({ options: wrong, words: ['a'] }),
  Vocabulary: (wrong) => new Vocabulary(['a'], wrong),
  cleanText: (wrong) => cleanText(['a'], wrong),
  summary: (wrong) => nn.summary(new nn.Linear(1, 1), [1, 1], wrong),
  compile: (wrong) => compile(() => 1, wrong),
}

describe('an unknown option is refused by', () => {
  it.each(Object.entries(takers))('%s', async (_, take) => {
    const error: unknown = await new Promise((resolve) => resolve(take({ sped: 1 }))).then(() => null, (reason: unknown) => reason)
    expect(error).toBeInstanceOf(ValueError)
    expect((error as FerrogradError).message).toMatch(/^[\w.]+: there is no option 'sped'\./)
  })

  it('every optimizer, schedule and callback there is', () => {
    const classes = (module: object): string[] =>
      Object.entries(module).filter(([name, value]) => typeof value === 'function' && /^[A-Z]/.test(name)).map(([name]) => name)
    // Bases, and those that take no options.
    const without = ['Optimizer', 'Schedule', 'Metric', 'History', 'LearningRateLogger', 'StopOnNaN']
    const all = [...classes(optim), ...classes(train)].filter((name) => !without.includes(name))
    expect(all.filter((name) => !(name in takers))).toEqual([])
  })

  it('an option of another optimizer', () => {
    expect(() => new optim.SGD(parameters(), { betas: [0.9, 0.99] } as object)).toThrow(/^SGD: there is no option 'betas'/)
    expect(() => new optim.Adam(parameters(), { weight_decay: 0.1 } as object)).toThrow("Did you mean 'weightDecay'?")
  })
})

it('an optimizer of one\'s own has options of its own', () => {
  class Signed extends optim.Optimizer<optim.CommonOptions & { share?: number }> {
    constructor(params: Parameter[], { share = 0.5 }: { share?: number } = {}) {
      super(params, { lr: 1, weightDecay: 0, l1: 0, maximize: false, share })
    }
    protected slots(): Record<string, number> { return {} }
    protected hyper(): number[] { return [] }
    protected switches(): boolean[] { return [] }
    protected update(): void {}
  }
  const own = new Signed(parameters())
  expect(own.groups[0]!.share).toBe(0.5)
  expect(() => own.addGroup({ params: parameters(), shaer: 1 } as never)).toThrow("Signed: there is no option 'shaer'. Did you mean 'share'?")
})

describe('schedules refuse nonsense', () => {
  const wrong: [string, () => unknown, RegExp][] = [
    ['no optimizer', () => new optim.StepLR(undefined as never, { stepSize: 1 }), /^StepLR: takes an optimizer first/],
    ['no step size', () => new optim.StepLR(optimizer(), {} as never), /^StepLR: stepSize is NaN/],
    ['a gamma that is no number', () => new optim.ExponentialLR(optimizer(), { gamma: '0.1' as never }), /^ExponentialLR: gamma is 0.1; it must be a finite number/],
    ['no milestones', () => new optim.MultiStepLR(optimizer(), {} as never), /^MultiStepLR: milestones is a list/],
    ['an interval', () => new optim.LambdaLR(optimizer(), () => 1, { interval: 'day' as never }), /^LambdaLR: interval is 'day'; it must be 'step' or 'epoch'/],
    ['no function', () => new optim.LambdaLR(optimizer(), 0.5 as never), /^LambdaLR: takes a function/],
    ['no length', () => new optim.LinearLR(optimizer(), { totalIters: 0 }), /^LinearLR: the number of steps is 0/],
    ['a negative warm-up', () => new optim.LinearWarmup(optimizer(), { totalSteps: 10, warmup: -1 }), /^warm-up: -1/],
    ['a strategy', () => new optim.OneCycleLR(optimizer(), { totalSteps: 3, maxLr: 1, annealStrategy: 'exp' as never }), /^OneCycleLR: annealStrategy is 'exp'/],
    ['no highest rate', () => new optim.OneCycleLR(optimizer(), { totalSteps: 3 } as never), /^OneCycleLR: maxLr is NaN/],
    ['a mode', () => new optim.ReduceLROnPlateau(optimizer(), { mode: 'low' as never }), /^ReduceLROnPlateau: mode is 'low'/],
    ['a factor above 1', () => new optim.ReduceLROnPlateau(optimizer(), { factor: 1.5 }), /^ReduceLROnPlateau: factor is 1.5/],
    ['negative patience', () => new optim.ReduceLROnPlateau(optimizer(), { patience: -1 }), /^ReduceLROnPlateau: patience is -1/],
  ]
  it.each(wrong)('%s', (_, make, message) => {
    expect(make).toThrow(ValueError)
    expect(make).toThrow(message)
  })
})

describe('an optimizer refuses what is no parameter', () => {
  const wrong: [string, () => unknown, RegExp][] = [
    ['numbers', () => new optim.SGD([1, 2] as never, { lr: 1 }), /^SGD: parameter 0 must be a tensor, got number/],
    ['null among them', () => new optim.Adam([...parameters(), null] as never), /^Adam: parameter 1 must be a tensor, got null/],
    ['a layer', () => new optim.Adam([new nn.Linear(1, 1)] as never), /^Adam: parameter 0 must be a tensor, got object/],
    ['numbers in a group', () => new optim.SGD([{ params: [1] }] as never), /^SGD: parameter 0 must be a tensor/],
    ['a group without a list', () => new optim.SGD([{ params: 3 }] as never), /^SGD: a group is \{ params, \.\.\.options \}/],
    ['a group that is none', () => optimizer().addGroup(null as never), /^SGD: a group is \{ params, \.\.\.options \}/],
  ]
  it.each(wrong)('%s', (_, make, message) => {
    expect(make).toThrow(ValueError)
    expect(make).toThrow(message)
  })
  it('a generator of parameters is read once', () => {
    const all = parameters()
    function* each(): Generator<Parameter> { yield* all }
    expect(new optim.SGD(each(), { lr: 1 }).groups[0]!.params).toEqual(all)
    expect(new optim.SGD([{ params: each() }], { lr: 1 }).groups[0]!.params).toEqual(all)
  })
})
