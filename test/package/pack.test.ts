// The packages as npm would bring them: packed, installed into an empty folder without scripts, and run there.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { homedir, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..', '..')
const windows = process.platform === 'win32'
const folder = realpathSync(mkdtempSync(join(tmpdir(), 'ferrograd-pack-')))
const installed = join(folder, 'node_modules')

function inFolder(command: string, args: string[], env: NodeJS.ProcessEnv = {}): string {
  return execFileSync(command, args, { cwd: folder, encoding: 'utf8', env: { ...process.env, ...env }, shell: windows, stdio: ['ignore', 'pipe', 'inherit'] })
}

const packages = (): string[] => readdirSync(installed).filter((name) => name.startsWith('ferrograd'))

function filesOf(name: string): string[] {
  return readdirSync(join(installed, name), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath ?? entry.path, entry.name))
}

beforeAll(() => {
  execFileSync(process.execPath, [join(root, 'scripts', 'pack.mjs')], { cwd: root, stdio: ['ignore', 'ignore', 'inherit'] })
  const tarballs = readdirSync(join(root, 'npm')).filter((file) => file.endsWith('.tgz')).map((file) => join(root, 'npm', file))
  expect(tarballs).toHaveLength(2)
  writeFileSync(join(folder, 'package.json'), '{ "name": "empty", "private": true }\n')
  inFolder('npm', ['install', '--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error', ...tarballs])
}, 900_000)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('both tarballs in an empty folder', () => {
  it('are all that is installed, with the four libraries that data is read by', () => {
    expect(packages()).toHaveLength(2)
    expect(readdirSync(installed).filter((name) => !name.startsWith('.') && !name.startsWith('ferrograd'))).toEqual(['csv-parse', 'fft.js', 'jpeg-js', 'pngjs'])
    for (const name of packages()) {
      const manifest = JSON.parse(readFileSync(join(installed, name, 'package.json'), 'utf8')) as { scripts?: unknown; devDependencies?: unknown }
      expect([manifest.scripts, manifest.devDependencies], name).toEqual([undefined, undefined])
    }
  })

  it('import, and compute with the platform package', () => {
    const code = "import { tensor, nn } from 'ferrograd'; import { Linear } from 'ferrograd/nn'; " +
      "console.log(JSON.stringify([await tensor([1, 2]).add(1).tolist(), nn.Linear === Linear]))"
    expect(JSON.parse(inFolder(process.execPath, ['--input-type=module', '-e', windows ? `"${code}"` : code]))).toEqual([[2, 3], true])
  })

  it.each(['ferrograd/nn', 'ferrograd/optim', 'ferrograd/data', 'ferrograd/train', 'ferrograd/models'])('%s is an entry of its own', (entry) => {
    writeFileSync(join(folder, 'entry.mjs'), `import * as all from '${entry}'\nconsole.log(Object.keys(all).length)\n`)
    expect(Number(inFolder(process.execPath, ['entry.mjs']))).toBeGreaterThan(0)
  })

  it('work through require', () => {
    writeFileSync(join(folder, 'main.cjs'), "const { tensor } = require('ferrograd')\ntensor([3]).mul(2).item().then(console.log)\n")
    expect(inFolder(process.execPath, ['--no-warnings', 'main.cjs']).trim()).toBe('6')
  })

  it('bring the command: npx ferrograd doctor', () => {
    const text = inFolder('npx', ['--no-install', 'ferrograd', 'doctor'], { NO_COLOR: '1' })
    expect(text).toContain(process.versions.node)
    expect(text).toMatch(/threads/i)
    expect(text).toMatch(/cuda/i)
  })

  it('have types for every entry', () => {
    writeFileSync(join(folder, 'types.mts'), "import { tensor, type Tensor } from 'ferrograd'\nimport { Linear } from 'ferrograd/nn'\n" +
      'export const y: Tensor = new Linear(2, 1).forward(tensor([[1, 2]]))\n// @ts-expect-error a string is no tensor\nnew Linear(2, 1).forward("x")\n')
    const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc')
    const options = ['--noEmit', '--strict', '--target', 'es2022', '--module', 'nodenext', '--skipLibCheck', 'false', '--types', 'node', '--typeRoots', join(root, 'node_modules', '@types')]
    expect(inFolder(process.execPath, [tsc, ...options, '--lib', 'es2023,esnext.disposable', 'types.mts'])).toBe('')
  })
})

describe('what is in them', () => {
  it('names no path of the machine that made it', () => {
    const home = homedir()
    const forbidden = [root, process.env.CARGO_HOME ?? join(home, '.cargo'), ...(home.length > 1 ? [`${home}/`] : [])]
    for (const file of packages().flatMap(filesOf)) {
      const bytes = readFileSync(file)
      for (const path of forbidden) expect(bytes.includes(path), `${file} names ${path}`).toBe(false)
    }
  })

  it('is one addon of at most 6 MB, and nothing of the tests or the sources', () => {
    const files = packages().flatMap(filesOf)
    const addons = files.filter((file) => file.endsWith('.node'))
    expect(addons).toHaveLength(1)
    expect(statSync(addons[0] as string).size).toBeLessThanOrEqual(6e6)
    expect(files.filter((file) => /\.(rs|test\.js|map)$/.test(file) || /(?<!\.d)\.ts$/.test(file))).toEqual([])
    for (const name of ['LICENSE', 'README.md', 'CHANGELOG.md', 'THIRD-PARTY-NOTICES.md']) expect(files).toContain(join(installed, 'ferrograd', name))
  })
})
