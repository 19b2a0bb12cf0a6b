// Mixed precision: what dtype each op gives, that its bits are those of casts written by hand, and that the mode ends where it should.
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import * as ferrograd from '../../ts/index.js'
import {
  autocast, checkpoint, compile, customFunction, type DType, enableGrad, grad, isAutocastEnabled, manualSeed, nn, noGrad, ones, optim, rand, randn, scope, ScopeError,
  tensor, Tensor, ValueError, zeros,
} from '../../ts/index.js'
import { POLICIES, type Policy } from '../../ts/autocast.js'
import * as ops from '../../ts/ops/index.js'
import { held, settled } from '../settle.js'

type AnyOp = (...args: any[]) => any
const surface = ferrograd as unknown as Record<string, AnyOp>
const bits = (x: Tensor): unknown => [x.dtype, x.shape, Buffer.from(new Uint8Array(x.detach().dataSync().buffer)).toString('hex')]

/** Arguments of each op with a row; `x` makes an operand of the dtype that is looked at, with values from 0.1 to 0.9. */
type Maker = (...shape: number[]) => Tensor
const along = (x: Maker): unknown[] => [x(3, 4), -1]
const alone = (x: Maker): unknown[] => [x(3, 4)]
const twice = (x: Maker): unknown[] => [x(3, 4), x(3, 4)]
const affine = (x: Maker): unknown => ({ weight: x(4), bias: x(4) })
const image = (x: Maker): unknown[] => [x(2, 5, 5, 3), x(4, 3, 3, 3), x(4)]
const scattered = (x: Maker): unknown[] => [x(3, 4), 0, tensor([[0, 1, 2, 0]], { dtype: 'int32' }), x(1, 4)]
const calls: { readonly [K in keyof typeof POLICIES]?: (x: Maker) => unknown[] } = {
  linear: (x) => [x(3, 4), x(5, 4), x(5), { activation: 'relu' }], matmul: (x) => [x(3, 4), x(4, 5)], mm: (x) => [x(3, 4), x(4, 5)],
  bmm: (x) => [x(2, 3, 4), x(2, 4, 5)], mv: (x) => [x(3, 4), x(4)], dot: (x) => [x(4), x(4)], addmm: (x) => [x(3, 5), x(3, 4), x(4, 5)],
  conv1d: (x) => [x(2, 7, 3), x(4, 3, 3), x(4)], conv2d: image, conv2dPool: (x) => [...image(x), 2, { activation: 'relu' }],
  lstm: (x) => [x(2, 3, 4), x(20, 4), x(20, 5), { h0: x(2, 5) }], gru: (x) => [x(2, 3, 4), x(15, 4), x(15, 5)], rnn: (x) => [x(2, 3, 4), x(5, 4), x(5, 5)],
  convTranspose1d: (x) => [x(2, 7, 3), x(3, 3, 4), x(4)], convTranspose2d: (x) => [x(2, 5, 5, 3), x(3, 3, 3, 4), x(4)],
  softmax: along, logSoftmax: along, softmin: along, crossEntropy: (x) => [x(3, 4), tensor([0, 3, 1], { dtype: 'int32' }), { weight: x(4) }],
  ctcLoss: (x) => [x(2, 3, 4), tensor([[1, 2], [3, 3]], { dtype: 'int32' })],
  batchNorm: (x) => [x(3, 4), { ...affine(x) as object, runningMean: zeros([4]), runningVar: ones([4]), numBatches: zeros([], { dtype: 'int64' }), training: true }],
  layerNorm: (x) => [x(3, 4), 4, affine(x)], rmsNorm: (x) => [x(3, 4), 4, { weight: x(4) }], groupNorm: (x) => [x(3, 4), 2, affine(x)], instanceNorm: (x) => [x(2, 3, 4), affine(x)],
  sum: alone, sumTo: (x) => [x(3, 4), [1, 4]], mean: alone, prod: along, cumsum: along, cumprod: along, trace: alone, var: alone, std: along, logsumexp: along,
  norm: alone, dist: twice, normalize: alone, cosineSimilarity: twice,
  exp: alone, exp2: alone, expm1: alone, log: alone, log1p: alone, log2: alone, log10: alone, pow: (x) => [x(3, 4), 3], rpow: (x) => [x(3, 4), 2],
  rdiv: (x) => [x(3, 4), 2], reciprocal: alone, rsqrt: alone, sinh: alone, cosh: alone, tan: alone, asin: alone, acos: alone,
  softplus: alone, logSigmoid: alone, logaddexp: twice, logit: alone, xlogy: twice,
  scatter: scattered, scatterAdd: scattered,
}
/** Operands in the dtypes given, in turn. */
function maker(...dtypes: DType[]): Maker {
  let made = 0
  return (...shape) => {
    const size = shape.reduce((a, b) => a * b, 1)
    return tensor(Array.from({ length: size }, (_, i) => 0.1 + 0.8 * ((i * 7 + made) % 11) / 11), { shape, dtype: dtypes[made++ % dtypes.length]! })
  }
}
/** The result, or the first of several. */
const main = (y: unknown): Tensor => (y instanceof Tensor ? y : (y as { output: Tensor }).output)
/** What each row makes of operands: of one dtype, or of two in turn. */
const gives: Record<Policy, [dtypes: DType[], result: DType][]> = {
  bfloat16: [[['float32'], 'bfloat16'], [['bfloat16'], 'bfloat16'], [['float16'], 'bfloat16'], [['float32', 'bfloat16'], 'bfloat16'], [['float64'], 'float64']],
  float32: [[['float32'], 'float32'], [['bfloat16'], 'float32'], [['float16'], 'float32'], [['bfloat16', 'float32'], 'float32'], [['float64'], 'float64']],
  widest: [[['float32'], 'float32'], [['bfloat16'], 'bfloat16'], [['bfloat16', 'float32'], 'float32'], [['float16', 'float32'], 'float32'], [['float64'], 'float64']],
}

