// Where a training step's time goes: one row an op and shape.
//   node examples/profile.mjs
import assert from 'node:assert/strict'
import { data, device, nn, Trainer } from 'ferrograd'

const { train } = await data.digits({ size: 16 })
const model = new nn.Sequential(
  new nn.Conv2d(1, 16, 3), new nn.ReLU(), new nn.MaxPool2d(2),
  new nn.Flatten(), new nn.Linear(784, 10),
)
const trainer = new Trainer(model, { optimizer: 'adam', loss: 'crossEntropy' })

const { result: history, rows } = await device.profile(() => trainer.fit(train, { epochs: 1, batchSize: 32 }))
console.table(rows.slice(0, 8).map(({ op, shape, calls, ms, bytes }) => ({ op, shape: shape.join('x'), calls, ms: +ms.toFixed(2), MB: +(bytes / 1e6).toFixed(1) })))

assert(history.epochs.length === 1)
// The longest first; each of the epoch's steps is there, replayed or not.
assert(rows.every((row, i) => i === 0 || row.ms <= rows[i - 1].ms))
assert(rows.some((row) => row.op === 'adam'))
