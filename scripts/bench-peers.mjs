// The same work in Ferrograd and in other libraries, in turns on this machine:
// npm run bench:peers [-- --only NAME --peers A,B --json FILE --pairs N --threads N --list]
// The peers come by npm run bench:peers:setup; what is missing is left out and named. $FERROGRAD_PYTHON: a Python that has some of them already.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { build } from './build.mjs'
import { peersFolder, venvPython } from './lib/peers.mjs'
import { exitStatus, main, root, run, step } from './lib/steps.mjs'

await main(async () => {
  await step('build', () => build())
  await step('benches (tsc)', () => run(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.bench.json']))
  const python = process.env.FERROGRAD_PYTHON ?? (existsSync(venvPython) ? venvPython : 'python3')
  const env = { FERROGRAD_PEERS: peersFolder, FERROGRAD_PYTHON: python }
  process.exitCode = await exitStatus(process.execPath, [join(root, 'target', 'bench', 'peers', 'run.js'), ...process.argv.slice(2)], { env })
})
