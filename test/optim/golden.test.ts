// Every option of every optimizer and schedule against PyTorch (test/golden/make_optim.py).
import { readFileSync } from 'node:fs'
import { describe, expect, test } from 'vitest'
import { type DType, optim, Parameter, type Tensor, tensor } from '../../ts/index.js'

interface OptimizerCase {
  optimizer: string
  options: Record<string, unknown>
  special: {
    clipNorm?: number
    normType?: number | 'inf'
    clipValue?: number
    groups?: Record<string, unknown>[]
    decay?: number
    missing?: number[]
  }
  float64: number[][]
  float32: number[]
}
interface ScheduleCase {
  schedule: string
  optimizer: string
  options: Record<string, unknown>
  rows: number[][]
}

const golden = JSON.parse(readFileSync(new URL('../golden/optim.json', import.meta.url), 'utf8')) as {
  metrics: number[]
  optimizers: OptimizerCase[]
  schedules: ScheduleCase[]
}
const classes = optim as unknown as Record<string, new (params: unknown, options: object) => optim.Optimizer>
const shapes = [[4, 3], [5]]
const keptSteps = [1, 3, 12]

/** The formula of make_optim.py; exact in binary. */
function values(shape: number[], a: number, t: number, dtype: DType): Tensor {
  const size = shape.reduce((x, y) => x * y, 1)
  const flat = Float64Array.from({ length: size }, (_, i) => (((i * 37 + a * 11 + t * 17) % 101) - 50) / 64)
  return tensor(flat, { dtype, shape })
}

async function train({ optimizer: name, options, special }: OptimizerCase, dtype: DType): Promise<number[][]> {
  const params = shapes.map((shape, k) => new Parameter(values(shape, k, 0, dtype) as Tensor<'float64'>))
  const given = special.groups === undefined ? params : params.map((param, i) => ({ params: [param], ...special.groups?.[i] }))
  const optimizer = new (classes[name] as (typeof classes)[string])(given, options)
  const { clipNorm, clipValue, normType } = special
  const kept: number[][] = []
  for (let t = 1; t <= 12; t++) {
    params.forEach((param, k) => {
      param.grad = values(shapes[k] as number[], k + 3, t, dtype)
    })
    if (special.missing?.includes(t)) (params[1] as Tensor).grad = null
    optimizer.step({ clipNorm, clipValue, normType: normType === 'inf' ? Infinity : normType })
    if (special.decay !== undefined) for (const group of optimizer.groups) group.lr *= special.decay
    if (keptSteps.includes(t))
      kept.push((await Promise.all(params.map((param) => param.data()))).flatMap((data) => [...(data as Float64Array)]))
  }
  return kept
}

function expectClose(actual: number[], expected: number[], tolerance: number): void {
  expect(actual.length).toBe(expected.length)
  actual.forEach((value, i) => {
    const want = expected[i] as number
    if (!(Math.abs(value - want) <= tolerance * Math.max(1, Math.abs(want)))) expect.fail(`element ${i}: ${value}, PyTorch has ${want}`)
  })
}

describe('optimizers', () => {
  for (const [i, one] of golden.optimizers.entries()) {
    test(`${i} ${one.optimizer} ${JSON.stringify(one.options)} ${JSON.stringify(one.special)}`, async () => {
      const wide = await train(one, 'float64')
      wide.forEach((kept, k) => expectClose(kept, one.float64[k] as number[], 1e-12))
      const narrow = await train(one, 'float32')
      expectClose(narrow.at(-1) as number[], one.float32, 1e-6)
    })
  }
})

describe('schedules', () => {
  const made = optim as unknown as Record<string, new (optimizer: optim.Optimizer, ...rest: unknown[]) => optim.Schedule>
  for (const [i, { schedule: name, optimizer: kind, options, rows }] of golden.schedules.entries()) {
    const groups = (): object[] => [
      { params: [new Parameter(tensor([0]) as Tensor<'float32'>)] },
      { params: [new Parameter(tensor([0]) as Tensor<'float32'>)], lr: 0.05 },
    ]
    const build = (): { optimizer: optim.Optimizer; schedule: optim.Schedule } => {
      const optimizer =
        kind === 'SGD' ? new optim.SGD(groups() as never, { lr: 0.1, momentum: 0.9 }) : new optim.Adam(groups() as never, { lr: 0.1 })
      const Class = made[name] as (typeof made)[string]
      const schedule = name === 'LambdaLR' ? new Class(optimizer, (t: number) => 0.95 ** t) : new Class(optimizer, options)
      return { optimizer: optimizer as optim.Optimizer, schedule }
    }
    const figures = (optimizer: optim.Optimizer): number[] => {
      const first = optimizer.groups[0] as { momentum?: number; betas?: readonly number[] }
      return [...optimizer.groups.map(({ lr }) => lr), first.momentum ?? first.betas?.[0] ?? NaN]
    }
    test(`${i} ${name} ${JSON.stringify(options)} on ${kind}, straight and resumed half way`, () => {
      const straight = build()
      let state: optim.ScheduleState | null = null
      rows.forEach((row, t) => {
        if (t > 0) straight.schedule.step(golden.metrics[t - 1])
        expectClose(figures(straight.optimizer), row, 1e-12)
        if (t === 11) state = JSON.parse(JSON.stringify(straight.schedule.stateDict())) as optim.ScheduleState
      })
      const resumed = build()
      resumed.schedule.loadStateDict(state as unknown as optim.ScheduleState)
      expectClose(figures(resumed.optimizer), rows[11] as number[], 1e-12)
      for (let t = 12; t < rows.length; t++) {
        resumed.schedule.step(golden.metrics[t - 1])
        expectClose(figures(resumed.optimizer), rows[t] as number[], 1e-12)
      }
    })
  }
})