describe('the table', () => {
  test.each(Object.entries(POLICIES))('%s runs in %s, as a function and as a method', (name, policy) => {
    const call = calls[name as keyof typeof calls]!
    for (const [dtypes, result] of gives[policy]) {
      scope(() => {
        const [byFunction, byMethod, byHand] = [0, 1, 2].map(() => call(maker(...dtypes))) as [unknown[], unknown[], unknown[]]
        const y = autocast(() => main(surface[name]!(...byFunction)))
        expect(y.dtype, `${name} of ${String(dtypes)}`).toBe(result)
        const [first, ...rest] = byMethod as [Record<string, AnyOp>, ...unknown[]]
        expect(bits(autocast(() => main(first[name]!(...rest))))).toEqual(bits(y))
        expect(bits(main(surface[name]!(...byHand.map((arg) => castByHand(arg, result)))))).toEqual(bits(y))
      })
    }
  })

  test.each(Object.entries(POLICIES))('the gradients of %s in %s are those of the casts by hand, in the dtypes of the operands', (name, policy) => {
    const call = calls[name as keyof typeof calls]!
    for (const [dtypes, result] of gives[policy]) {
      scope(() => {
        const gradients = [true, false].map((automatic) => {
          const leaves: Tensor[] = []
          const make = maker(...dtypes)
          const args = call((...shape) => {
            const x = make(...shape)
            x.requiresGrad = true
            leaves.push(x)
            return x
          })
          const y = autocast(() => main(surface[name]!(...(automatic ? args : args.map((arg) => castByHand(arg, result))))), { enabled: automatic })
          y.to('float32').sum().backward()
          for (const [i, x] of leaves.entries()) if (x.grad !== null) expect(x.grad.dtype, `operand ${i} of ${String(dtypes)}`).toBe(x.dtype)
          return leaves.map(({ grad }) => (grad === null ? null : bits(grad)))
        })
        expect(gradients[0]![0]).not.toBeNull()
        expect(gradients[0]).toEqual(gradients[1])
      })
    }
  })

  /** Operands, also those among the options, in the dtype; running statistics and indices stay. */
  function castByHand(arg: unknown, dtype: DType): unknown {
    if (arg instanceof Tensor) return ferrograd.isFloat(arg.dtype) ? arg.to(dtype) : arg
    if (typeof arg !== 'object' || arg === null || Array.isArray(arg)) return arg
    return Object.fromEntries(Object.entries(arg).map(([name, value]) => [name, ['weight', 'bias', 'h0'].includes(name) ? castByHand(value, dtype) : value]))
  }

  test('an op without a row gives what it gives without autocast', async () => {
    let looked = 0
    const others = Object.keys(ops).filter((name) => !(name in POLICIES) && !['einsum', 'dropout', 'augment', 'allclose', 'equal', 'nonzero', 'unique', 'maskedSelect'].includes(name))
    for (const name of others) {
      for (const dtypes of [['float32'], ['bfloat16'], ['bfloat16', 'float32']] as DType[][]) {
        const first = (x: Tensor): unknown => (['concat', 'cat', 'stack', 'meshgrid'].includes(name) ? [x, x] : x)
        const run = (rest: (x: Maker) => unknown[]): unknown[] | null => scope(() => {
          const x = maker(...dtypes)
          try {
            const result = surface[name]!(first(x(2, 2)), ...rest(x))
            return [result].flat().map((y: unknown) => (y instanceof Tensor ? bits(y) : (y as { values?: Tensor })?.values === undefined ? y : bits((y as { values: Tensor }).values)))
          } catch {
            return null
          }
        })
        const rests: ((x: Maker) => unknown[])[] = [() => [], (x) => [x(2, 2)], () => [1], () => [0, 1], (x) => [x(2, 2), x(2, 2)], () => [[0]], (x) => [x(2, 2), 0.5], () => [[1, 1]], () => ['int32']]
        for (const rest of rests) {
          const plain = run(rest)
          if (plain !== null) looked++
          expect(autocast(() => run(rest)), name).toEqual(plain)
        }
      }
    }
    expect(looked).toBeGreaterThan(600)
  })

  test('einsum follows matmul and sum', () => {
    const [a, b] = [rand([3, 4]), rand([4, 5])]
    expect(autocast(() => ferrograd.einsum('ij,jk->ik', a, b)).dtype).toBe('bfloat16')
    expect(bits(autocast(() => ferrograd.einsum('ij,jk->ik', a, b)))).toEqual(bits(a.to('bfloat16').matmul(b.to('bfloat16'))))
    expect(bits(autocast(() => ferrograd.einsum('ij->i', a)))).toEqual(bits(a.sum([1])))
  })

  test('losses run in float32, and targets keep their digits', () => {
    const [output, target] = [rand([4, 3]).to('bfloat16'), rand([4, 3])]
    for (const loss of [nn.mse, nn.l1, nn.huber, nn.smoothL1, nn.bce, nn.bceWithLogits, nn.klDiv, nn.crossEntropy, nn.hinge] as AnyOp[]) {
      const y = autocast(() => loss(output, target) as Tensor)
      expect(bits(y), loss.name).toEqual(bits(loss(output.to('float32'), target) as Tensor))
      expect(y.dtype, loss.name).toBe('float32')
    }
    const pairs = [output, output, tensor([1, -1, 1, 1])] as const
    expect(autocast(() => nn.cosineEmbedding(...pairs)).dtype).toBe('float32')
  })

  test('layers take what follows the table from nn/ops.ts', () => {
    const folder = resolve(import.meta.dirname, '..', '..', 'ts', 'nn')
    for (const file of readdirSync(folder)) {
      const text = readFileSync(join(folder, file), 'utf8')
      for (const [, names] of text.matchAll(/import \{([^}]*)\} from '\.\.\/ops\//g)) {
        const direct = names!.split(',').map((name) => name.trim().split(' ')[0]!).filter((name) => name in POLICIES)
        // Rows of the pointwise tables follow by themselves; losses are under a policy of their own as a whole.
        expect(direct.filter((name) => !['logSigmoid'].includes(name) && file !== 'class-loss.ts'), file).toEqual([])
      }
    }
  })

  test('the README names each op of the table in its line', () => {
    const readme = readFileSync(resolve(import.meta.dirname, '..', '..', 'README.md'), 'utf8')
    for (const policy of ['bfloat16', 'float32'] as const) {
      const [, line = ''] = new RegExp(`^\\| ${policy} \\|(.*)\\|$`, 'm').exec(readme) ?? []
      const named = [...line.matchAll(/`(\w+)`/g)].map(([, name]) => name!)
      expect(named.sort()).toEqual(Object.entries(POLICIES).filter(([, own]) => own === policy).map(([name]) => name).sort())
    }
  })
})

