// Installs what the library is compared with into $FERROGRAD_PEERS (default .peers): npm run bench:peers:setup [-- --only NAME]
// A venv for Python's, a node_modules for Node's; nothing of it enters the package. Says at the end what could not be had.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { exitStatus, main, Missing, outputOf, step } from './lib/steps.mjs'
import { nodePackages, peersFolder, pythonPackages, venvPython } from './lib/peers.mjs'

const pip = (...args) => exitStatus(venvPython, ['-m', 'pip', '--disable-pip-version-check', ...args])
const quietly = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
const npm = (...args) => exitStatus('npm', ['install', ...quietly, ...args], { cwd: peersFolder })

/** The version that the figures were taken with; where it is not to be had here, the newest that is. */
async function install({ packages }, installer, separator) {
  const pinned = Object.entries(packages).map(([name, version]) => name + separator + version)
  if (await installer(...pinned) === 0) return true
  console.log(`${pinned.join(', ')}: not to be had here; trying the newest instead`)
  return await installer(...Object.keys(packages)) === 0
}

await main(async () => {
  const { values: { only } } = parseArgs({ options: { only: { type: 'string' } } })
  const wanted = ({ peer }) => only === undefined || peer === only
  const lacking = []
  const orLacking = async (row, installer, separator) => { if (!await install(row, installer, separator)) lacking.push(row.peer) }
  mkdirSync(peersFolder, { recursive: true })

  if (pythonPackages.some(wanted)) {
    if (!existsSync(venvPython)) {
      const python = process.env.FERROGRAD_PYTHON ?? 'python3'
      const wayOut = 'Install Python 3.10 or newer, or set FERROGRAD_PYTHON to one.'
      if (outputOf(python, ['--version']) === null) throw new Missing(`${python} cannot be run. ${wayOut}`)
      await step('Python venv', () => exitStatus(python, ['-m', 'venv', join(peersFolder, 'venv')]))
    }
    for (const row of pythonPackages.filter(wanted)) {
      await step(row.peer, () => orLacking(row, (...names) => pip('install', '--quiet', ...names), '=='))
    }
  }
  // A manifest of its own, so that npm installs here and not in the repository around it.
  const manifest = join(peersFolder, 'package.json')
  if (!existsSync(manifest)) writeFileSync(manifest, '{ "private": true }\n')
  for (const row of nodePackages.filter(wanted)) {
    await step(row.peer, () => orLacking(row, npm, '@'))
  }

  if (['g++', 'clang++', 'c++'].every((name) => outputOf(name, ['--version']) === null)) lacking.push('a C++ compiler, which torch.compile wants')
  if (lacking.length === 0) console.log(`All peers are in ${peersFolder}.`)
  else console.log(`Could not be had: ${lacking.join('; ')}. bench:peers leaves them out and says so.`)
})
