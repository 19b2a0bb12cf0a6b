import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    // One process a file: a test of teardown, memory or workers must not share its runtime with another. `gc` for the memory tests.
    pool: 'forks',
    execArgv: ['--expose-gc'],
    maxWorkers: 2,
    testTimeout: 120_000,
    hookTimeout: 120_000,
  },
  // Node 20 has no `using`: lower it as tsc does.
  oxc: { target: 'es2022' },
})
