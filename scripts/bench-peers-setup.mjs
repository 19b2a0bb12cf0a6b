// Installs what the library is compared with into $FERROGRAD_PEERS (default .peers): npm run bench:peers:setup [-- --only NAME]
// A venv for Python's, a node_modules for Node's; nothing of it enters the package. Says at the end what could not be had.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { exitStatus, main, Missing, outputOf, step } from './lib/steps.mjs'
import { nodePackages, peersFolder, pythonPackages, venvPython } from './lib/peers.mjs'

const pip = (...args) => exitStatus(venvPython, ['-m', 'pip', '--disable-pip-version-check', ...args])
const npm = (...args) => exitStatus('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...args], { cwd: peersFolder })

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
  mkdirSync(peersFolder, { recursive: true })

  if (pythonPackages.some(wanted)) {
    if (!existsSync(venvPython)) {
      const python = process.env.FERROGRAD_PYTHON ?? 'python3'
      if (outputOf(python, ['--version']) === null) throw new Missing(`${python} cannot be run. Install Python 3.10 or newer, or set FERROGRAD_PYTHON to one.`)
      await step('Python venv', () => exitStatus(python, ['-m', 'venv', join(peersFolder, 'venv')]))
    }
    for (const row of pythonPackages.filter(wanted)) {
      await step(row.peer, async () => { if (!await install(row, (...names) => pip('install', '--quiet', ...names), '==')) lacking.push(row.peer) })
    }
  }
  // A manifest of its own, so that npm installs here and not in the repository around it.
  writeFileSync(join(peersFolder, 'package.json'), '{ "private": true }\n')
  for (const row of nodePackages.filter(wanted)) {
    await step(row.peer, async () => { if (!await install(row, npm, '@')) lacking.push(row.peer) })
  }

  console.log(outputOf(venvPython, ['-c', 'import shutil; print("g++ (torch.compile wants a C++ compiler):", shutil.which("g++") or shutil.which("clang++") or "missing")']) ?? '')
  console.log(lacking.length === 0 ? `All peers are in ${peersFolder}.` : `Could not be had: ${lacking.join(', ')}. bench:peers leaves them out and says so.`)
})
