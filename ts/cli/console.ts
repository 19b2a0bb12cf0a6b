// Writing to the terminal: plain words where nobody watches, colours only where they are wanted.

/** Where a command writes. */
export interface Output {
  write(text: string): unknown
  isTTY?: boolean | undefined
}

/** One line. */
export function say(text: string, to: Output = process.stdout): void {
  to.write(`${text}\n`)
}

/** Text in bold on a terminal. */
export function bold(text: string, to: Output = process.stdout): string {
  return to.isTTY === true && (process.env.NO_COLOR ?? '') === '' ? `\u001B[1m${text}\u001B[22m` : text
}

/** Columns of words, each as wide as its widest. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows.reduce<number[]>((widest, row) => row.map((cell, i) => Math.max(widest[i] ?? 0, cell.length)), [])
  return rows
    .map((row) =>
      row
        .map((cell, i) => cell.padEnd(widths[i] as number))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}

/** 12.3 % */
export function percent(share: number): string {
  return Number.isFinite(share) ? `${(share * 100).toFixed(1)} %` : '-'
}

/** An error as the terminal shows it: its message, and the stack where FERROGRAD_TRACE=1 asks for it. */
export function describeError(error: unknown): string {
  if (process.env.FERROGRAD_TRACE === '1' && error instanceof Error) return error.stack ?? error.message
  return (error as Partial<Error>).message ?? String(error)
}