describe('layers', () => {
  test('take what the one before gives, and give what their ops give', () => {
    manualSeed(0)
    const [rows, pictures, sequence] = [randn([4, 6]), randn([2, 6, 6, 4]), randn([2, 7, 4])]
    const dtypes: [nn.Module, Tensor, DType][] = [
      [new nn.Linear(6, 3), rows, 'bfloat16'], [new nn.LazyLinear(3), rows, 'bfloat16'], [new nn.Conv2d(4, 8, 3), pictures, 'bfloat16'], [new nn.Conv1d(4, 8, 3), sequence, 'bfloat16'],
      [new nn.ConvTranspose2d(4, 8, 3), pictures, 'bfloat16'], [new nn.Sequential(new nn.Conv2d(4, 8, 3), new nn.ReLU(), new nn.MaxPool2d(2)), pictures, 'bfloat16'],
      [new nn.Sequential(new nn.Linear(6, 6), new nn.ReLU(), new nn.Linear(6, 2)), rows, 'bfloat16'],
      [new nn.BatchNorm2d(4), pictures, 'float32'], [new nn.BatchNorm1d(6), rows, 'float32'], [new nn.LayerNorm(6), rows, 'float32'], [new nn.GroupNorm(2, 4), pictures, 'float32'],
      [new nn.Softmax(-1), rows, 'float32'], [new nn.LogSoftmax(-1), rows, 'float32'], [new nn.Softplus(), rows, 'float32'], [new nn.LogSigmoid(), rows, 'float32'],
      [new nn.CosineSimilarity(), rows, 'float32'],
    ]
    for (const [layer, x, result] of dtypes) {
      for (const input of [x, x.to('bfloat16')]) {
        const y = autocast(() => layer.forward(input, input) as Tensor)
        expect(y.dtype, `${layer.constructor.name} of ${input.dtype}`).toBe(result)
      }
      for (const [name, value] of layer.namedParameters()) expect(value.dtype, `${layer.constructor.name} ${name}`).toBe('float32')
      for (const value of layer.buffers()) expect(value.dtype).not.toBe('bfloat16')
    }
    for (const layer of [new nn.ReLU(), new nn.GELU(), new nn.Dropout(0.5), new nn.Tanh()]) expect((autocast(() => layer.forward(rows.to('bfloat16'))) as Tensor).dtype).toBe('bfloat16')
  })

  test('a lazy layer behind another has float32 weights', () => {
    const model = new nn.Sequential(new nn.Linear(6, 5), new nn.LazyLinear(3))
    autocast(() => model.forward(rand([2, 6])) as Tensor)
    expect(model.parameters().map(({ dtype }) => dtype)).toEqual(['float32', 'float32', 'float32', 'float32'])
  })

  test('running statistics of a bfloat16 model are written in place', async () => {
    const layer = new nn.BatchNorm1d(4).to('bfloat16')
    autocast(() => layer.forward(rand([8, 4], { dtype: 'bfloat16' }).add(3)))
    expect(Math.min(...await layer.runningMean!.data() as Float32Array)).toBeGreaterThan(0.2)
  })

  test('a float64 model, and integers, stay as they are', () => {
    const model = new nn.Sequential(new nn.Linear(6, 5), new nn.Tanh(), new nn.Linear(5, 3)).to('float64')
    const x = rand([2, 6], { dtype: 'float64' })
    expect(bits(autocast(() => model.forward(x) as Tensor))).toEqual(bits(model.forward(x) as Tensor))
    const narrow = rand([6, 2])
    expect(bits(autocast(() => x.matmul(narrow)))).toEqual(bits(x.matmul(narrow)))
    const [a, b] = [tensor([[1, 2], [3, 4]], { dtype: 'int32' }), tensor([[5, 6], [7, 8]], { dtype: 'int32' })]
    expect(bits(autocast(() => a.matmul(b)))).toEqual(bits(a.matmul(b)))
    expect(autocast(() => a.sum()).dtype).toBe('int64')
    expect(() => autocast(() => new nn.Linear(6, 5).forward(x))).toThrow('the input [2, 6] is float64, the weights are float32')
  })
})

