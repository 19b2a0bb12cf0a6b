// What layers and losses refuse where they are made: unknown options, and sizes, steps and shares that make no sense.
import { describe, expect, it } from 'vitest'
import { FerrogradError, ones, type Tensor, tensor, ValueError } from '../../ts/index.js'
import * as nn from '../../ts/nn/index.js'

type Make = (options: object) => unknown
/** Every layer that takes options. */
const layers: Record<string, Make> = {
  GELU: (o) => new nn.GELU(o),
  Softplus: (o) => new nn.Softplus(o),
  Conv1d: (o) => new nn.Conv1d(2, 4, 3, o),
  Conv2d: (o) => new nn.Conv2d(2, 4, 3, o),
  ConvTranspose2d: (o) => new nn.ConvTranspose2d(2, 4, 3, o),
  Dropout: (o) => new nn.Dropout(0.5, o),
  Embedding: (o) => new nn.Embedding(3, 2, o),
  Linear: (o) => new nn.Linear(2, 3, o),
  LSTM: (o) => new nn.LSTM(2, 3, o),
  GRU: (o) => new nn.GRU(2, 3, o),
  RNN: (o) => new nn.RNN(2, 3, o),
  LSTMCell: (o) => new nn.LSTMCell(2, 3, o),
  GRUCell: (o) => new nn.GRUCell(2, 3, o),
  RNNCell: (o) => new nn.RNNCell(2, 3, o),
  Bidirectional: (o) => new nn.Bidirectional(new nn.RNN(2, 3), new nn.RNN(2, 3), o),
  LazyLinear: (o) => new nn.LazyLinear(3, o),
  BatchNorm1d: (o) => new nn.BatchNorm1d(3, o),
  BatchNorm2d: (o) => new nn.BatchNorm2d(3, o),
  LayerNorm: (o) => new nn.LayerNorm(3, o),
  GroupNorm: (o) => new nn.GroupNorm(1, 3, o),
  MaxPool1d: (o) => new nn.MaxPool1d(2, o),
  MaxPool2d: (o) => new nn.MaxPool2d(2, o),
  AvgPool1d: (o) => new nn.AvgPool1d(2, o),
  AvgPool2d: (o) => new nn.AvgPool2d(2, o),
  Flatten: (o) => new nn.Flatten(o),
  CTCLoss: (o) => new nn.CTCLoss(o),
  CosineSimilarity: (o) => new nn.CosineSimilarity(o),
  CosineEmbeddingLoss: (o) => new nn.CosineEmbeddingLoss(o),
  MSELoss: (o) => new nn.MSELoss(o),
  L1Loss: (o) => new nn.L1Loss(o),
  HuberLoss: (o) => new nn.HuberLoss(o),
  SmoothL1Loss: (o) => new nn.SmoothL1Loss(o),
  BCELoss: (o) => new nn.BCELoss(o),
  BCEWithLogitsLoss: (o) => new nn.BCEWithLogitsLoss(o),
  CrossEntropyLoss: (o) => new nn.CrossEntropyLoss(o),
  NLLLoss: (o) => new nn.NLLLoss(o),
  KLDivLoss: (o) => new nn.KLDivLoss(o),
  PReLU: (o) => new nn.PReLU(1, o),
  HingeLoss: (o) => new nn.HingeLoss(o),
  MultiMarginLoss: (o) => new nn.MultiMarginLoss(o),
  HingeEmbeddingLoss: (o) => new nn.HingeEmbeddingLoss(o),
}
/** Layers whose only arguments are numbers: an options object in their place is refused. */
const plain: Record<string, Make> = {
  LeakyReLU: (o) => new nn.LeakyReLU(o as never),
  ELU: (o) => new nn.ELU(o as never),
  Softmax: (o) => new nn.Softmax(o as never),
  LogSoftmax: (o) => new nn.LogSoftmax(o as never),
  Hardtanh: (o) => new nn.Hardtanh(o as never),
  AdaptiveAvgPool1d: (o) => new nn.AdaptiveAvgPool1d(o as never),
  AdaptiveMaxPool1d: (o) => new nn.AdaptiveMaxPool1d(o as never),
  AdaptiveAvgPool2d: (o) => new nn.AdaptiveAvgPool2d(o as never),
  AdaptiveMaxPool2d: (o) => new nn.AdaptiveMaxPool2d(o as never),
  Unflatten: (o) => new nn.Unflatten(o as never, [1]),
  ...Object.fromEntries(['ReLU', 'ReLU6', 'SELU', 'SiLU', 'Mish', 'Sigmoid', 'Tanh', 'Hardswish', 'Hardsigmoid', 'Softsign', 'LogSigmoid'].map(
    (name) => [name, (o: object) => new (nn as unknown as Record<string, new (o: object) => unknown>)[name]!(o)])),
}
/** Those that hold other layers, those that take anything, and bases. */
const others = ['Module', 'Sequential', 'ModuleList', 'ModuleDict', 'Identity', 'LossModule', 'Parameter', 'Recurrent', 'TimeDistributed']

