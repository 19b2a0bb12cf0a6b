// What one op on a tiny tensor costs: on the JavaScript thread alone, and end to end.
import { device, noGrad, ones, scope, type Tensor } from 'ferrograd'
import { time } from './measure.js'
import type { Bench, Context } from './report.js'

const count = 1000
/** Calls in a row that the queue takes without holding the caller back. */
const burst = 100

function nanoseconds(work: () => void): number {
  const start = process.hrtime.bigint()
  work()
  return Number(process.hrtime.bigint() - start)
}

const numbers = new Int32Array(4096)
let sum = 0
/**
 * Arithmetic that has nothing to do with this library. Where a neighbour computes on the other thread of the same core, as on a shared
 * machine, it takes twice as long, and so does every call.
 */
function plainLoop(): void {
  for (let i = 0; i < numbers.length; i++) sum = (sum + numbers[i]!) | 0
}

export const opCost: Bench = {
  name: 'op cost',
  async run({ report }: Context) {
    const x = ones([4])
    const adds = (n: number): void => noGrad(() => scope(() => { for (let i = 0; i < n; i++) x.add(1) }))
    // Only the calls are timed: the queue is emptied between samples.
    const calls: number[] = []
    const plain: number[] = []
    for (let round = 0; round < 2000; round++) {
      await device.sync()
      calls.push(nanoseconds(() => adds(burst)) / burst)
      plain.push(nanoseconds(plainLoop))
    }
    const sorted = calls.slice(500).sort((a, b) => a - b)
    const at = (share: number): number => sorted[Math.floor(share * (sorted.length - 1))] as number
    const undisturbed = Math.min(...plain.slice(500))
    const alone = calls.slice(500).filter((_, i) => plain[500 + i]! < 1.1 * undisturbed).sort((a, b) => a - b)
    report({
      name: 'op cost / tiny add, JavaScript thread', value: at(0.5) / 1e3, unit: 'us', spread: (at(0.75) - at(0.25)) / 2 / at(0.5),
      bound: { limit: 0.2, kind: 'at most' },
    })
    report({ name: 'op cost / tiny add, in the rounds in which plain JavaScript ran at its best', value: alone[alone.length >> 1]! / 1e3, unit: 'us' })
    report({ name: 'op cost / share of such rounds', value: alone.length / sorted.length, unit: '' })

    const endToEnd = await time('tiny add', async () => { adds(count); await device.sync() }, { repeat: count })
    report({ name: 'op cost / tiny add, end to end', value: endToEnd.median * 1e6, unit: 'us', spread: endToEnd.spread, bound: { limit: 0.5, kind: 'at most' } })

    const w = ones([4], { requiresGrad: true })
    const chain = (): void => scope(() => {
      let y: Tensor = w
      for (let i = 0; i < 100; i++) y = y.mul(1.001)
      y.sum().backward()
      w.grad = null
    })
    const backward = await time('forward + backward', async () => { chain(); await device.sync() }, { repeat: 100 })
    report({ name: 'op cost / forward + backward of one op in a chain of 100', value: backward.median * 1e6, unit: 'us', spread: backward.spread })

    const read = await time('await data', () => x.data(), { samples: 200 })
    report({ name: 'op cost / await data() of a tensor at hand', value: read.median * 1e6, unit: 'us', spread: read.spread })
    x.dispose()
    w.dispose()
  },
}
