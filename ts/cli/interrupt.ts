// Ctrl-C: the first asks the work to save and end, the second ends at once.

/** Exit codes by signal: 128 and the signal's number. */
const codes: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 }

/** Work that signals can end. */
export interface Interrupt {
  readonly signal: AbortSignal
  /** The exit code where a signal came, else null. */
  readonly code: number | null
  /** Stops listening. */
  release(): void
}

/** Listens for SIGINT and SIGTERM. `note` is told of the first. */
export function listen(note: () => void): Interrupt {
  const controller = new AbortController()
  let code: number | null = null
  const onSignal = (name: string): void => {
    if (code !== null) process.exit(codes[name] ?? 1)
    code = codes[name] ?? 1
    note()
    controller.abort()
  }
  for (const name of Object.keys(codes)) process.on(name, onSignal)
  return {
    signal: controller.signal,
    get code() {
      return code
    },
    release() {
      for (const name of Object.keys(codes)) process.off(name, onSignal)
    },
  }
}
