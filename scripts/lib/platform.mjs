// Names of this machine's platform: the napi triple in the addon's file name, and cargo's name of the library.
import { readFileSync } from 'node:fs'

/** 'linux-x64-gnu', 'darwin-arm64', 'win32-x64-msvc', ... as @napi-rs/cli names its platform packages. */
export function platformTriple() {
  const { platform, arch } = process
  if (platform === 'linux') return `linux-${arch}-${isMusl() ? 'musl' : 'gnu'}`
  if (platform === 'win32') return `win32-${arch}-msvc`
  return `${platform}-${arch}`
}

function isMusl() {
  try {
    return readFileSync('/usr/bin/ldd', 'utf8').includes('musl')
  } catch {
    return process.report.getReport().header.glibcVersionRuntime === undefined
  }
}

/** The file cargo makes of the addon's crate. */
export function libraryFile() {
  if (process.platform === 'win32') return 'ferrograd_node.dll'
  return process.platform === 'darwin' ? 'libferrograd_node.dylib' : 'libferrograd_node.so'
}

export const addonFile = () => `ferrograd.${platformTriple()}.node`
