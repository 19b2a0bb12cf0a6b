import { describe, expect, test } from 'vitest'
import { compile, nn, optim, Parameter, scope, type Tensor, tensor, ValueError, zeros } from '../../ts/index.js'
import { held, settled } from '../settle.js'

const parameter = (values: number[], dtype: 'float32' | 'float64' = 'float32'): Parameter =>
  new Parameter(tensor(values, { dtype }) as Tensor<'float32'>)
const read = async (t: Tensor): Promise<number[]> => Array.from((await t.data()) as Float32Array)

/** A gradient that fails when it is computed: its index lies outside the table. */
const poisoned = (like: Tensor): Tensor =>
  zeros([3, like.size])
    .indexSelect(0, tensor([9], { dtype: 'int32' }))
    .reshape([...like.shape])

describe('step', () => {
  test('is all or nothing: one invalid gradient stops every group', async () => {
    for (const clip of [{}, { clipNorm: 1 }, { clipValue: 1 }]) {
      const [a, b, c] = [parameter([1, 2]), parameter([3]), parameter([4, 5])]
      const optimizer = new optim.Adam([{ params: [a, b] }, { params: [c], lr: 0.5 }], { lr: 0.1 })
      for (const p of [a, b, c]) p.grad = tensor(Array.from({ length: p.size }, () => 1))
      optimizer.step(clip)
      const before = await Promise.all([a, b, c].map(read))
      const state = optimizer.stateDict()
      const stateBefore = await Promise.all(
        Object.values(state.tensors).map(async (t) => [...((await t.data()) as Float32Array)].map(Number)),
      )
      a.grad = tensor([1, 1])
      b.grad = poisoned(b)
      c.grad = tensor([1, 1])
      optimizer.step(clip)
      expect(await Promise.all([a, b, c].map(read))).toEqual(before)
      expect(await Promise.all(Object.values(state.tensors).map(async (t) => [...((await t.data()) as Float32Array)].map(Number)))).toEqual(
        stateBefore,
      )
      // Training goes on.
      for (const p of [a, b, c]) p.grad = tensor(Array.from({ length: p.size }, () => 1))
      optimizer.step(clip)
      expect(await read(c)).not.toEqual(before[2])
    }
  })

  test('without gradients does nothing; zeroGrad forgets them', async () => {
    const p = parameter([1, 2])
    const optimizer = new optim.SGD([p], { lr: 1 })
    optimizer.step()
    p.grad = tensor([1, 1])
    optimizer.zeroGrad()
    expect(p.grad).toBeNull()
    optimizer.step()
    expect(await read(p)).toEqual([1, 2])
  })

  test('refuses parameters that model.to has replaced', async () => {
    const model = new nn.Sequential(new nn.Linear(1, 1), new nn.Linear(1, 1))
    const optimizer = new optim.SGD(model.parameters(), { lr: 1 })
    const shared = model[0] as nn.Linear
    const old = shared.weight
    model.to('float32')
    optimizer.step()
    model.to('float64')
    model.forward(tensor([[1]], { dtype: 'float64' })).sum().backward()
    expect(() => optimizer.step()).toThrowErrorMatchingInlineSnapshot(`
      [ValueError: SGD: 4 of 4 parameters are not the model's any more: model.to(...) made new ones.
        Make the optimizer, or the Trainer, after model.to(...).]
    `)
    new optim.SGD(model.parameters(), { lr: 1 }).step()
    // One that another model still trains has gradients, and steps.
    const before = await read(old)
    old.mul(1).sum().backward()
    new optim.SGD([old], { lr: 1 }).step()
    expect(await read(old)).toEqual([before[0]! - 1])
  })

  test('follows fields of the group, in eager mode and in a compiled step', async () => {
    for (const wrap of [<T>(f: T): T => f, compile as unknown as <T>(f: T) => T]) {
      const p = parameter([1])
      const optimizer = new optim.SGD([p], { lr: 1 })
      const step = wrap((x: Tensor): Tensor => {
        const loss = p.mul(x).sum()
        loss.backward()
        optimizer.step()
        optimizer.zeroGrad()
        return loss.detach()
      })
      const one = tensor([1])
      step(one)
      expect(await read(p)).toEqual([0])
      ;(optimizer.groups[0] as { lr: number }).lr = 0.25
      step(one)
      expect(await read(p)).toEqual([-0.25])
      ;(optimizer.groups[0] as { lr: number }).lr = 0
      step(one)
      expect(await read(p)).toEqual([-0.25])
    }
  })

  test('parameters unfrozen later and parameters that take no part, compiled as eager', async () => {
    const train = async (wrap: <T>(f: T) => T): Promise<number[][]> => {
      const [used, frozen, idle] = [parameter([1, 2]), parameter([3, 4]), parameter([5])]
      frozen.requiresGrad = false
      const optimizer = new optim.Adam([used, frozen, idle], { lr: 0.1 })
      const make = (): ((x: Tensor) => Tensor) =>
        wrap((x: Tensor): Tensor => {
          const loss = used.mul(frozen).mul(x).sum()
          loss.backward()
          optimizer.step()
          optimizer.zeroGrad()
          return loss.detach()
        })
      let step = make()
      for (let i = 0; i < 3; i++) step(tensor([1, -1]))
      frozen.requiresGrad = true
      step = make()
      for (let i = 0; i < 3; i++) step(tensor([1, -1]))
      // Bias corrections count each parameter's own steps: 6 and 3.
      const { tensors, groups } = optimizer.stateDict()
      const steps = groups[0]?.cohorts.map((_, c) => tensors[`groups.0.steps.${c}`] as Tensor) ?? []
      const counts = (await Promise.all(steps.map(read))).map(([count]) => Number(count))
      expect(counts.sort()).toEqual([0, 3, 6])
      return Promise.all([used, frozen, idle].map(read))
    }
    const eager = await train((f) => f)
    expect(eager[2]).toEqual([5])
    expect(await train(compile as unknown as <T>(f: T) => T)).toEqual(eager)
  })

  test('a compiled step is recorded anew when a switch changes', async () => {
    const p = parameter([1])
    const optimizer = new optim.SGD([p], { lr: 1 })
    const step = compile((x: Tensor) => {
      const loss = p.mul(x).sum()
      loss.backward()
      optimizer.step()
      optimizer.zeroGrad()
      return loss.detach()
    })
    const one = tensor([1])
    step(one)
    ;(optimizer.groups[0] as { maximize: boolean }).maximize = true
    expect(await read(p)).toEqual([0])
    step(one)
    expect(await read(p)).toEqual([1])
    expect(step.programs).toBe(2)
  })

  test('refuses NaN gradients when asked, leaving weights and state', async () => {
    const p = parameter([1, 2])
    const optimizer = new optim.Adam([p], { lr: 0.1 })
    p.grad = tensor([1, NaN])
    optimizer.step({ refuseNonFinite: true })
    expect(await read(p)).toEqual([1, 2])
    p.grad = tensor([1, 1])
    optimizer.step({ refuseNonFinite: true })
    expect((await read(p))[0]).toBeCloseTo(0.9, 5)
  })

  test('2,000 steps leave nothing behind', async () => {
    const model = new nn.Linear(8, 8)
    const optimizer = new optim.AdamW(model.parameters(), { lr: 1e-3 })
    const x = tensor(Array.from({ length: 32 }, (_, i) => i / 32)).reshape([4, 8])
    const run = (steps: number): void => {
      for (let i = 0; i < steps; i++) {
        scope(() => {
          model.forward(x).square().mean().backward()
          optimizer.step({ clipNorm: 1 })
          optimizer.zeroGrad()
        })
        ;(optimizer.groups[0] as { lr: number }).lr = 1e-3 / (1 + i)
      }
    }
    run(50)
    const before = await settled()
    run(2000)
    expect(await held()).toEqual(before)
  })
})

