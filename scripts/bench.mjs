// Builds, compiles bench/ and runs it: npm run bench [-- --only NAME --json FILE --list]
import { join } from 'node:path'
import { build } from './build.mjs'
import { exitStatus, main, root, run, step } from './lib/steps.mjs'

await main(async () => {
  await step('build', () => build())
  await step('benches (tsc)', () => run(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.bench.json']))
  process.exitCode = await exitStatus(process.execPath, ['--expose-gc', join(root, 'target', 'bench', 'run.js'), ...process.argv.slice(2)])
})
