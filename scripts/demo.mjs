// Builds, then trains the CNN on CIFAR-10 or on the embedded digits. Arguments: `npm run demo -- --help`.
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { build } from './build.mjs'
import { main, root, step } from './lib/steps.mjs'

await main(async () => {
  await step('build', () => build())
  const { demo } = await import(pathToFileURL(join(root, 'dist', 'cli', 'demo.js')).href)
  const status = await demo(process.argv.slice(2))
  if (typeof status === 'number') process.exitCode = status
})
