#!/usr/bin/env node
import { main } from './main.js'

// A reader that has seen enough (`ferrograd predict ... | head -1`) is no failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
void main(process.argv.slice(2)).then((code) => {
  process.exitCode = code
})