describe('an unknown option', () => {
  it.each(Object.entries(layers))('of %s', (name, make) => {
    expect(() => make({ zzz: false })).toThrow(ValueError)
    expect(() => make({ zzz: false })).toThrow(`${name}: there is no option 'zzz'.`)
    expect(() => make(false as never)).toThrow(`${name}: takes its options as one object`)
    expect(make({})).toBeInstanceOf(nn.Module)
  })

  it.each(Object.entries(plain))('of %s, which takes no options', (name, make) => {
    expect(() => make({ inplace: true })).toThrow(ValueError)
    expect(() => make({ inplace: true })).toThrow(new RegExp(`^${name}: .* must be .*, not Object$`))
  })

  it('is tested for every layer there is', () => {
    const classes = Object.entries(nn).filter(([name, value]) => typeof value === 'function' && /^[A-Z]/.test(name)).map(([name]) => name)
    expect(classes.filter((name) => !(name in layers) && !(name in plain) && !others.includes(name))).toEqual([])
  })

  it('comes with the nearest known one', () => {
    expect(() => new nn.Linear(2, 3, { bais: false } as object)).toThrowErrorMatchingInlineSnapshot(`
      [ValueError: Linear: there is no option 'bais'. Did you mean 'bias'?
        There is bias.]
    `)
    expect(() => new nn.Conv2d(3, 8, 3, { strides: 2 } as object)).toThrowErrorMatchingInlineSnapshot(`
      [ValueError: Conv2d: there is no option 'strides'. Did you mean 'stride'?
        There are stride, padding, dilation, groups, bias.]
    `)
    expect(() => new nn.Embedding(3, 2, { padding_idx: 0 } as object)).toThrow("Did you mean 'paddingIdx'?")
  })

  it('undefined counts as not given', () => {
    expect(new nn.Linear(2, 3, { bias: undefined } as object).bias).not.toBeNull()
    expect(new nn.BatchNorm1d(2, { momentum: undefined }).momentum).toBe(0.1)
  })
})

describe('an unknown option of a loss', () => {
  const x = tensor([[0.2, 0.8], [0.6, 0.4]])
  type AnyLoss = (output: Tensor, target: Tensor, options?: object) => Tensor
  const losses = Object.entries(nn as unknown as Record<string, AnyLoss & { defaults?: object }>).filter(([, value]) => value?.defaults !== undefined)

  it('there are losses to be asked', () => expect(losses.length).toBeGreaterThanOrEqual(12))

  it.each(losses)('%s', (name, loss) => {
    expect(() => loss(x, x, { zzz: 1 })).toThrow(`${name}: there is no option 'zzz'.`)
    expect(() => loss(x, x, { reductoin: 'sum' })).toThrow("Did you mean 'reduction'?")
    expect(() => loss(x, x, 'sum' as never)).toThrow(ValueError)
  })

  it('cosineEmbedding, labelSmothing', () => {
    expect(() => nn.cosineEmbedding(x, x, tensor([1, -1]), { margni: 1 } as object)).toThrow("Did you mean 'margin'?")
    expect(() => nn.crossEntropy(x, tensor(Int32Array.of(0, 1)), { labelSmothing: 0.1 } as object)).toThrow("Did you mean 'labelSmoothing'?")
  })
})

