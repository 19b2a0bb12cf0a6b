// The same work in PyTorch and in Ferrograd, in turns on this machine: npm run bench:peers [-- --rounds N]
// Wants a Python with torch: $FERROGRAD_PYTHON, or python3.
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { exitStatus, main, Missing, outputOf, root, run } from './lib/steps.mjs'

await main(async () => {
  const { values } = parseArgs({ options: { rounds: { type: 'string', default: '2' } } })
  const python = process.env.FERROGRAD_PYTHON ?? 'python3'
  if (outputOf(python, ['-c', 'import torch']) === null) {
    throw new Missing(`${python} has no torch. Install it (pip install torch), or set FERROGRAD_PYTHON to a Python that has it.`)
  }
  for (let round = 0; round < Number(values.rounds); round++) {
    await exitStatus(python, [join(root, 'bench', 'peers', 'cnn_step.py')])
    await run(process.execPath, [join(root, 'scripts', 'bench.mjs'), '--only', 'cnn step'])
  }
})
