// A run that is stopped in the middle and goes on later ends with the same weights, to the last bit, as one that ran through.
//   node examples/resume.mjs
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { data, manualSeed, nn, Trainer } from 'ferrograd'

const { train } = await data.digits({ size: 12 })
const folder = await mkdtemp(join(tmpdir(), 'ferrograd-resume-'))

function makeTrainer() {
  manualSeed(3)
  const model = new nn.Sequential(
    new nn.Conv2d(1, 16, 3), new nn.ReLU(), new nn.MaxPool2d(2), new nn.Flatten(), new nn.Dropout(0.2), new nn.Linear(400, 10),
  )
  return new Trainer(model, { optimizer: 'adam', loss: 'crossEntropy', metrics: ['accuracy'] })
}
const options = { epochs: 2, batchSize: 64, seed: 3, verbose: false }

const through = makeTrainer()
await through.fit(train, options)

// Stopped after fifteen steps, as Ctrl-C does in the command line.
const stopping = new AbortController()
const stopped = makeTrainer()
let steps = 0
const stopper = { onBatchEnd() { if (++steps === 15) stopping.abort() } }
const watched = { ...options, callbacks: [stopper], signal: stopping.signal, checkpointDir: folder }
await assert.rejects(stopped.fit(train, watched), { name: 'CancelledError' })
console.log('stopped:', (await readdir(folder)).join(', '))

const resumed = makeTrainer()
const history = await resumed.fit(train, { ...options, checkpointDir: folder, resume: true })
console.log(`resumed: ${history.epochs.length} epochs, accuracy ${history.last.accuracy.toFixed(4)}`)

const hash = async ({ model }) => {
  const sum = createHash('sha256')
  for (const value of Object.values(model.stateDict())) sum.update(new Uint8Array((await value.data()).buffer))
  return sum.digest('hex')
}
assert.equal(await hash(resumed), await hash(through))
assert.notEqual(await hash(stopped), await hash(through))
console.log('the weights are equal to the last bit')
await rm(folder, { recursive: true })
