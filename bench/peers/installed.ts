// Peers that are Node packages lie in a folder of their own, outside the package's dependencies.
import { createRequire } from 'node:module'
import { join } from 'node:path'

/** The folder comes from the driver. */
const require: NodeJS.Require = createRequire(join(process.env.FERROGRAD_PEERS ?? '.peers', 'package.json'))

export const installed = (name: string): any => require(name)
export const versionOf = (name: string): string => (require(`${name}/package.json`) as { version: string }).version
export const folderOf = (name: string): string => join(require.resolve(`${name}/package.json`), '..')
