// The next year of a monthly series from the last two: a GRU, beside the guess that every month is as it was a year ago.
//   node examples/forecaster.mjs
//   node examples/forecaster.mjs --csv $FERROGRAD_DATA/sequences/airline.csv        (lines of month, number below a header)
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { data, manualSeed, models, optim, Trainer } from 'ferrograd'

const [WINDOW, HORIZON, SEASON] = [24, 12, 12]
const { values } = parseArgs({ options: { csv: { type: 'string' } } })
const series = values.csv === undefined
  ? Array.from({ length: 144 }, (_, t) => (100 + 2 * t) * (1 + 0.25 * Math.sin((2 * Math.PI * t) / SEASON) + 0.1 * Math.cos((4 * Math.PI * t) / SEASON)))
  : readFileSync(values.csv, 'utf8').trim().split('\n').slice(1).map((line) => Number(line.split(',')[1]))

// The last two years are told, from every month of which a whole year follows; nothing of them is seen before. The model scales each window itself.
const { train, test } = data.windows(series, { length: WINDOW, horizon: HORIZON, test: (2 * SEASON) / series.length, scale: 'none' })

manualSeed(0)
const model = models.forecaster({ horizon: HORIZON })
const trainer = new Trainer(model, { optimizer: new optim.Adam(model.parameters(), { lr: 0.01 }), loss: 'l1', metrics: ['mse'] })
await trainer.fit(train, { epochs: 150, batchSize: 16, schedule: optim.cosineWarmup(0.1), verbose: false })

const ours = Math.sqrt((await trainer.evaluate(test)).mse)
let naive
for await (const { inputs, labels } of new data.DataLoader(test, { batchSize: test.length }))
  naive = Math.sqrt(await inputs.slice(1, WINDOW - SEASON, WINDOW).sub(labels).square().mean().item())
console.log(`root mean square error of the last two years' forecasts: ${ours.toFixed(1)}; as a year ago: ${naive.toFixed(1)}`)
assert(ours < 0.7 * naive)
