// Builds, runs the Rust tests and the TypeScript tests, and sums both into one last line: `N passed, N failed, N skipped`.
// Arguments go to vitest, and then only vitest runs: `npm test -- test/ops`.
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { build } from './build.mjs'
import { exitStatus, Missing, root, step } from './lib/steps.mjs'

const args = process.argv.slice(2)
const total = { passed: 0, failed: 0, skipped: 0 }

try {
  await step('build', () => build())
  if (args.length === 0) await step('cargo test', cargoTests)
  await step('vitest', vitestTests)
  if (total.passed + total.failed === 0) fail('No test ran.')
} catch (error) {
  fail(error instanceof Missing ? error.message : String(error?.message ?? error))
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`)
process.exitCode = total.failed > 0 ? 1 : 0

/** A fault outside of any test counts as one failure. */
function fail(message) {
  console.error(`\n${message}`)
  total.failed += 1
}

function add(passed, failed, skipped) {
  total.passed += passed
  total.failed += failed
  total.skipped += skipped
}

async function cargoTests() {
  let seen = 0, failures = 0
  const status = await exitStatus('cargo', ['test', '--release', '--workspace', '--no-fail-fast', '--', '--quiet'], {
    onLine(line) {
      const found = /^test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored/.exec(line)
      if (found) {
        const [passed, failed, ignored] = found.slice(1).map(Number)
        add(passed, failed, ignored)
        seen += passed + failed
        failures += failed
      }
      if (!/^running 0 tests|^test result: ok\. 0 passed|^\s*$/.test(line)) console.log(line)
    },
  })
  if (status !== 0 && failures === 0) fail(`cargo test failed (status ${status})`)
  else if (seen === 0) fail('cargo ran no test.')
}

async function vitestTests() {
  const report = join(root, 'target', 'vitest.json')
  mkdirSync(join(root, 'target'), { recursive: true })
  rmSync(report, { force: true })
  const command = join('node_modules', 'vitest', 'vitest.mjs')
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  const status = await exitStatus(process.execPath, [command, 'run', ...reporters, ...args])
  if (!existsSync(report)) return fail(`vitest wrote no report (status ${status})`)
  const result = JSON.parse(readFileSync(report, 'utf8'))
  // A file that failed without a failed test: it did not load, or a hook threw.
  const broken = result.testResults.filter((file) => file.status === 'failed' && !file.assertionResults.some((test) => test.status === 'failed'))
  for (const file of broken) fail(`${file.name}: ${file.message}`)
  add(result.numPassedTests, result.numFailedTests, result.numPendingTests + result.numTodoTests)
  if (status !== 0 && broken.length + result.numFailedTests === 0) fail(`vitest failed outside of any test (status ${status})`)
  else if (result.numTotalTests === 0) fail('vitest ran no test.')
}