describe('options', () => {
  test('out of range throw', () => {
    const p = [parameter([1])]
    expect(() => new optim.Adam(p, { lr: -1 })).toThrow(ValueError)
    expect(() => new optim.Adam(p, { betas: [0.9, 1] })).toThrow(/betas\[1\] is 1/)
    expect(() => new optim.SGD(p, { nesterov: true })).toThrow(/nesterov/)
    expect(() => new optim.SGD(p, { lr: NaN })).toThrow(/lr is NaN/)
    expect(() => new optim.SGD([])).toThrow(/no parameters/)
    expect(() => new optim.SGD([p[0] as Parameter, p[0] as Parameter])).toThrow(/twice/)
    expect(() => new optim.SGD([(p[0] as Parameter).mul(2)])).toThrow(/leaf/)
    const optimizer = new optim.SGD(p)
    ;(optimizer.groups[0] as { lr: number }).lr = Infinity
    ;(p[0] as Parameter).grad = tensor([1])
    expect(() => optimizer.step()).toThrow(/lr is Infinity/)
  })

  test('decayGroups spares biases and norms', () => {
    const model = new nn.Sequential(new nn.Linear(3, 4), new nn.BatchNorm1d(4))
    const [decayed, spared] = optim.decayGroups(model, { weightDecay: 0.1 })
    expect(decayed?.params.map(({ shape }) => shape)).toEqual([[4, 3]])
    expect(spared).toMatchObject({ weightDecay: 0 })
    expect(spared?.params.length).toBe(3)
  })
})

