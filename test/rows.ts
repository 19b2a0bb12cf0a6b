// Which rows of the op table a test really ran: every function of `run` is wrapped to leave its name.
import { expect } from 'vitest'
import { run } from '../ts/native/run.js'

const ran = new Set<string>()
const table = run as unknown as Record<string, (...args: unknown[]) => unknown>
for (const [name, call] of Object.entries(table)) {
  if (typeof call !== 'function') continue
  table[name] = (...args) => {
    ran.add(name)
    return call.apply(table, args)
  }
}

/** A camelCase name as the op table writes it. */
export function rowName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
}

/** The op table's name as `run` has it. */
export function runName(row: string): string {
  return row.replace(/_+$/, '').replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
}

/** Fails if one of these rows, where it is one of the table, was not run by this test file. */
export function expectRan(rows: readonly string[]): void {
  expect(rows.map(runName).filter((name) => name in table && !ran.has(name))).toEqual([])
}
