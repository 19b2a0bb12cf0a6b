// Writes ts/native/functions.ts: the ops as functions for users, guarded. Read from the sources of ts/ops, so that a new op is among them.
// Ops call each other directly, and as methods they are guarded by ts/attach.ts: here is what `import { softmax } from 'ferrograd'` gives.
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

/** @param {string} index ts/ops/index.ts  @param {string} target the file to write */
export function generateFunctions(index, target) {
  const files = [...readFileSync(index, 'utf8').matchAll(/^export \* from '\.\/([\w-]+)\.js'/gm)].map(([, file]) => file)
  const text = render(files.map((file) => readFileSync(join(dirname(index), `${file}.ts`), 'utf8')))
  // An unchanged file keeps its time, so that nothing is compiled again for it.
  if (!existsSync(target) || readFileSync(target, 'utf8') !== text) writeFileSync(target, text)
}

const DOC = String.raw`(?<doc>/\*\*(?:(?!\*/)[\s\S])*\*/\n)?`
const HEAD = String.raw`(?:async )?function (?<name>\w+)(?:<[^(]*>)?\(\s*(?<first>\w+)\??: (?<type>[^,)=]+)`

function render(sources) {
  const rows = []
  const guarded = []
  for (const source of sources) {
    // The rows of the pointwise tables look at their operands themselves: nothing is put before them.
    rows.push(...[...source.matchAll(/^export const (\w+)/gm)].map(([, name]) => name))
    const seen = new Set()
    for (const { groups } of source.matchAll(new RegExp(`^${DOC}export ${HEAD}`, 'gm'))) {
      if (!seen.has(groups.name)) guarded.push(groups)
      seen.add(groups.name)
    }
    // `export { variance as var }`: the name is a keyword.
    for (const [, local, name] of source.matchAll(/^export \{ (\w+) as (\w+) \}$/gm)) {
      const { groups } = new RegExp(`^${DOC}${HEAD.replace(String.raw`\w+`, local)}`, 'm').exec(source)
      guarded.push({ ...groups, name, local: `${name}_` })
    }
  }
  return `// Generated from ts/ops by scripts/generate-functions.mjs. Do not edit.
import { guard, guardAny, guardList } from '../explain.js'
import * as ops from '../ops/index.js'

export type * from '../ops/index.js'
export {
  ${rows.join(', ')},
} from '../ops/index.js'

${guarded.map(declaration).join('\n')}
`
}

function declaration({ doc = '', name, local, first, type }) {
  const call = /^(readonly )?Tensor(<[^>]*>)?\[\]/.test(type) ? `guardList('${name}', '${first}', ` : type.startsWith('Tensor') ? `guard('${name}', '${first}', ` : `guardAny('${name}', `
  const line = `const ${local ?? name}: typeof ops.${name} = ${call}ops.${name})`
  return local === undefined ? `${doc}export ${line}` : `${doc}${line}\nexport { ${local} as ${name} }`
}

if (process.argv[1] && import.meta.url === new URL(`file://${process.argv[1]}`).href) generateFunctions(process.argv[2], process.argv[3])
