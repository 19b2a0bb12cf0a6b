// Gradients of embeddings as rows: the op, and everything that may happen to such a gradient, beside the dense matrix bit for bit.
import { describe, expect, test } from 'vitest'
import { autocast, compile, device, embedding, type FloatDType, optim, Parameter, randint, randn, scope, type Tensor, tensor } from '../../ts/index.js'
import { run } from '../../ts/native/run.js'
import { RowGradient } from '../../ts/row-gradient.js'
import { checkOp } from '../check.js'
import { build } from '../reference.js'

type Args = { rows: number; padding: number }
const of = (ids: number[], features: number, rows: number, padding = -1) => ({ inputs: [[...ids, features], { shape: ids, below: rows }], args: { rows, padding } })
checkOp<Args>('embeddingGradRows', {
  op: ([dy, ids], { rows, padding }) => {
    const [indices, values] = run.embeddingGradRows(dy!, ids!, rows, padding) as [Tensor, Tensor]
    return run.embeddingGradDense(indices, values, rows)
  },
  reference: ([dy, ids], { rows, padding }) => build([rows, dy!.shape.at(-1)!], ([row, column]) => {
    let sum = 0
    for (let at = 0; at < ids!.data.length; at++) if (ids!.data[at] === row && row !== padding) sum += dy!.data[at * dy!.shape.at(-1)! + column!]!
    return sum
  }),
  gradient: false,
  rows: ['embedding_grad_dense'],
  cases: [
    of([4], 3, 20), of([2, 3], 3, 20, 2), of([], 5, 7), of([9], 2, 4), of([0], 3, 5), of([3], 0, 5), of([2, 2, 2], 65, 9, 0), of([1], 1, 1),
  ],
  large: [of([30, 20], 130, 2000)],
  tolerance: { bfloat16: 8e-2, float16: 1e-2 },
})

const ROWS = 600
const FEATURES = 33
const bits = (tensors: readonly Tensor[]): number[][] => tensors.map((t) => {
  const data = t.detach().dataSync() as Float32Array
  return [...new Uint8Array(data.buffer, data.byteOffset, data.byteLength)]
})
const start = (dtype: FloatDType): Parameter => scope(() => new Parameter(table.to(dtype).clone() as Tensor<FloatDType>))
const table = randn([ROWS, FEATURES])
const batches = [40, 64, 40, 7].map((length) => [randint(0, ROWS, [2, length]), randn([2, length, FEATURES])] as const)
const makers: Record<string, (params: Tensor[]) => optim.Optimizer> = {
  SGD: (params) => new optim.SGD(params, { lr: 0.1, momentum: 0.9, weightDecay: 0.01, nesterov: true }),
  Adam: (params) => new optim.Adam(params, { amsgrad: true, weightDecay: 0.1 }),
  AdamW: (params) => new optim.AdamW(params),
  RMSprop: (params) => new optim.RMSprop(params, { centered: true, momentum: 0.5 }),
  Adagrad: (params) => new optim.Adagrad(params, { lrDecay: 0.1, l1: 0.01 }),
}

interface Way { dense?: boolean; captured?: boolean; check?: boolean }
type Body = (w: Parameter, ids: Tensor, target: Tensor, optimizer: optim.Optimizer) => Tensor

/** Parameters and state after a step on each batch. A hook makes the gradient dense. */
function train(body: Body, { dense = false, captured = false, check = false }: Way, dtype: FloatDType = 'float32', make = makers['Adam']!): number[][] {
  const w = start(dtype)
  if (dense) w.registerHook(() => {})
  const optimizer = make([w])
  const step = (ids: Tensor, target: Tensor): Tensor => body(w, ids, target, optimizer)
  const compiled = captured ? compile(step, { check }) : step
  return scope(() => {
    const losses = batches.map(([ids, target]) => compiled(ids, target.to(dtype)).to('float32'))
    return bits([...losses, w.to('float32'), ...(w.grad === null ? [] : [w.grad.to('float32')]), ...Object.values(optimizer.stateDict().tensors).map((t) => t.to('float32'))])
  })
}
const loss = (w: Tensor, ids: Tensor, target: Tensor, options = {}): Tensor => embedding(w, ids, options).mul(target).square().sum()
const stepped = (how: (w: Parameter, ids: Tensor, target: Tensor) => Tensor, options: optim.ClipOptions = {}): Body => (w, ids, target, optimizer) => {
  optimizer.zeroGrad()
  const y = how(w, ids, target)
  y.backward()
  optimizer.step(options)
  return y.detach()
}
const plain = stepped(loss)

