// The README's code runs, and what its tables name exists.
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import * as ferrograd from '../ts/index.js'

const root = resolve(import.meta.dirname, '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
// Below the repository, so that `import 'ferrograd'` is the built library.
const folder = join(root, 'target', 'readme')
const blocks = [...readme.matchAll(/```js\n([\s\S]*?)```/g)].map((match) => match[1] as string)

afterAll(() => rmSync(folder, { recursive: true, force: true }))

function runScript(name: string, code: string): string {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, name), code)
  return execFileSync(process.execPath, [name], { cwd: folder, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

describe('README', () => {
  it('has a CNN of twenty lines that trains, evaluates, predicts and saves', () => {
    const code = (blocks[0] as string).replace('epochs: 10', 'epochs: 1')
    expect(code.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('//')).length).toBeLessThanOrEqual(20)
    const output = runScript('digits.mjs', code)
    expect(output).toMatch(/accuracy: 0\.\d+/)
    expect(existsSync(join(folder, 'digits.safetensors'))).toBe(true)
  })

  it('has a loop by hand that runs as it stands, on the same model and data', () => {
    const losses = runScript('by-hand.mjs', blocks[1] as string).trim().split('\n').map(Number)
    expect(losses.length).toBeGreaterThan(30)
    expect(losses.at(-1)).toBeLessThan(losses[0] as number)
  })

  it('has blocks that import what they use', () => {
    expect(blocks.length).toBeGreaterThanOrEqual(3)
    for (const block of blocks) {
      const imported = [...block.matchAll(/^import \{ (.*?) \} from 'ferrograd'$/gm)].flatMap(([, names]) => (names as string).split(', '))
      for (const name of imported) expect(ferrograd, name).toHaveProperty(name)
      for (const [, name] of block.matchAll(/(?<![\w.])(nn|optim|data|models|train)\.\w/g)) expect(imported, block).toContain(name)
    }
  })

  it('names only layers, optimizers and functions that exist', () => {
    const missing: string[] = []
    for (const [, space, name] of readme.matchAll(/(?<![\w.])(nn|optim|data)\.(\w+)/g)) {
      if (!/^(Module)$/.test(name as string) && !((name as string) in ferrograd[space as 'nn' | 'optim' | 'data'])) missing.push(`${space}.${name}`)
    }
    // PyTorch's own names stand in the first column.
    const ours = missing.filter((name) => !readme.split('\n').some((line) => line.startsWith('|') && (line.split('|')[1] as string).includes(name)))
    expect(ours).toEqual([])
    for (const name of ['EarlyStopping', 'ModelCheckpoint', 'CsvLogger']) expect(ferrograd.train).toHaveProperty(name)
  })

  it('names only environment variables that the sources read', () => {
    const sources = ['ts', 'crates', 'scripts', 'bench'].flatMap((top) => readdirSync(join(root, top), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(ts|rs|mjs|py)$/.test(file)).map((file) => readFileSync(join(root, top, file), 'utf8'))).join('\n')
    for (const [name] of readme.matchAll(/FERROGRAD_[A-Z_]+/g)) expect(sources, name).toContain(name)
  })

  it('links to files that exist, and names commands that package.json has', () => {
    const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
    for (const [, target] of readme.matchAll(/\]\(([^)h][^)]*)\)/g)) expect(existsSync(join(root, target as string)), target).toBe(true)
    for (const [, name] of readme.matchAll(/`?npm run ([\w:]+)/g)) expect(scripts, name).toHaveProperty([name as string])
    for (const [name] of readme.matchAll(/(?<![\w/])(?:examples|test|crates|bench)\/[\w./-]+\.\w+/g)) expect(existsSync(join(root, name)), name).toBe(true)
  })
})
