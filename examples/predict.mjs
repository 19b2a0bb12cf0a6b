// Saving a model and using it elsewhere: weights in a safetensors file, predictions for one image and for many, while other work goes on.
//   node examples/predict.mjs
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { data, manualSeed, models, Trainer } from 'ferrograd'

manualSeed(0)
const folder = await mkdtemp(join(tmpdir(), 'ferrograd-predict-'))
const { train, test } = await data.digits()
const settings = { inChannels: 1, classes: 10, imageSize: 32 }

const model = models.cnn(settings)
await new Trainer(model, { loss: 'crossEntropy' }).fit(train, { epochs: Number(process.env.EPOCHS ?? 2), verbose: false })
await model.save(join(folder, 'digits.safetensors'))

// In another process: the same model, its weights from the file.
const loaded = models.cnn(settings)
await loaded.load(join(folder, 'digits.safetensors'))
const trainer = new Trainer(loaded, { loss: 'crossEntropy', metrics: ['accuracy'] })

// One image.
const one = test.subset([7])
const [row] = await (await trainer.predictProbabilities(one.inputs)).tolist()
const best = row.indexOf(Math.max(...row))
console.log(`image 7 is a ${best} (${(row[best] * 100).toFixed(1)} %)`)

// All of them, batch by batch; timers and requests have their turn meanwhile.
let ticks = 0
const timer = setInterval(() => ticks++, 2)
const classes = await trainer.predictClasses(test, { batchSize: 64 })
clearInterval(timer)
const labels = await test.labelValues()
const accuracy = classes.filter((guess, i) => guess === labels[i]).length / test.length
console.log(`${classes.length} images, accuracy ${(accuracy * 100).toFixed(1)} %, ${ticks} timer ticks meanwhile`)

assert.deepEqual(classes, await new Trainer(model, { loss: 'crossEntropy' }).predictClasses(test, { batchSize: 64 }))
assert(accuracy >= 0.85, `accuracy ${accuracy} is below 0.85`)
await rm(folder, { recursive: true })
