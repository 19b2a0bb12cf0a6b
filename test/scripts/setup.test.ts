// What a fresh clone meets: scripts on Node's own modules, messages that say how to get what is missing, packages without surprises.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..', '..')
const read = (file: string): string => readFileSync(join(root, file), 'utf8')

describe('scripts', () => {
  it('import nothing but Node\'s own modules, each other and the built library', () => {
    const scripts = readdirSync(join(root, 'scripts'), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.mjs'))
    expect(scripts.length).toBeGreaterThan(5)
    for (const file of scripts) {
      for (const [, name = ''] of read(join('scripts', file)).matchAll(/^import .*? from '([^']+)'/gm)) {
        expect(name.startsWith('.') || builtinModules.includes(name.replace(/^node:/, '')), `${file}: ${name}`).toBe(true)
      }
    }
  })

  it.skipIf(process.platform === 'win32')('name each missing tool and the way to get it', () => {
    const empty = mkdtempSync(join(tmpdir(), 'ferrograd-none-'))
    const script = join(root, 'scripts', 'build.mjs')
    const result = spawnSync(process.execPath, [script], { env: { PATH: empty, HOME: empty, CARGO_HOME: join(empty, 'cargo') }, encoding: 'utf8' })
    rmSync(empty, { recursive: true })
    expect(result.status).toBe(1)
    expect(result.stderr).toContain('cargo was not found')
    expect(result.stderr).toContain('https://rustup.rs')
    expect(result.stderr).toMatch(/C linker \(cc\) was not found\. \S/)
  })

  it('know when the third-party notices are out of date', () => {
    execFileSync(process.execPath, [join(root, 'scripts', 'notices.mjs'), '--check'], { cwd: root })
  })
})

describe('package.json and its lock', () => {
  const manifest = JSON.parse(read('package.json')) as { scripts: Record<string, string>; optionalDependencies?: object; dependencies: object; engines: { node: string } }
  const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, { resolved?: string; optionalDependencies?: object; dependencies?: object; hasInstallScript?: boolean }> }

  it('have no lifecycle script, no platform package, and no run-time dependency but readers of images and CSV and the Fourier transform, which have none', () => {
    expect(Object.keys(manifest.scripts).filter((name) => /^(pre|post)|^(install|prepare|prepublish|dependencies)$/.test(name))).toEqual([])
    expect(manifest.optionalDependencies).toBeUndefined()
    expect(Object.keys(manifest.dependencies)).toEqual(['csv-parse', 'fft.js', 'jpeg-js', 'pngjs'])
    for (const name of Object.keys(manifest.dependencies)) {
      const entry = lock.packages[`node_modules/${name}`]
      expect([entry?.dependencies, entry?.hasInstallScript], name).toEqual([undefined, undefined])
    }
    expect(lock.packages['']?.optionalDependencies).toBeUndefined()
    expect(manifest.engines.node).toBe('>=20.19')
  })

  it('name no registry', () => {
    for (const [name, entry] of Object.entries(lock.packages)) expect(entry.resolved, name).toBeUndefined()
  })

  it('and the scripts they name exist', () => {
    for (const command of Object.values(manifest.scripts)) expect(existsSync(join(root, command.replace(/^node /, ''))), command).toBe(true)
  })
})
