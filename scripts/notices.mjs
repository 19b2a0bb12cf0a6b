// Writes THIRD-PARTY-NOTICES.md: every crate linked into the addon with its licence, and the data the package carries.
// `--check` only compares: it fails when the file is not what would be written.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { main, outputOf, root } from './lib/steps.mjs'

const file = join(root, 'THIRD-PARTY-NOTICES.md')

const data = `## Data

**Optical recognition of handwritten digits** (E. Alpaydin and C. Kaynak, UCI Machine Learning Repository, 1998, https://doi.org/10.24432/C50P49),
the 1,797 digits of its test part, 8x8 with 17 grey levels, as scikit-learn carries them. Creative Commons Attribution 4.0
International (https://creativecommons.org/licenses/by/4.0/). Changed here only in encoding: one text character a pixel.
`

/** The packages linked into the addon: reachable from ferrograd-node over normal dependencies, without proc macros and our own crates. */
function linkedCrates() {
  const metadata = JSON.parse(outputOf('cargo', ['metadata', '--format-version', '1', '--locked']))
  const packages = new Map(metadata.packages.map((entry) => [entry.id, entry]))
  const nodes = new Map(metadata.resolve.nodes.map((node) => [node.id, node]))
  const seen = new Set()
  const visit = (id) => {
    if (seen.has(id) || packages.get(id).targets.some((target) => target.kind.includes('proc-macro'))) return
    seen.add(id)
    for (const dependency of nodes.get(id).deps) {
      if (dependency.dep_kinds.some((kind) => kind.kind === null)) visit(dependency.pkg)
    }
  }
  visit(metadata.packages.find((entry) => entry.name === 'ferrograd-node').id)
  return [...seen].map((id) => packages.get(id)).filter((entry) => entry.source !== null).sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** The licence text to repeat: MIT's where the crate offers it, since that is the one that must be. */
function licenceText(crate) {
  const folder = dirname(crate.manifest_path)
  const names = readdirSync(folder).filter((name) => /^(licen[cs]e|copying|unlicense)/i.test(name)).sort()
  const chosen = names.find((name) => /mit/i.test(name)) ?? names.find((name) => !/apache/i.test(name)) ?? names[0]
  return chosen ? readFileSync(join(folder, chosen), 'utf8').replaceAll('\r', '').trim() : null
}

function notices() {
  const byText = new Map()
  for (const crate of linkedCrates()) {
    const text = licenceText(crate) ?? `${crate.license}; the crate carries no licence file. See ${crate.repository}.`
    byText.set(text, [...(byText.get(text) ?? []), crate])
  }
  const sections = [...byText].map(([text, crates]) => {
    const list = crates.map((crate) => `- ${crate.name} ${crate.version} (${crate.license}) ${crate.repository ?? ''}`.trim()).join('\n')
    return `${list}\n\n\`\`\`text\n${text}\n\`\`\`\n`
  })
  return `# Third-party notices\n\nFerrograd's addon links the crates below, under their licences. Written by \`node scripts/notices.mjs\`.\n\n${sections.join('\n')}\n${data}`
}

await main(() => {
  const text = notices()
  if (!process.argv.includes('--check')) return writeFileSync(file, text)
  if (readFileSync(file, 'utf8') !== text) throw new Error('THIRD-PARTY-NOTICES.md is out of date: node scripts/notices.mjs')
})
