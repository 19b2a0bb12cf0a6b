// The two import graphs that the README draws, and a reason beside every `unsafe`.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')

/** crate -> what it may depend on */
const crates: Record<string, string[]> = {
  simd: [],
  tensor: [],
  cpu: ['simd', 'tensor'],
  cuda: ['tensor'],
  text: [],
  runtime: ['tensor', 'simd', 'cpu', 'cuda'],
  node: ['tensor', 'runtime', 'text'],
}

/** What stands on the public surface alone, and on the one internal entry for fused ops. */
const onTheSurface = ['index', 'internal']
/** group of ts/ -> what it may import when it runs (type imports are free) */
const groups: Record<string, string[]> = {
  base: [],
  native: ['base'],
  core: ['base', 'native'],
  ops: ['base', 'native', 'core'],
  nn: ['base', 'native', 'core', 'ops', 'attach'],
  attach: ['core', 'ops'],
  models: ['base', 'core', 'ops', 'nn', 'train', 'data', 'optim', ...onTheSurface],
  optim: onTheSurface,
  data: onTheSurface,
  text: onTheSurface,
  train: onTheSurface,
  interpret: onTheSurface,
  serve: onTheSurface,
  cli: ['models', 'train', 'data', 'optim', 'nn', 'text', ...onTheSurface],
  internal: ['base', 'native', 'core', 'ops'],
  index: ['base', 'native', 'core', 'attach', 'ops', 'nn', 'optim', 'data', 'text', 'train', 'models'],
}
const base = ['errors', 'dtype', 'context', 'log']
/** The one import against the directions, made when first wanted: `model.save` and `model.load` write and read safetensors, which know no layers. */
const exceptions = ['ts/nn/files.ts imports ts/train/safetensors.js']

function groupOf(file: string): string {
  const [first = '', ...rest] = relative(join(root, 'ts'), file).replaceAll('\\', '/').replace(/\.(ts|js)$/, '').split('/')
  if (first === 'native' && rest[0] === 'run') return 'core'        // the generated encoder gives tensors back
  if (first === 'native' && rest[0] === 'functions') return 'attach'  // the ops for users, as functions
  if (rest.length > 0) return first
  if (first === 'native' || first === 'attach' || onTheSurface.includes(first)) return first
  return base.includes(first) ? 'base' : 'core'
}

function filesBelow(folder: string, ending: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith(ending)).map((file) => join(root, folder, file)).sort()
}

/** Relative imports that are there when the file runs, dynamic ones too. */
function imports(file: string): string[] {
  const text = readFileSync(file, 'utf8').replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/^\s*\/\/.*$/gm, '')
  const from = [...text.matchAll(/^\s*(?:import|export)\s+(?!type\b)(?:[^'";]*?\sfrom\s+)?['"](\.[^'"]+)['"]/gm)]
  const dynamic = [...text.matchAll(/\bimport\(\s*['"](\.[^'"]+)['"]\s*\)/g)]
  return [...from, ...dynamic].map((match) => resolve(dirname(file), match[1] as string))
}

describe('directions', () => {
  it('of the Rust crates', () => {
    expect(readdirSync(join(root, 'crates')).sort()).toEqual(Object.keys(crates).sort())
    for (const [name, allowed] of Object.entries(crates)) {
      const manifest = readFileSync(join(root, 'crates', name, 'Cargo.toml'), 'utf8')
      const section = /^\[dependencies\]\n([\s\S]*?)(?=^\[|$(?![\s\S]))/m.exec(manifest)?.[1] ?? ''
      const found = [...section.matchAll(/^ferrograd-(\w+)/gm)].map((match) => match[1] as string)
      expect(found.filter((dependency) => !allowed.includes(dependency)), `crates/${name}`).toEqual([])
    }
  })

  it('of the TypeScript folders', () => {
    const wrong: string[] = []
    for (const file of filesBelow('ts', '.ts')) {
      const group = groupOf(file)
      expect(Object.keys(groups), file).toContain(group)
      for (const target of imports(file)) {
        const other = groupOf(target)
        if (other !== group && !groups[group]?.includes(other)) wrong.push(`${relative(root, file)} imports ${relative(root, target)}`.replaceAll('\\', '/'))
      }
    }
    expect([...new Set(wrong)]).toEqual(exceptions)
  })

  it('every subpath of package.json has its source', () => {
    const { exports, bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { exports: Record<string, { default: string }>; bin: Record<string, string> }
    const files = [...Object.values(exports).flatMap((entry) => entry.default ?? []), ...Object.values(bin)]
    for (const file of files) expect(existsSync(join(root, file.replace(/^(\.\/)?dist/, 'ts').replace(/\.js$/, '.ts'))), file).toBe(true)
  })
})

describe('unsafe', () => {
  it('blocks and impls have a SAFETY line above or beside them, unsafe functions a comment', () => {
    const bare: string[] = []
    for (const file of filesBelow('crates', '.rs')) {
      const lines = readFileSync(file, 'utf8').split('\n')
      lines.forEach((line, i) => {
        const code = line.replace(/\/\/.*$/, '').replace(/"(?:[^"\\]|\\.)*"/g, '""')
        const above = lines.slice(Math.max(0, i - 8), i + 2).join('\n')
        const declares = /\bunsafe\s+(extern\s+""\s+)?fn\s+\w/.test(code)
        const uses = /\bunsafe\s*(\{|impl\b)|\bunsafe\s*$/.test(code)
        if ((declares && !/\/\//.test(above)) || (uses && !/safety/i.test(above))) bare.push(`${relative(root, file)}:${i + 1}: ${line.trim()}`)
      })
    }
    expect(bare).toEqual([])
  })
})
