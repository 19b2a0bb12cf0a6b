// What `import 'ferrograd'` adds to a bare Node process, in turns so that both see the same machine; and the size of the addon.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import type { Bench, Context } from './report.js'
import { root } from './root.js'

function milliseconds(code: string): number {
  const start = process.hrtime.bigint()
  execFileSync(process.execPath, ['--input-type=module', '-e', code], { cwd: root })
  return Number(process.hrtime.bigint() - start) / 1e6
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1] as number

export const importTime: Bench = {
  name: 'import',
  async run({ report }: Context) {
    const entry = `import ${JSON.stringify(new URL(`file://${join(root, 'dist', 'index.js')}`).href)}`
    const bare: number[] = []
    const loaded: number[] = []
    for (let round = 0; round < 21; round++) {
      bare.push(milliseconds(''))
      loaded.push(milliseconds(entry))
    }
    report({ name: 'import / bare node', value: median(bare), unit: 'ms' })
    const added = loaded.map((value, i) => value - (bare[i] as number)).sort((a, b) => a - b)
    const at = (share: number): number => added[Math.round(share * (added.length - 1))] as number
    report({ name: 'import / added by ferrograd', value: at(0.5), unit: 'ms', spread: (at(0.75) - at(0.25)) / 2 / at(0.5), bound: { limit: 40, kind: 'at most' } })
  },
}
