// What a training step costs, counted and not timed: calls into the addon, commands, blocks of memory, bytes that commands read and write. Whoever
// takes a fusion out, or copies where nothing was copied, finds other numbers here.
import { describe, expect, test } from 'vitest'
import { compile, crossEntropy, device, models, type nn, optim, randn, scope, tensor, type Tensor } from '../../ts/index.js'
import { native } from '../../ts/native.js'

interface Counts { calls: number; commands: number; blocks: number; bytes: number; copies: number; ops: Record<string, number> }

const counters = (): { copies: number; calls: number; blocks: number } => {
  const [, , , , , , copies, calls, blocks] = native.memory() as number[]
  return { copies: copies!, calls: calls!, blocks: blocks! }
}

/** Counts the fifth run: by then optimizer state exists and programs are recorded. */
async function count(step: () => void): Promise<Counts> {
  for (let i = 0; i < 4; i++) {
    step()
    await device.sync()
  }
  const before = counters()
  let calls = 0
  const { rows } = await device.profile(async () => {
    const start = counters().calls
    step()
    // But for the call that counts.
    calls = counters().calls - start - 1
    await device.sync()
  })
  const after = counters()
  const total = (key: 'calls' | 'bytes'): number => rows.reduce((sum, row) => sum + row[key], 0)
  const ops: Record<string, number> = {}
  for (const { op, calls } of rows) ops[op] = (ops[op] ?? 0) + calls
  return {
    calls, commands: total('calls'), bytes: total('bytes'), blocks: after.blocks - before.blocks, copies: after.copies - before.copies,
    ops: Object.fromEntries(Object.entries(ops).sort(([a], [b]) => (a < b ? -1 : 1))),
  }
}

function training(model: nn.Module, batch: number): { eager: () => void; captured: () => void; parameters: number } {
  const optimizer = new optim.Adam(model.parameters(), { lr: 1e-3 })
  const [x, y] = [randn([batch, 32, 32, 3]), tensor(Array.from({ length: batch }, (_, i) => i % 10), { dtype: 'int32' })]
  const body = (x: Tensor, y: Tensor): Tensor => {
    optimizer.zeroGrad()
    const loss = crossEntropy(model.forward(x) as Tensor, y)
    loss.backward()
    optimizer.step()
    return loss
  }
  const compiled = compile(body)
  return {
    eager: () => scope(() => { body(x, y) }),
    captured: () => compiled(x, y).dispose(),
    parameters: [...model.parameters()].length,
  }
}

describe.each([
  ['cnn', (): nn.Module => models.cnn(), 8, 0, 0],
  // A gradient's two parts are added and taken through ReLU in one, eight times.
  ['resnet20', (): nn.Module => models.resnet20(), 4, 8, 2_621_440],
  ['densenet', (): nn.Module => models.densenet({ blockConfig: [2, 2] }), 4, 0, 0],
] as const)('a step of %s', (_, make, batch, adds, bytes) => {
  test('the same commands on the same bytes, but for what is fused, captured in one call', async () => {
    const { eager, captured, parameters } = training(make(), batch)
    const [plain, replayed] = [await count(eager), await count(captured)]
    const { calls, blocks, copies, ...work } = plain
    expect({ calls, copies, ...work }).toMatchSnapshot()
    expect(replayed).toEqual({
      ...work,
      commands: work.commands - adds,
      bytes: work.bytes - bytes,
      ops: adds === 0 ? work.ops : { ...work.ops, add: work.ops['add']! - adds },
      calls: 1,
      // The loss and the gradients leave the program; all temporaries share one block, and so does what a failure would put back.
      blocks: 1 + parameters + (work.ops['batch_norm_update'] === undefined ? 1 : 2),
      copies: 0,
    })
    expect(blocks).toBeGreaterThan(2 * replayed.blocks)
  })
})

test('a program prints its commands, what is fused in them, and its memory', () => {
  const model = models.lenet()
  const evaluate = compile((x: Tensor) => {
    x.exp()
    return model.forward(x) as Tensor
  })
  evaluate(randn([2, 32, 32, 1]))
  const printed: string[] = []
  const log = console.log
  console.log = (text: string) => printed.push(text)
  try {
    evaluate.print()
  } finally {
    console.log = log
  }
  expect(printed).toEqual([evaluate.describe()])
  expect(evaluate.describe()).toMatchSnapshot()
})
