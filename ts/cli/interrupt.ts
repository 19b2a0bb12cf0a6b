// Ctrl-C: the first asks the work to save and end, the second ends at once.

/** Exit codes by signal: 128 and the signal's number. */
const codes: Readonly<Record<string, number>> = { SIGINT: 130, SIGTERM: 143 }

/** Work that signals can end. */
export interface Interrupt {
  readonly signal: AbortSignal
  /** The exit code where a signal came, else null. */
  readonly code: number | null
  /** From now on there is work to save: the first signal is told to it. Before, a signal ends the process at once. */
  begin(): void
  /** Stops listening. */
  release(): void
}

/**
 * Listens for SIGINT and SIGTERM. `note` is told of the first that work is to hear of. SIGHUP is left alone: to listen for it would undo
 * what `nohup` does.
 */
export function listen(note: () => void): Interrupt {
  const controller = new AbortController()
  let code: number | null = null
  let working = false
  const onSignal = (name: string): void => {
    // Also where nothing is to be saved: the first process of a container ignores a signal that nobody listens for.
    if (!working || code !== null) process.exit(codes[name] ?? 1)
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
    begin() {
      working = true
    },
    release() {
      for (const name of Object.keys(codes)) process.off(name, onSignal)
    },
  }
}
