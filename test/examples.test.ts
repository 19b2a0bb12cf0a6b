// Every example runs as a user would run it, small, and reaches the target that it asserts.
import { spawn } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')
/** Settings that keep a run short. */
const settings: Record<string, Record<string, string>> = {
  'article/cnn.mjs': { EPOCHS: '4', SAMPLES: '2000' },
  // On the reviews that it makes up: IMDB takes minutes.
  'article/lstm.mjs': { FERROGRAD_DATA: '', FERROGRAD_CACHE: '/nowhere' },
}

async function run(file: string): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [join('examples', file)], { cwd: root, env: { ...process.env, ...settings[file] } })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
    })
  return new Promise((done) => child.on('close', (code) => done({ code, output })))
}

describe('examples', () => {
  it('have been built', () => {
    expect(existsSync(join(root, 'dist', 'index.js')), 'dist is missing: node scripts/build.mjs').toBe(true)
  })

  for (const file of readdirSync(join(root, 'examples'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.mjs'))
    .sort()) {
    it(
      file.replaceAll('\\', '/'),
      async () => {
        const { code, output } = await run(file.replaceAll('\\', '/'))
        expect(code, output).toBe(0)
      },
      300_000,
    )
  }
})
