// Makes the tarballs that `npm install ferrograd` brings: the main package, and one package a platform that holds nothing but the addon.
// node scripts/pack.mjs [--artifacts FOLDER]
// Without --artifacts this platform's addon is built in the `dist` profile; with it, each ferrograd.<triple>.node found there is packed.
// Result: npm/*.tgz. The repository's package.json never names the platform packages: the staged copy does.
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { build } from './build.mjs'
import { addonFile, libraryFile } from './lib/platform.mjs'
import { main, root, run, step } from './lib/steps.mjs'

const stage = join(root, 'target', 'package')
const out = join(root, 'npm')

await main(async () => {
  const { values } = parseArgs({ options: { artifacts: { type: 'string' } } })
  await step('build', () => build())
  rmSync(stage, { recursive: true, force: true })
  rmSync(out, { recursive: true, force: true })
  mkdirSync(out, { recursive: true })
  const artifacts = values.artifacts ? resolve(values.artifacts) : await step('addon (dist profile)', buildForRelease)
  const manifest = stageMain(artifacts)
  await stagePlatforms(artifacts, manifest)
  for (const folder of [stage, ...platformFolders()]) {
    await run('npm', ['pack', '--ignore-scripts', '--silent', '--pack-destination', out], { cwd: folder })
  }
  const addons = platformFolders().flatMap((folder) => readdirSync(folder).filter((file) => file.endsWith('.node')).map((file) => join(folder, file)))
  for (const path of [...addons, ...readdirSync(out).map((file) => join(out, file))]) console.log(`${relative(root, path)}  ${(statSync(path).size / 1e6).toFixed(2)} MB`)
})

// Panic messages carry source paths: map this machine's away.
async function buildForRelease() {
  const cargoHome = process.env.CARGO_HOME ?? join(homedir(), '.cargo')
  const flags = [[root, 'ferrograd'], [cargoHome, 'cargo'], [homedir(), 'home']].map(([from, to]) => `--remap-path-prefix=${from}=${to}`)
  // Functions that came out alike are kept once (3 % of the addon), by the linker that Rust brings along on this platform alone.
  const glibc = process.platform === 'linux' && process.report.getReport().header.glibcVersionRuntime !== undefined
  if (process.arch === 'x64' && glibc) flags.push('-Clink-arg=-Wl,--icf=all')
  const target = process.env.CARGO_TARGET_DIR ?? join(root, 'target')
  await run('cargo', ['build', '--profile', 'dist', '-p', 'ferrograd-node'], { env: { CARGO_ENCODED_RUSTFLAGS: flags.reverse().join('\x1f') } })
  const folder = join(root, 'target', 'artifacts')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  cpSync(join(target, 'dist', libraryFile()), join(folder, addonFile()))
  return folder
}

/** The staged main package: what `files` names, and a package.json that has the platform packages and nothing for developers. */
function stageMain(artifacts) {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const triples = readdirSync(artifacts).map((file) => /^ferrograd\.(.+)\.node$/.exec(file)?.[1]).filter(Boolean)
  if (triples.length === 0) throw new Error(`${artifacts} holds no ferrograd.<triple>.node`)
  for (const key of ['scripts', 'devDependencies', 'overrides']) delete manifest[key]
  manifest.optionalDependencies = Object.fromEntries(triples.sort().map((triple) => [`ferrograd-${triple}`, manifest.version]))
  manifest.napi.targets = manifest.napi.targets.filter((target) => triples.includes(tripleOf(target)))
  mkdirSync(stage, { recursive: true })
  for (const file of ['README.md', 'LICENSE', 'CHANGELOG.md', 'THIRD-PARTY-NOTICES.md']) {
    if (existsSync(join(root, file))) cpSync(join(root, file), join(stage, file))
  }
  writeManifest(manifest)
  return manifest
}

/** @napi-rs/cli writes the platform packages (name, os, cpu, libc) below npm/ of the staged package and puts the addons into them. */
async function stagePlatforms(artifacts, manifest) {
  const napi = join(root, 'node_modules', '@napi-rs', 'cli', 'dist', 'cli.js')
  cpSync(artifacts, join(stage, 'artifacts'), { recursive: true })
  await run(process.execPath, [napi, 'create-npm-dirs', '--npm-dir', 'npm'], { cwd: stage })
  await run(process.execPath, [napi, 'artifacts', '--output-dir', 'artifacts', '--npm-dir', 'npm'], { cwd: stage })
  rmSync(join(stage, 'artifacts'), { recursive: true })
  for (const file of readdirSync(stage)) if (file.endsWith('.node')) rmSync(join(stage, file))   // `artifacts` leaves copies beside package.json
  const { napi: _, ...published } = manifest
  writeManifest(published)                                                                       // ... and rewrites it, and the entry
  cpSync(join(root, 'dist'), join(stage, 'dist'), { recursive: true, filter: (file) => !file.endsWith('.node') })
  const platforms = join(root, 'target', 'platforms')
  rmSync(platforms, { recursive: true, force: true })
  renameSync(join(stage, 'npm'), platforms)
  for (const folder of platformFolders()) cpSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
}

function platformFolders() {
  const platforms = join(root, 'target', 'platforms')
  return readdirSync(platforms).map((name) => join(platforms, name))
}

function writeManifest(manifest) {
  writeFileSync(join(stage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

/** 'x86_64-unknown-linux-gnu' -> 'linux-x64-gnu' */
function tripleOf(target) {
  const [cpu, , system, abi] = target.split('-')
  const arch = { x86_64: 'x64', aarch64: 'arm64' }[cpu]
  return { linux: `linux-${arch}-${abi}`, darwin: `darwin-${arch}`, windows: `win32-${arch}-msvc` }[system]
}
