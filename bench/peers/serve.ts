// The side of an implementation that runs in Node: answers the driver's lines and times the bursts. serve.py does the same in Python.
import { createInterface } from 'node:readline'
import type { About } from './process.js'
import { read, type Tensors } from './tensors.js'
import type { ComputeType, Kind } from './workloads.js'

/** What an implementation is told of a workload. */
export interface Job {
  kind: Kind
  dtype: ComputeType
  file: string
  checks: number
  /** The peer's own, from the table of peers. */
  options: Record<string, unknown>
  /** The kind's: sizes, names. */
  work: any
}

/** A workload made ready. */
export interface Ready {
  /** Runs call number `i`, or submits it. */
  call: (i: number) => unknown
  /** Waits until a call's result is there. */
  wait: (result: any) => unknown
  /** The numbers of a result that are compared: losses and logits whole, of large results a sample, channels last. */
  values: (result: any) => Promise<ArrayLike<number>>
  release?: () => void
}

export type Kinds = Partial<Record<Kind, (job: Job, tensors: Tensors) => Ready | Promise<Ready>>>

/** Sixty-one numbers from all over a large result: a prime, so that they come from other columns in each row. */
export function sample(values: ArrayLike<number>): number[] {
  const stride = Math.max(1, Math.floor(values.length / 61))
  return Array.from({ length: Math.min(61, values.length) }, (_, i) => values[i * stride] as number)
}

export function serve(about: () => About | Promise<About>, kinds: Kinds): void {
  // What libraries print must not come between the answers.
  console.log = console.info = console.warn = console.error
  let ready: Ready | null = null
  let turn = 0

  const commands: Record<string, (message: any) => object | Promise<object>> = {
    about,
    async prepare({ job }: { job: Job }) {
      ready?.release?.()
      ready = null
      const make = kinds[job.kind]
      if (make === undefined) throw new Error(`it has no ${job.kind}`)
      ready = await make(job, read(job.file))
      const values: number[] = []
      let [firstMs, lastMs] = [0, 0]
      for (turn = 0; turn < job.checks; turn++) {
        const start = performance.now()
        const result = ready.call(turn)
        await ready.wait(result)
        lastMs = performance.now() - start
        if (turn === 0) firstMs = lastMs
        values.push(...Array.from(await ready.values(result)))
      }
      return { values, firstMs, lastMs }
    },
    async burst({ calls, warm }: { calls: number; warm: number }) {
      let result: unknown
      for (let i = 0; i < warm; i++) result = ready!.call(turn++)
      if (warm > 0) await ready!.wait(result)
      const start = performance.now()
      for (let i = 0; i < calls; i++) {
        result = ready!.call(turn++)
        // A call that answers with a promise is a prediction: the next one starts when its values are here.
        if (result instanceof Promise) result = await result
      }
      await ready!.wait(result)
      return { ms: (performance.now() - start) / calls }
    },
  }

  let last: Promise<void> = Promise.resolve()
  createInterface(process.stdin).on('line', (text) => {
    last = last.then(async () => {
      let answer: object
      try {
        const message = JSON.parse(text) as { command: string }
        answer = await commands[message.command]!(message)
      } catch (error) {
        answer = { error: (error as Error).message }
      }
      process.stdout.write(`${JSON.stringify(answer)}\n`)
    })
  })
}
