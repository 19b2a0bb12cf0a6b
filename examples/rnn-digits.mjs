// A recurrent network reads each digit row by row: bidirectional LSTM, last states, one Linear.
//   node examples/rnn-digits.mjs
import assert from 'node:assert/strict'
import { data, manualSeed, nn, Trainer } from 'ferrograd'

manualSeed(1)
const { train, test } = await data.digits({ size: 16 })           // images [N, 16, 16, 1]

class RowReader extends nn.Module {
  lstm = new nn.LSTM(16, 48, { bidirectional: true, inputDropout: 0.1, recurrentDropout: 0.1 })
  head = new nn.Linear(96, 10)
  forward(images) {
    const { hidden } = this.lstm.forward(images.reshape([-1, 16, 16]))   // [N, T, features] -> [N, 2 · 48]
    return this.head.forward(hidden)
  }
}

const trainer = new Trainer(new RowReader(), { optimizer: 'adam', learningRate: 0.005, loss: 'crossEntropy', metrics: ['accuracy'] })
await trainer.fit(train, { epochs: 15, batchSize: 32 })
const { accuracy } = await trainer.evaluate(test)
console.log(`test accuracy ${accuracy.toFixed(3)}`)
assert(accuracy > 0.95)
