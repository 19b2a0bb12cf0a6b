// Checks what a build from source needs, and says how to get what is missing.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Missing, outputOf, root } from './steps.mjs'

const linkerHelp = {
  linux: 'Debian and Ubuntu: sudo apt-get install build-essential; Fedora: sudo dnf install gcc; Alpine: apk add build-base',
  darwin: 'xcode-select --install',
  win32: 'Visual Studio Build Tools with "Desktop development with C++": https://visualstudio.microsoft.com/downloads/',
}

/** Throws `Missing` with every tool that is missing or too old. */
export function checkToolchain() {
  const faults = [checkNode(), checkCargo(), checkLinker()].filter(Boolean)
  if (faults.length > 0) throw new Missing(`Ferrograd cannot be built here yet:\n${faults.map((fault) => `- ${fault}`).join('\n')}`)
}

function checkNode() {
  const wanted = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node.replace('>=', '')
  if (!older(process.versions.node, wanted)) return null
  return `Node ${wanted} or newer is needed, this is ${process.versions.node}. Get it at https://nodejs.org, or: nvm install 20`
}

function checkCargo() {
  const install = "https://rustup.rs, or: curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
  const found = outputOf('cargo', ['--version'])
  if (found === null) return `cargo was not found, neither on the PATH nor in its default folder. Install Rust: ${install}`
  const wanted = /^rust-version = "([\d.]+)"/m.exec(readFileSync(join(root, 'Cargo.toml'), 'utf8'))[1]
  const version = /\d+\.\d+\.\d+/.exec(found)[0]
  return older(version, wanted) ? `Rust ${wanted} or newer is needed, this is ${version}. Update it: rustup update stable` : null
}

function checkLinker() {
  if (process.platform === 'win32') return null             // rustup itself asks for the Build Tools there
  if (outputOf('cc', ['--version']) !== null) return null
  return `a C linker (cc) was not found. ${linkerHelp[process.platform] ?? 'Install a C compiler.'}`
}

function older(version, wanted) {
  const [a, b] = [version, wanted].map((text) => text.split('.').map(Number))
  for (let i = 0; i < 3; i++) if ((a[i] ?? 0) !== (b[i] ?? 0)) return (a[i] ?? 0) < (b[i] ?? 0)
  return false
}
