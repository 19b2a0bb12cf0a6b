import { expect, test } from 'vitest'
import { optim, train } from '../../ts/index.js'
import { fitOptionNames, normaliseOptions, toClassWeights, trainerOptionNames } from '../../ts/train/options.js'

test('every option of fit and Trainer is known by name', () => {
  // The compiler counts the keys, the test compares.
  const fit: Record<keyof train.FitOptions, true> = {
    epochs: true, batchSize: true, validation: true, validationBatchSize: true, shuffle: true, seed: true, augment: true, clipNorm: true,
    clipValue: true, accumulate: true, schedule: true, callbacks: true, signal: true, checkpointDir: true, checkpointEvery: true,
    checkpointKeep: true, resume: true, metadata: true, classWeights: true, compile: true, verbose: true, stream: true,
  }
  const trainer: Record<keyof train.TrainerOptions, true> = {
    optimizer: true, lr: true, loss: true, lossOptions: true, fromLogits: true, task: true, metrics: true,
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
  expect(toClassWeights({ 1: 5, 3: 2 })).toEqual([1, 5, 1, 2])
  expect(toClassWeights([1, 2])).toEqual([1, 2])
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