describe('nonsense is refused where the layer is made', () => {
  const wrong: [string, () => unknown, string][] = [
    ['features of 0', () => new nn.Linear(0, 2), 'Linear: inFeatures must be a positive integer, not 0'],
    ['features as text', () => new nn.Linear('4' as never, 2), 'Linear: inFeatures must be a positive integer, not "4"'],
    ['negative features', () => new nn.LazyLinear(-1), 'LazyLinear: outFeatures must be a positive integer, not -1'],
    ['a bias that is no switch', () => new nn.Linear(2, 2, { bias: 0 as never }), 'Linear: bias must be true or false, not 0'],
    ['a stride of 0', () => new nn.Conv2d(1, 1, 3, { stride: 0 }), 'Conv2d: stride must be a positive integer, or [height, width], not 0'],
    ['half a stride', () => new nn.Conv2d(1, 1, 3, { stride: [1, 0.5] }), 'Conv2d: stride must be a positive integer, or [height, width], not [1, 0.5]'],
    ['a kernel of 0', () => new nn.Conv2d(1, 1, 0), 'Conv2d: kernelSize must be a positive integer, or [height, width], not 0'],
    ['a fraction of a kernel', () => new nn.Conv2d(1, 1, 2.5), 'Conv2d: kernelSize must be a positive integer, or [height, width], not 2.5'],
    ['three kernel sizes', () => new nn.Conv2d(1, 1, [3, 3, 3] as never), 'Conv2d: kernelSize must be a positive integer, or [height, width], not [3, 3, 3]'],
    ['no kernel', () => new nn.Conv2d(1, 1, undefined as never), 'Conv2d: kernelSize must be a positive integer, or [height, width], not undefined'],
    ['a dilation of 0', () => new nn.Conv2d(1, 1, 3, { dilation: 0 }), 'Conv2d: dilation must be a positive integer, or [height, width], not 0'],
    ['negative padding', () => new nn.Conv2d(1, 1, 3, { padding: -1 }), "Conv2d: padding must be an integer of at least 0, [height, width], [top, bottom, left, right], 'same' or 'valid', not -1"],
    ['padding of three', () => new nn.Conv2d(1, 1, 3, { padding: [1, 1, 1] as never }), "Conv2d: padding must be an integer of at least 0, [height, width], [top, bottom, left, right], 'same' or 'valid', not [1, 1, 1]"],
    ['another word', () => new nn.Conv2d(1, 1, 3, { padding: 'full' as never }), `'same' or 'valid', not "full"`],
    ['same with a stride', () => new nn.Conv2d(1, 1, 3, { padding: 'same', stride: 2 }), "Conv2d: padding 'same' needs stride 1, not 2,2. Give the padding in numbers"],
    ['groups', () => new nn.Conv2d(3, 8, 3, { groups: 2 }), 'Conv2d: groups 2 must divide inChannels 3 and outChannels 8'],
    ['no groups', () => new nn.Conv2d(3, 8, 3, { groups: 0 }), 'Conv2d: groups must be a positive integer, not 0'],
    ['a stride of 0 in time', () => new nn.Conv1d(1, 1, 3, { stride: 0 }), 'Conv1d: stride must be a positive integer, not 0'],
    ['padding in time', () => new nn.Conv1d(1, 1, 3, { padding: [1, -1] }), "Conv1d: padding must be an integer of at least 0, [before, after], 'same' or 'valid', not [1, -1]"],
    ['a kernel in time', () => new nn.Conv1d(1, 1, [3] as never), 'Conv1d: kernelSize must be a positive integer, not [3]'],
    ['padding of a transposed one', () => new nn.ConvTranspose2d(1, 1, 3, { padding: 'same' as never }), 'ConvTranspose2d: padding must be an integer of at least 0, or [height, width], not "same"'],
    ['output padding', () => new nn.ConvTranspose2d(1, 1, 3, { outputPadding: 1 }), 'ConvTranspose2d: outputPadding 1,1 must be smaller than stride or dilation'],
    ['a window of 0', () => new nn.MaxPool2d(0), 'MaxPool2d: kernelSize must be a positive integer, or [height, width], not 0'],
    ['a window stride of 0', () => new nn.AvgPool2d(2, { stride: 0 }), 'AvgPool2d: stride must be a positive integer, or [height, width], not 0'],
    ['a border beyond half', () => new nn.MaxPool2d(2, { padding: 2 }), 'MaxPool2d: padding 2 is more than half of the kernel 2x2'],
    ['a border beyond half at one side', () => new nn.AvgPool2d([2, 4], { padding: [0, 0, 2, 3] }), 'AvgPool2d: padding 0,0,2,3 is more than half of the kernel 2x4'],
    ['a window in time', () => new nn.MaxPool1d(1.5), 'MaxPool1d: kernelSize must be a positive integer, not 1.5'],
    ['a border in time', () => new nn.AvgPool1d(2, { padding: [1] as never }), 'AvgPool1d: padding must be an integer of at least 0, not [1]'],
    ['a mode that is no switch', () => new nn.MaxPool1d(2, { ceilMode: 1 as never }), 'MaxPool1d: ceilMode must be true or false, not 1'],
    ['a grid of 0', () => new nn.AdaptiveAvgPool2d([2, 0]), 'AdaptiveAvgPool2d: outputSize must be a positive integer, or [height, width], not [2, 0]'],
    ['p above 1', () => new nn.Dropout(1.5), 'Dropout: p must be a number from 0 to 1, not 1.5'],
    ['p below 0', () => new nn.Dropout(-0.1), 'Dropout: p must be a number from 0 to 1, not -0.1'],
    ['p as text', () => new nn.Dropout('0.5' as never), 'Dropout: p must be a number from 0 to 1, not "0.5"'],
    ['a generator that is none', () => new nn.Dropout(0.5, { generator: 3 as never }), 'Dropout: generator must be a Generator, not 3'],
    ['a negative eps', () => new nn.BatchNorm2d(3, { eps: -1 }), 'BatchNorm2d: eps must be a finite number of at least 0, not -1'],
    ['a momentum above 1', () => new nn.BatchNorm1d(3, { momentum: 2 }), 'BatchNorm1d: momentum must be a number from 0 to 1, not 2'],
    ['channels of 0', () => new nn.BatchNorm1d(0), 'BatchNorm1d: numFeatures must be a positive integer, not 0'],
    ['no shape', () => new nn.LayerNorm([]), 'LayerNorm: normalizedShape names the last dimensions, at least one; got []'],
    ['a shape of 0', () => new nn.LayerNorm([3, 0]), 'LayerNorm: normalizedShape must be a positive integer, not 0'],
    ['groups that do not divide', () => new nn.GroupNorm(2, 3), 'GroupNorm: 2 groups do not divide 3 channels'],
    ['an eps that is no number', () => new nn.GroupNorm(1, 3, { eps: NaN }), 'GroupNorm: eps must be a finite number of at least 0, not NaN'],
    ['a fraction of a vector', () => new nn.Embedding(3, 1.5), 'Embedding: embeddingDim must be a positive integer, not 1.5'],
    ['a padding row', () => new nn.Embedding(3, 2, { paddingIdx: 0.5 }), 'Embedding: paddingIdx must be an integer, not 0.5'],
    ['no numbers of factors', () => new nn.PReLU(0), 'PReLU: numParameters must be a positive integer, not 0'],
    ['bounds the wrong way round', () => new nn.Hardtanh(1, -1), 'Hardtanh: min 1 must lie below max -1'],
    ['a slope', () => new nn.LeakyReLU(NaN), 'LeakyReLU: slope must be a finite number, not NaN'],
    ['an alpha', () => new nn.ELU(Infinity), 'ELU: alpha must be a finite number, not Infinity'],
    ['an approximation', () => new nn.GELU({ approximate: 'erf' as never }), `GELU: approximate must be 'none' or 'tanh', not "erf"`],
    ['a beta of 0', () => new nn.Softplus({ beta: 0 }), 'Softplus: beta must be a finite number above 0, not 0'],
    ['half a dimension', () => new nn.Softmax(0.5), 'Softmax: dim must be an integer, not 0.5'],
    ['a dimension to flatten', () => new nn.Flatten({ startDim: 0.5 }), 'Flatten: startDim must be an integer, not 0.5'],
    ['sizes', () => new nn.Unflatten(1, [-1, -1]), 'Unflatten: sizes must be a list of sizes, of which one may be -1, not [-1, -1]'],
    ['no sizes', () => new nn.Unflatten(1, undefined as never), 'Unflatten: sizes must be a list of sizes, of which one may be -1, not undefined'],
    ['a margin', () => new nn.CosineEmbeddingLoss({ margin: NaN }), 'CosineEmbeddingLoss: margin must be a finite number, not NaN'],
  ]
  it.each(wrong)('%s', (_, make, message) => {
    expect(make).toThrow(FerrogradError)
    expect(make).toThrow(message)
  })

  it('what makes sense is taken', () => {
    expect(new nn.Conv2d(1, 2, [1, 3], { padding: [0, 0, 1, 1], stride: [1, 2] }).forward(ones([1, 4, 4, 1])).shape).toEqual([1, 4, 2, 2])
    expect(new nn.MaxPool2d(3, { padding: 1, stride: 2 }).forward(ones([1, 4, 4, 1])).shape).toEqual([1, 2, 2, 1])
    expect(new nn.MaxPool2d(2, { padding: 1, dilation: 2 }).forward(ones([1, 4, 4, 1])).shape).toEqual([1, 2, 2, 1])
    expect(new nn.AdaptiveAvgPool2d([null, 2]).forward(ones([1, 3, 4, 1])).shape).toEqual([1, 3, 2, 1])
    expect(new nn.BatchNorm1d(2, { momentum: null }).momentum).toBeNull()
    expect(new nn.Dropout(0).p + new nn.Dropout(1).p).toBe(1)
  })
})