describe('steps with rows have the bits of dense ones, eager and captured', () => {
  const all = (body: Body, dtype?: FloatDType, make?: (params: Tensor[]) => optim.Optimizer): void => {
    const want = train(body, { dense: true }, dtype, make)
    expect(train(body, {}, dtype, make)).toEqual(want)
    expect(train(body, { captured: true }, dtype, make)).toEqual(want)
  }
  for (const [name, make] of Object.entries(makers)) {
    test.each(['float32', 'float64', 'bfloat16', 'float16'] as const)(`${name} in %s`, (dtype) => all(plain, dtype, make))
  }
  test.each<[string, Body]>([
    ['clipping by norm', stepped(loss, { clipNorm: 0.5 })],
    ['clipping by value', stepped(loss, { clipValue: 0.1 })],
    ['refusing what is not finite', stepped(loss, { refuseNonFinite: true })],
    ['autocast', stepped((w, ids, target) => autocast(() => loss(w, ids, target)))],
    ['paddingIdx', stepped((w, ids, target) => loss(w, ids, target, { paddingIdx: -3 }))],
    ['two uses of one weight', stepped((w, ids, target) => loss(w, ids, target).add(loss(w, ids.flip([0]), target)))],
    ['a weight tied to a product', stepped((w, ids, target) => embedding(w, ids).matmul(w.t()).sum().add(loss(w, ids, target)))],
    ['several backward calls', (w, ids, target, optimizer) => {
      optimizer.zeroGrad()
      loss(w, ids, target).backward()
      const y = loss(w, ids.flip([0]), target)
      y.backward()
      optimizer.step()
      return y.detach()
    }],
    ['zeroGrad at the end', (w, ids, target, optimizer) => {
      const y = loss(w, ids, target)
      y.backward()
      optimizer.step()
      optimizer.zeroGrad()
      return y.detach()
    }],
    ['gradients that pile up over steps', (w, ids, target, optimizer) => {
      const y = loss(w, ids, target)
      y.backward()
      optimizer.step()
      return y.detach()
    }],
    ['clipGradNorm', (w, ids, target, optimizer) => {
      optimizer.zeroGrad()
      const y = loss(w, ids, target)
      y.backward()
      optim.clipGradNorm([w], 0.3)
      optimizer.step()
      return y.detach()
    }],
    ['a gradient that is read', stepped((w, ids, target) => {
      loss(w, ids, target).backward()
      return loss(w, ids, target).add(w.grad!.mul(w).sum())
    })],
  ])('%s', (_, body) => all(body))
  test('compile checks itself', () => expect(train(plain, { captured: true, check: true })).toEqual(train(plain, {})))
})

test('a gradient that is read is a plain matrix, and stays so', async () => {
  const w = start('float32')
  const ids = tensor(Int32Array.of(5, 1, 5))
  scope(() => embedding(w, ids).sum().backward())
  expect(w._gradient).toBeInstanceOf(RowGradient)
  const { grad } = w
  expect(grad!.shape).toEqual([ROWS, FEATURES])
  expect(w.grad).toBe(grad)
  expect((await grad!.sum([1]).data()).slice(0, 7)).toEqual(Float32Array.of(0, FEATURES, 0, 0, 0, 2 * FEATURES, 0))
  w.grad = null
  expect(w._gradient).toBe(null)
})

test('a frozen weight gets no gradient; a bad id changes nothing', async () => {
  const w = start('float32')
  const optimizer = new optim.Adam([w])
  const other = new Parameter(randn([FEATURES]))
  w.requiresGrad = false
  scope(() => loss(w, batches[0]![0], batches[0]![1]).add(other.sum()).backward())
  expect(w._gradient).toBe(null)
  w.requiresGrad = true
  const before = bits([w])
  scope(() => {
    embedding(w, tensor(Int32Array.of(3, ROWS))).sum().backward()
    optimizer.step()
  })
  await expect(device.sync()).rejects.toMatchObject({ code: 'ERR_INDEX' })
  w.grad = null
  expect(bits([w])).toEqual(before)
})

test('a step moves the bytes of the rows instead of the matrix', async () => {
  const bytes = async (dense: boolean): Promise<{ ops: string[]; bytes: number }> => {
    const w = new Parameter(randn([20_000, 128]))
    if (dense) w.registerHook(() => {})
    const optimizer = new optim.Adam([w])
    const step = (): void => scope(() => { plain(w, ids, target, optimizer) })
    step()
    const { rows } = await device.profile(async () => {
      step()
      await device.sync()
    })
    const own = rows.filter(({ op }) => op === 'adam' || op.startsWith('embedding_grad'))
    return { ops: own.map(({ op }) => op).sort(), bytes: own.reduce((sum, { bytes }) => sum + bytes, 0) }
  }
  const ids = randint(0, 20_000, [32, 80])
  const target = randn([32, 80, 128])
  const [rows, matrix] = [await bytes(false), await bytes(true)]
  expect([rows.ops, matrix.ops]).toEqual([['adam', 'embedding_grad_rows'], ['adam', 'embedding_grad']])
  // The matrix is neither written nor read; the rows are.
  expect(matrix.bytes - rows.bytes).toBe(2 * 4 * 128 * (20_000 - 2560) - 2 * 4 * 2560)
})