describe('clipGradNorm', () => {
  test('scales to the norm and gives the one before', async () => {
    const [a, b] = [parameter([0]), parameter([0])]
    a.grad = tensor([3])
    b.grad = tensor([4])
    const norm = optim.clipGradNorm([a, b], 1)
    expect(await norm.item()).toBeCloseTo(5, 6)
    expect((await read(a.grad as Tensor))[0]).toBeCloseTo(0.6, 5)
    optim.clipGradValue([a, b], 0.5)
    expect((await read(b.grad as Tensor))[0]).toBeCloseTo(0.5, 6)
    expect(() => optim.clipGradNorm([parameter([1])], 1)).toThrow(/no parameter has a gradient/)
    expect(() => optim.clipGradNorm([a], 0)).toThrow(ValueError)
  })
})

describe('state', () => {
  const make = (): { params: Parameter[]; optimizer: optim.Adam } => {
    const params = [parameter([1, 2]), parameter([3])]
    return {
      params,
      optimizer: new optim.Adam([{ params: [params[0] as Parameter] }, { params: [params[1] as Parameter], lr: 0.3 }], {
        lr: 0.1,
        amsgrad: true,
      }),
    }
  }
  const grads = (params: Parameter[], t: number): void =>
    params.forEach((p, k) => {
      p.grad = t % 3 === k ? null : tensor(Array.from({ length: p.size }, (_, i) => Math.sin(t + k + i)))
    })

  test('continues bit for bit', async () => {
    const one = make()
    for (let t = 0; t < 5; t++) {
      grads(one.params, t)
      one.optimizer.step()
    }
    const saved = one.optimizer.stateDict()
    const two = make()
    two.params.forEach((p, k) => {
      two.params[k] = p
    })
    const copies = await Promise.all(one.params.map(read))
    two.optimizer = new optim.Adam(
      [{ params: [(two.params[0] = parameter(copies[0] as number[]))] }, { params: [(two.params[1] = parameter(copies[1] as number[]))] }],
      { amsgrad: true },
    )
    two.optimizer.loadStateDict({
      ...(JSON.parse(JSON.stringify({ type: saved.type, groups: saved.groups })) as typeof saved),
      tensors: saved.tensors,
    })
    expect(two.optimizer.groups[1]?.lr).toBe(0.3)
    for (let t = 5; t < 9; t++) {
      for (const { params, optimizer } of [one, two]) {
        grads(params, t)
        optimizer.step()
      }
    }
    expect(await Promise.all(two.params.map(read))).toEqual(await Promise.all(one.params.map(read)))
  })

  test('of its own changes nothing; one that does not fit is refused whole', async () => {
    const p = parameter([1, 2])
    const optimizer = new optim.Adam([p])
    p.grad = tensor([1, -1])
    optimizer.step()
    const shown = async (): Promise<unknown> =>
      [optimizer.groups[0]?.lr, ...(await Promise.all(Object.entries(optimizer.stateDict().tensors).map(async ([key, value]) => [key, Array.from(await value.data() as ArrayLike<number>, Number)])))]
    const before = await shown()
    optimizer.loadStateDict(optimizer.stateDict())
    expect(await shown()).toEqual(before)
    const state = optimizer.stateDict()
    const wrong: [state: unknown, message: RegExp][] = [
      [{ ...state, groups: [null] }, /the state is none/],
      [null, /^Adam.loadStateDict: the state is none that stateDict\(\) gave/],
      [{ ...state, tensors: { ...state.tensors, 'parameters.0.expAvg': 5 } }, /^Adam.loadStateDict: parameters.0.expAvg must be a tensor, got 5/],
      [{ ...state, tensors: { ...state.tensors, 'parameters.0.expAvg': zeros([2]), 'groups.0.steps.0': zeros([1]) } }, /the step count of group 0 is float32 \[1\]/],
      [{ ...state, groups: [{ ...state.groups[0], options: { ...state.groups[0]?.options, lr: -1 } }] }, /lr is -1/],
    ]
    for (const [one, message] of wrong) {
      expect(() => optimizer.loadStateDict(one as never)).toThrow(message)
      expect(await shown()).toEqual(before)
    }
  })

  test('of a model with frozen parts: they begin anew when they are trained', async () => {
    const [head, body] = [parameter([1]), parameter([2])]
    body.requiresGrad = false
    const first = new optim.Adam([head, body], { lr: 0.1 })
    head.grad = tensor([1])
    first.step()
    const [head2, body2] = [parameter(await read(head)), parameter([2])]
    const second = new optim.Adam([head2, body2], { lr: 0.1 })
    second.loadStateDict(first.stateDict())
    for (const [a, b, optimizer] of [
      [head, body, first],
      [head2, body2, second],
    ] as const) {
      a.grad = tensor([0.5])
      b.grad = tensor([0.25])
      optimizer.step()
    }
    expect([await read(head2), await read(body2)]).toEqual([await read(head), await read(body)])
  })

  test('with a tensor missing is refused, changing nothing', async () => {
    const { params, optimizer } = make()
    grads(params, 5)
    optimizer.step()
    const state = optimizer.stateDict()
    const { 'parameters.1.expAvg': _, ...rest } = state.tensors
    ;(optimizer.groups[0] as { lr: number }).lr = 0.7
    expect(() => optimizer.loadStateDict({ ...state, tensors: rest })).toThrow(/parameters\.1\.expAvg is missing/)
    expect(optimizer.groups[0]?.lr).toBe(0.7)
  })

  test('of another optimizer is refused, changing nothing', () => {
    const { optimizer } = make()
    const sgd = new optim.SGD([parameter([1, 2]), parameter([3])], { momentum: 0.9 })
    expect(() => optimizer.loadStateDict(sgd.stateDict())).toThrow(/the state is one of SGD/)
    const other = new optim.Adam([{ params: [parameter([1, 2, 3])] }, { params: [parameter([3])] }], { amsgrad: true })
    expect(() => optimizer.loadStateDict(other.stateDict())).toThrow(/parameters\.0\.expAvg is float32 \[3\]/)
    expect(() => optimizer.loadStateDict(new optim.Adam([parameter([1])]).stateDict())).toThrow(/1 groups, the optimizer 2/)
  })
})
