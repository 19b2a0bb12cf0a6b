// An implementation as a process of its own that lives through a group of workloads: one JSON object a line in, one a line out.
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

/** The answer to `about`. */
export interface About { versions: string; threads: number; note?: string }
/** The answer to `prepare`: the values to compare, how long the first call took, with what was compiled in it, and how long the last did. */
export interface Prepared { values: number[]; firstMs: number; lastMs: number }

export interface Start { command: string; args: readonly string[]; env: Readonly<Record<string, string>> }

export class PeerProcess {
  readonly #child: ChildProcess
  #waiting: { resolve: (answer: Record<string, unknown>) => void; reject: (reason: Error) => void } | null = null
  #ended: string | null = null
  #said: string[] = []

  constructor(readonly name: string, { command, args, env }: Start) {
    this.#child = spawn(command, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] })
    createInterface(this.#child.stdout!).on('line', (text) => {
      this.#waiting?.resolve(JSON.parse(text) as Record<string, unknown>)
      this.#waiting = null
    })
    createInterface(this.#child.stderr!).on('line', (text) => { this.#said = [...this.#said, text].slice(-30) })
    this.#child.stdin!.on('error', () => {})                   // its end is told by 'close'
    this.#child.on('error', (error) => this.#end(error.message))
    // 'close' comes after the last line of both outputs.
    this.#child.on('close', (code, signal) => {
      const last = this.#said.filter((text) => text.trim()).at(-1) ?? 'without a word'
      this.#end(`${name} ended (${signal ?? `status ${code}`}): ${last}`)
    })
  }

  about(): Promise<About> {
    return this.#ask({ command: 'about' })
  }

  prepare(job: object): Promise<Prepared> {
    return this.#ask({ command: 'prepare', job })
  }

  /** Milliseconds a call, over `calls` calls after `warm` untimed ones. */
  async burst(calls: number, warm: number): Promise<number> {
    return (await this.#ask<{ ms: number }>({ command: 'burst', calls, warm })).ms
  }

  async close(): Promise<void> {
    if (this.#ended !== null) return
    const closed = new Promise((resolve) => this.#child.once('close', resolve))
    this.#child.kill('SIGKILL')
    await closed
  }

  /** For the driver's own end: no process may outlive it. */
  kill(): void {
    this.#child.kill('SIGKILL')
  }

  #ask<T>(message: object): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#ended !== null) return reject(new Error(this.#ended))
      this.#waiting = {
        reject,
        resolve: (answer) => (typeof answer.error === 'string' ? reject(new Error(`${this.name}: ${answer.error}`)) : resolve(answer as T)),
      }
      this.#child.stdin!.write(`${JSON.stringify(message)}\n`)
    })
  }

  #end(reason: string): void {
    this.#ended ??= reason
    this.#waiting?.reject(new Error(reason))
    this.#waiting = null
  }
}
