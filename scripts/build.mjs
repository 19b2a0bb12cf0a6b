// Builds everything that demo, test and bench need: npm packages, the addon, the generated op declarations, dist.
// Each part is skipped when what it is made of has not changed. `node scripts/build.mjs [--native]`: the latter stops before dist.
import { chmodSync, copyFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { generateFunctions } from './generate-functions.mjs'
import { addonFile, libraryFile } from './lib/platform.mjs'
import { filesBelow, hashOf, main, root, run, step } from './lib/steps.mjs'
import { checkToolchain } from './lib/toolchain.mjs'

export async function build({ native = false } = {}) {
  checkToolchain()
  await installPackages()
  await step('addon (cargo)', buildAddon)
  await generateRun()
  if (!native) await buildDist()
}

async function installPackages() {
  const stamp = join(root, 'node_modules', '.ferrograd-lock')
  const lock = hashOf(['package.json', 'package-lock.json'])
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return
  await step('npm packages', async () => {
    await run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'])
    writeFileSync(stamp, lock)
  })
}

// cargo knows best what has changed; asking it costs a fraction of a second.
async function buildAddon() {
  await run('cargo', ['build', '--release', '-p', 'ferrograd-node'])
  const library = join(process.env.CARGO_TARGET_DIR ?? join(root, 'target'), 'release', libraryFile())
  replaceFile(library, join(root, 'ts', 'native', addonFile()))
}

// A copy under another name and a rename: a process that has the old addon mapped keeps it whole.
function replaceFile(from, to) {
  if (existsSync(to) && readFileSync(from).equals(readFileSync(to))) return
  mkdirSync(dirname(to), { recursive: true })
  const temporary = `${to}.${process.pid}`
  copyFileSync(from, temporary)
  chmodSync(temporary, 0o755)
  renameSync(temporary, to)
}

// In a process of its own, so that this one does not map an addon that the next build replaces.
async function generateRun() {
  const native = join(root, 'ts', 'native')
  await run(process.execPath, [join(root, 'scripts', 'generate-run.mjs'), join(native, addonFile()), join(native, 'run.ts')])
  generateFunctions(join(root, 'ts', 'ops', 'index.ts'), join(native, 'functions.ts'))
}

const entries = ['index', 'internal', 'nn/index', 'optim/index', 'data/index', 'text/index', 'train/index', 'models/index', 'cli/index', 'cli/demo']

async function buildDist() {
  const sources = filesBelow('ts', (file) => file.endsWith('.ts'))
  const inputs = hashOf([...sources, 'tsconfig.json', 'scripts/build.mjs', 'package-lock.json'])
  const stamp = join(root, 'dist', '.sources')
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== inputs) {
    await step('dist (tsc, rolldown)', async () => {
      // What a removed source once became must not stay importable.
      for (const file of [...filesBelow('dist'), ...filesBelow('target/js')]) if (!file.endsWith('.node')) rmSync(join(root, file))
      await run(process.execPath, [join('node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.json', '--outDir', 'target/js', '--declarationDir', 'dist'])
      await bundle()
      chmodSync(join(root, 'dist', 'cli', 'index.js'), 0o755)
      writeFileSync(stamp, inputs)
    })
  }
  for (const file of filesBelow('ts/native', (name) => name.endsWith('.node'))) {
    replaceFile(join(root, file), join(root, file.replace(/^ts/, 'dist')))
  }
}

// One file for what is always loaded, and one for each part that may never be: opening 170 small modules costs more than the addon itself.
// The pieces lie in dist itself, beside native/, where `require('./native/...')` looks.
async function bundle() {
  const { rolldown } = await import('rolldown')
  const input = Object.fromEntries(entries.map((name) => [name, join(root, 'target', 'js', `${name}.js`)]))
  const build = await rolldown({ input, platform: 'node', external: (id) => !/^[./]/.test(id) || id.endsWith('.node'), logLevel: 'warn' })
  await build.write({ dir: join(root, 'dist'), format: 'esm', entryFileNames: '[name].js', chunkFileNames: '[name]-[hash].js' })
  await build.close()
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  await main(() => step('build', () => build({ native: process.argv.includes('--native') })))
}
