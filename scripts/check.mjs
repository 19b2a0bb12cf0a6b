// Type-checks sources, tests and benches, and runs clippy and rustfmt: what CI asks for beyond the tests.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { build } from './build.mjs'
import { main, root, run, step } from './lib/steps.mjs'

const tsc = join('node_modules', 'typescript', 'bin', 'tsc')
await main(async () => {
  await step('build', () => build())
  await step('types of the tests', () => run(process.execPath, [tsc, '-p', 'tsconfig.test.json']))
  if (existsSync(join(root, 'bench'))) await step('types of the benches', () => run(process.execPath, [tsc, '-p', 'tsconfig.bench.json', '--noEmit']))
  await step('clippy', async () => {
    // `x % n == 0` stands as in the formulas. The addon's exports are called by Node alone: to its test build they are dead code.
    const lints = ['--', '-D', 'warnings', '-A', 'clippy::manual_is_multiple_of']
    await run('cargo', ['clippy', '--release', '--workspace', ...lints])
    await run('cargo', ['clippy', '--release', '--workspace', '--exclude', 'ferrograd-node', '--all-targets', ...lints])
  })
})