describe('gradients', () => {
  test('are those of the casts written by hand, and float32', () => {
    const leaf = (value: Tensor): Tensor => Object.assign(value.detach(), { requiresGrad: true })
    const [x, w, b] = [randn([5, 4]), randn([3, 4]), randn([3])]
    const results = [true, false].map((automatic) => {
      const [u, v, c] = [leaf(x), leaf(w), leaf(b)]
      const half = (t: Tensor): Tensor => (automatic ? t : t.to('bfloat16'))
      const whole = (t: Tensor): Tensor => (automatic ? t : t.to('float32'))
      const loss = autocast(() => {
        const h = ferrograd.linear(half(u), half(v), half(c), { activation: 'relu' })
        return whole(half(h.mul(2)).matmul(half(v))).logSoftmax(-1).mul(u).mean()
      }, { enabled: automatic })
      loss.backward()
      return [loss, u.grad!, v.grad!, c.grad!].map(bits)
    })
    expect(results[0]).toEqual(results[1])
    expect(results[0]!.map((result) => (result as unknown[])[0])).toEqual(['float32', 'float32', 'float32', 'float32'])
  })

  test('of a weight used often are added up in float32, though it is cast once', () => {
    const w = ones([1, 1], { requiresGrad: true })
    const x = ones([1, 1])
    // 400 summands of 1: in bfloat16 the sum would stop at 256.
    const y = autocast(() => Array.from({ length: 400 }, () => x.matmul(w)).reduce((a, b) => a.add(b.to('float32')), zeros([1, 1])))
    y.backward()
    expect(w.grad!.dataSync()[0]).toBe(400)
    const program = compile(() => autocast(() => x.matmul(w).add(x.matmul(w))))
    noGrad(() => program())
    expect(program.describe().match(/cast/g)).toHaveLength(3)
  })

  test('backward runs with the mode off, also inside: formulas keep the dtypes of their ops', () => {
    const seen: boolean[] = []
    const op = customFunction({ forward: (x) => { seen.push(isAutocastEnabled()); return x.mul(2) }, backward: (dy) => { seen.push(isAutocastEnabled()); return dy.matmul(ones([2, 2])).sum([0], { keepdim: true }) } })
    const x = ones([1, 2], { requiresGrad: true })
    autocast(() => {
      op(x).sum().backward()
      seen.push(isAutocastEnabled())
    })
    expect(seen).toEqual([true, false, true])
    expect([...x.grad!.dataSync()]).toEqual([2, 2])
    // 1.005 in bfloat16 would be 1.
    const z = tensor([[1.005]], { requiresGrad: true })
    const first = autocast(() => grad(z.mul(z), z, { createGraph: true }))
    expect(first.dtype).toBe('float32')
    expect(first.dataSync()[0]).toBeCloseTo(2.01, 6)
    expect(autocast(() => grad(z.matmul(z), z, { createGraph: true })).dtype).toBe('float32')
  })

  test('second derivatives go through the casts', () => {
    const x = tensor([[2]], { requiresGrad: true })
    const first = grad(autocast(() => x.matmul(x).matmul(x)), x, { createGraph: true })
    expect(first.dataSync()[0]).toBe(12)
    expect(grad(first, x).dataSync()[0]).toBe(12)
  })

  test('customFunction computes in what its operands are cast to, and its gradients come back as float32', () => {
    const product = customFunction({ forward: (a, b) => ({ output: a!.matmul(b!), saved: [a!, b!] }), backward: (dy, a, b) => [dy.matmul(b!.t()), a!.t().matmul(dy)] })
    const [a, b] = [randn([3, 4], { requiresGrad: true }), randn([4, 2], { requiresGrad: true })]
    const y = autocast(() => product(a, b))
    expect(bits(y)).toEqual(bits(a.to('bfloat16').matmul(b.to('bfloat16'))))
    y.backward(ones([3, 2], { dtype: 'bfloat16' }))
    expect([a.grad!.dtype, b.grad!.dtype]).toEqual(['float32', 'float32'])
  })

  test('checkpoint computes again in the mode of the first time, wherever backward is called', () => {
    manualSeed(2)
    const x = randn([8, 6])
    const model = new nn.Sequential(new nn.Linear(6, 16), new nn.Tanh(), new nn.Linear(16, 16), new nn.BatchNorm1d(16), new nn.Tanh())
    const head = new nn.Linear(16, 2)
    const gradients = (mixed: boolean, checkpointed: boolean, inside: boolean): unknown => {
      for (const module of [model, head]) module.zeroGrad()
      const forward = (h: Tensor): Tensor => model.forward(h) as Tensor
      const loss = autocast(() => head.forward(checkpointed ? checkpoint(forward, x) : forward(x)).square().mean(), { enabled: mixed })
      autocast(() => loss.backward(), { enabled: inside })
      return [...model.parameters(), ...head.parameters()].map(({ grad }) => bits(grad!))
    }
    for (const mixed of [true, false]) {
      const plain = gradients(mixed, false, mixed)
      for (const inside of [true, false]) expect(gradients(mixed, true, inside)).toEqual(plain)
    }
  })
})

