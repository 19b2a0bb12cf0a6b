// What a network learned on one task helps with another: a ResNet that knows the digits 0 to 4 learns 5 to 9 from five images each. First a new
// last layer alone, the rest frozen; then all of it, in small steps.
//   node examples/fine-tune.mjs
// With weights of torchvision's the beginning is one line, for its files load as they are:
//   const model = models.resnet18(); await model.load('resnet18.safetensors', { from: 'torch' })
import assert from 'node:assert/strict'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { data, manualSeed, models, nn, optim, Trainer } from 'ferrograd'

manualSeed(0)
const folder = await mkdtemp(join(tmpdir(), 'ferrograd-fine-tune-'))
const { train, test } = await data.digits({ size: 16 })

/** The part's images of the digits from `low` to `high`; at most `most` of each. */
async function digits(part, low, high, most = Infinity) {
  const labels = Array.from(await part.labelValues())
  const earlier = (i) => labels.slice(0, i).filter((label) => label === labels[i]).length
  return part.subset([...labels.keys()].filter((i) => labels[i] >= low && labels[i] <= high && (most === Infinity || earlier(i) < most)))
}

/** Trains `parameters` of the model and measures it on the digits 5 to 9. */
async function learn(model, parameters, part, { lr, epochs, batchSize }) {
  const trainer = new Trainer(model, { optimizer: new optim.AdamW(parameters, { lr }), loss: 'crossEntropy', metrics: ['accuracy'] })
  await trainer.fit(part, { epochs, batchSize, schedule: optim.cosineWarmup(0.1), verbose: false })
  return (await trainer.evaluate(await digits(test, 5, 9))).accuracy
}

const make = () => models.resnet20({ inChannels: 1, width: 8, zeroInitResidual: true })
const known = make()
await learn(known, known.parameters(), await digits(train, 0, 4), { lr: 4e-3, epochs: 4, batchSize: 32 })
await known.save(join(folder, 'known.safetensors'))

const few = await digits(train, 5, 9, 5)
const model = make()
await model.load(join(folder, 'known.safetensors'))
model.fc = new nn.Linear(model.fc.inFeatures, 10)
model.requiresGrad_(false)
model.fc.requiresGrad_(true)
const head = await learn(model, model.fc.parameters(), few, { lr: 2e-2, epochs: 15, batchSize: 10 })
model.requiresGrad_(true)
const tuned = await learn(model, model.parameters(), few, { lr: 2e-3, epochs: 15, batchSize: 10 })

const fresh = make()
const scratch = await learn(fresh, fresh.parameters(), few, { lr: 2e-3, epochs: 30, batchSize: 10 })
const percent = (share) => `${(share * 100).toFixed(1)} %`
console.log(`${few.length} images: new head ${percent(head)}, all tuned ${percent(tuned)}, from nothing ${percent(scratch)}`)
assert(tuned >= 0.6 && tuned >= scratch + 0.15, `accuracy ${tuned} is below 0.6, or little above ${scratch}`)
await rm(folder, { recursive: true })
