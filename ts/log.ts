// What the library says unasked, and how much of it: FERROGRAD_LOG.

/** Each level includes those before it. error: failures that nobody read. warn: process warnings, remarks of callbacks. info: progress of `fit`. debug: recordings, checkpoints. */
export const LOG_LEVELS = ['silent', 'error', 'warn', 'info', 'debug'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

let told = false

/** The level in force: that of FERROGRAD_LOG, or info. */
export function logLevel(): LogLevel {
  const asked = (process.env['FERROGRAD_LOG'] ?? '').trim().toLowerCase()
  if (asked === '') return 'info'
  const level = LOG_LEVELS.find((name) => name === asked)
  if (level === undefined && !told) {
    told = true
    process.emitWarning(`FERROGRAD_LOG=${asked} is none of ${LOG_LEVELS.join(', ')}; info is used.`, { type: 'FerrogradWarning', code: 'FERROGRAD_LOG' })
  }
  return level ?? 'info'
}

/** Whether what is of this level is to be said. */
export function says(level: LogLevel): boolean {
  return LOG_LEVELS.indexOf(level) <= LOG_LEVELS.indexOf(logLevel())
}

/** A process warning with a code of its own, `FERROGRAD_...`. */
export function warn(code: string, message: string, level: 'error' | 'warn' = 'warn'): void {
  if (says(level)) process.emitWarning(message, { type: 'FerrogradWarning', code })
}

/** A line on the standard error output, for those who look for the reason of something. Made only where it is wanted. */
export function debug(line: () => string): void {
  if (says('debug')) process.stderr.write(`ferrograd: ${line()}\n`)
}