describe('the mode', () => {
  const [x, w] = [rand([2, 3]), rand([3, 2], { requiresGrad: true })]
  const product = (): DType => x.matmul(w).dtype

  test('nests, and comes back after a throw', () => {
    expect(isAutocastEnabled()).toBe(false)
    const seen = autocast(() => [product(), autocast(product, { enabled: false }), autocast(() => autocast(product), { enabled: false }), product(), noGrad(product), noGrad(() => enableGrad(product))])
    expect(seen).toEqual(['bfloat16', 'float32', 'bfloat16', 'bfloat16', 'bfloat16', 'bfloat16'])
    expect(() => autocast(() => { throw new Error('mine') })).toThrow('mine')
    expect(() => autocast(() => x.matmul(x))).toThrow(ferrograd.ShapeError)
    expect(() => autocast(() => ferrograd.softmax('x' as never))).toThrow('softmax: x must be a tensor')
    expect(isAutocastEnabled()).toBe(false)
    expect(product()).toBe('float32')
    autocast(() => {
      expect(() => x.matmul(x)).toThrow(ferrograd.ShapeError)
      expect(product()).toBe('bfloat16')
    })
  })

  test('a weight that is written inside is cast anew', () => {
    const v = ones([1, 1], { requiresGrad: true })
    const read = (): number => Number(ones([1, 1]).matmul(v).dataSync()[0])
    autocast(() => {
      expect(read()).toBe(1)
      noGrad(() => v.fill_(3))
      expect(read()).toBe(3)
      v.grad = ones([1, 1])
      new optim.SGD([v], { lr: 1 }).step()
      expect(read()).toBe(2)
      const raise = compile(() => noGrad(() => v.assign_(v.add(1)).detach()))
      for (const value of [3, 4, 5]) {
        raise()
        expect(read()).toBe(value)
      }
    })
  })

  test('backward may run between two uses of a weight, and casts made without gradients do not hide it', async () => {
    const v = ones([1, 1], { requiresGrad: true })
    autocast(() => {
      noGrad(() => x.narrow(1, 0, 1).matmul(v))
      for (let i = 0; i < 3; i++) scope(() => ones([1, 1]).matmul(v).sum().backward())
    })
    expect(await v.grad!.item()).toBe(3)
  })

  test('leaves nothing behind', async () => {
    manualSeed(3)
    const model = new nn.Sequential(new nn.Linear(16, 16), new nn.LayerNorm(16), new nn.Tanh(), new nn.Linear(16, 4))
    const batch = rand([8, 16])
    const steps: (() => unknown)[] = [
      () => scope(() => { autocast(() => model.forward(batch).square().mean()).backward() }),
      () => autocast(() => scope(() => { for (let i = 0; i < 2; i++) (model.forward(batch) as Tensor).square().mean().backward() })),
      () => scope(() => noGrad(() => { autocast(() => { model.forward(batch) }) })),
      () => { try { scope(() => autocast(() => { model.forward(batch); throw new Error('mine') })) } catch {} },
    ]
    for (const step of steps) {
      for (let i = 0; i < 2; i++) step()
      model.zeroGrad()
      const before = await settled()
      for (let i = 0; i < 10; i++) {
        step()
        model.zeroGrad()
      }
      expect((await held()).tensors).toBe(before.tensors)
    }
  })

  test('refuses what is asynchronous, and other dtypes', () => {
    const message = (call: () => unknown): string => {
      try {
        call()
      } catch (error) {
        expect(error).toBeInstanceOf(call === calls[0] || call === calls[1] || call === calls[2] ? ScopeError : ValueError)
        return (error as Error).message
      }
      return 'nothing'
    }
    const calls = [
      () => autocast(async () => 1), () => autocast(() => Promise.resolve(1)), () => autocast('bfloat16' as never),
      () => autocast(product, { dtype: 'float16' as never }), () => autocast(product, { dtype: 'float64' as never }), () => autocast(product, { dtype: 3 as never }),
      () => autocast(product, { enabled: 'no' as never }), () => autocast(product, { enable: false } as never), () => autocast(product, 'bfloat16' as never),
    ]
    expect(calls.map(message).join('\n')).toMatchInlineSnapshot(`
      "autocast: takes a synchronous function, got an async one. Do the awaiting outside: its setting would leak into other code.
      autocast: the function returned a promise. The mode ends with the synchronous part: await outside.
      autocast: takes a function, got string.
      autocast: dtype is 'bfloat16', got 'float16'.
        float16 loses small gradients without a loss scaler, which there is none of here. bfloat16 has float32's range: leave dtype out.
      autocast: dtype is 'bfloat16', got 'float64'.
        Leave it out; to compute in another dtype throughout, convert the model: model.to('float64').
      autocast: dtype is 'bfloat16', got 3.
        Leave it out; to compute in another dtype throughout, convert the model: model.to('float64').
      autocast: enabled is true or false, got 'no'.
      autocast: there is no option 'enable'. Did you mean 'enabled'?
        There are dtype, enabled.
      autocast: takes its options as one object, as in { dtype: ... }, got "bfloat16"."
    `)
    expect(isAutocastEnabled()).toBe(false)
  })

  test('a promise of a read may leave it', async () => {
    expect(await autocast(() => ones([2, 2]).matmul(ones([2, 2])).sum().item())).toBe(8)
  })
})

