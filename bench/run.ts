// npm run bench [-- --only NAME] [--json FILE] [--list]
// Measures the machine's limits, then every bench, or those whose name contains NAME (the long ones only so); prints figure, spread, share of the limit and bound.
import { writeFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { importTime } from './import-time.js'
import { loopDelay } from './loop-delay.js'
import { cifar10Accuracy, cifar10Augmented } from './models/cifar10-accuracy.js'
import { charLoss } from './models/char-loss.js'
import { cnnInference } from './models/cnn-inference.js'
import { imdbAccuracy } from './models/imdb-accuracy.js'
import { opCost } from './op-cost.js'
import { chains } from './ops/chains.js'
import { convolution } from './ops/conv2d.js'
import { temporal } from './ops/ctc-loss.js'
import { matmul } from './ops/matmul.js'
import { quantized } from './ops/quantized-linear.js'
import { memory } from './ops/memory.js'
import { pointwise } from './ops/pointwise.js'
import { pooling } from './ops/pool2d.js'
import { reductions } from './ops/reduce.js'
import { resnetInference } from './models/resnet-inference.js'
import { digitsAccuracy, digitStrings, vowelsAccuracy } from './models/tagger-accuracy.js'
import { textAccuracies } from './models/text-accuracy.js'
import { text } from './text.js'
import { trainingSteps } from './models/training-step.js'
import { measurePeak } from './peak.js'
import { type Bench, type Figure, line } from './report.js'

const benches: Bench[] = [opCost, importTime, matmul, quantized, convolution, pooling, pointwise, chains, reductions, temporal, memory, ...trainingSteps, cnnInference, resnetInference, text, loopDelay, cifar10Accuracy, cifar10Augmented, vowelsAccuracy, digitsAccuracy, digitStrings, ...textAccuracies, imdbAccuracy, charLoss]

const options = { only: { type: 'string' }, json: { type: 'string' }, list: { type: 'boolean' } } as const

const values = chosenOptions()
if (values?.list) {
  console.log(benches.map(({ name }) => name).join('\n'))
} else if (values !== null) {
  const chosen = benches.filter(({ name, long }) => (values.only === undefined ? !long : name.includes(values.only)))
  if (chosen.length > 0) await runBenches(chosen, values.json)
  else refuse(`no bench is called '${values.only}'; there are ${benches.map(({ name }) => name).join(', ')}.`)
}

/** The options, or null for a mistake in them, which is a matter of one line. */
function chosenOptions(): { only?: string; json?: string; list?: boolean } | null {
  try {
    return parseArgs({ options }).values
  } catch (error) {
    refuse(`${(error as Error).message.split('. ')[0]}. There are ${Object.keys(options).map((name) => `--${name}`).join(', ')}.`)
    return null
  }
}

function refuse(fault: string): void {
  console.error(`bench: ${fault}`)
  process.exitCode = 2
}

async function runBenches(chosen: Bench[], json: string | undefined): Promise<void> {
  const peak = measurePeak()
  console.log(`limits of ${peak.threads} threads (${peak.isa}): ${peak.gflops} GFLOP/s float32, ${peak.bfloat16Gflops} bfloat16; GB/s: cache ${peak.cacheReadGBs}, shared cache ${peak.sharedReadGBs}, ` +
    `read ${peak.readGBs}, update ${peak.updateGBs}, triad ${peak.triadGBs}`)
  const figures: Figure[] = []
  const report = (figure: Figure): void => {
    figures.push(figure)
    console.log(line(figure))
  }
  for (const bench of chosen) await bench.run({ peak, report })
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ node: process.version, peak, figures }, null, 2)}\n`)
}
