import { join } from 'node:path'

/** The repository; benches run from target/bench. */
export const root: string = join(import.meta.dirname, '..', '..')