describe('compile', () => {
  test('a program recorded in one mode is not replayed in the other', () => {
    const [x, w] = [rand([2, 3]), rand([3, 2])]
    const product = compile((x: Tensor) => x.matmul(w))
    const plain = x.matmul(w)
    const mixed = autocast(() => x.matmul(w))
    for (let i = 0; i < 2; i++) {
      expect(bits(product(x))).toEqual(bits(plain))
      expect(bits(autocast(() => product(x)))).toEqual(bits(mixed))
      expect(bits(autocast(() => autocast(() => product(x), { enabled: false })))).toEqual(bits(plain))
    }
    expect(product.programs).toBe(2)
  })

  test('a recorded step casts for itself, also inside a region that has cast the same weight', () => {
    const w = ones([1, 1], { requiresGrad: true })
    const read = compile(() => ones([1, 1]).matmul(w).detach())
    autocast(() => {
      ones([1, 1]).matmul(w)
      expect(read().dataSync()[0]).toBe(1)
      noGrad(() => w.fill_(2))
      expect(read().dataSync()[0]).toBe(2)
    })
    noGrad(() => w.fill_(3))
    expect(autocast(() => read().dataSync()[0])).toBe(3)
    expect(read.programs).toBe(1)
  })

  test('a training step equals the plain one bit for bit', async () => {
    const results = await Promise.all([false, true].map(async (compiled) => {
      manualSeed(7)
      const model = new nn.Sequential(
        new nn.Conv2d(1, 4, 3), new nn.ReLU(), new nn.MaxPool2d(2), new nn.Conv2d(4, 8, 2), new nn.BatchNorm2d(8), new nn.ReLU(), new nn.Flatten(), new nn.Dropout(0.25), new nn.Linear(32, 3),
      )
      const optimizer = new optim.AdamW(model.parameters(), { lr: 0.01 })
      const body = (x: Tensor, labels: Tensor): Tensor => {
        const loss = autocast(() => nn.crossEntropy(model.forward(x) as Tensor, labels))
        loss.backward()
        optimizer.step({ clipNorm: 1 })
        optimizer.zeroGrad()
        return loss.detach()
      }
      const step = compiled ? compile(body, { check: true }) : (...batch: Parameters<typeof body>) => scope(() => body(...batch))
      const losses: unknown[] = []
      for (let i = 0; i < 8; i++) losses.push(bits(step(rand([6, 8, 8, 1]), tensor([0, 1, 2, 0, 1, 2], { dtype: 'int32' }))))
      expect(model.parameters().every(({ dtype }) => dtype === 'float32')).toBe(true)
      return { losses, weights: Object.values(model.stateDict()).map(bits) }
    }))
    expect(results[1]).toEqual(results[0])
  })
})
