// Chains: commands of a captured program that work element by element run as one, tile by tile.
import { describe, expect, test } from 'vitest'
import { compile, device, randn, scope, tensor, type Tensor } from '../../ts/index.js'

const bytesOf = (t: Tensor): string => { const d = t.dataSync(); return Buffer.from(d.buffer, d.byteOffset, d.byteLength).toString('base64') }

/** Numbers between 0 and 1 that are the same in every run. */
function sequence(seed: number): () => number {
  let state = seed * 2654435761 + 1
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return state / 2 ** 32
  }
}

const UNARY = ['exp', 'tanh', 'sigmoid', 'gelu', 'silu', 'relu', 'neg', 'square', 'abs', 'sin', 'softplus'] as const
const BINARY = ['add', 'sub', 'mul', 'maximum', 'minimum', 'hypot'] as const

/** A random composition of pointwise ops on what there is: operands that broadcast, parts of results and transposes among them. */
function composition(seed: number, inputs: readonly Tensor[]): Tensor[] {
  const random = sequence(seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const values = [...inputs]
  const steps = 2 + Math.floor(random() * 24)
  for (let i = 0; i < steps; i++) {
    const x = pick(values)
    const kind = random()
    if (kind < 0.05 && x.ndim === 2 && x.shape[0] === x.shape[1]) values.push(x.transpose(0, 1))
    else if (kind < 0.08 && x.ndim > 0 && x.size > 0) values.push(x.narrow(-1, 0, 1))
    else if (kind < 0.4) values.push(x[pick(UNARY)]())
    else if (kind < 0.8) values.push((x as any)[pick(BINARY)](pick(values)) as Tensor)
    else if (kind < 0.95) values.push(x.mul(random() + 0.5).add(random()))
    else if (kind < 0.97) values.push(x.sum(-1, { keepdim: true }))
    else if (kind < 0.98) values.push(x.mean(-1, { keepdim: true }))
    else if (kind < 0.99) values.push(x.square().mean())
    else values.push(x.mul(0.5).sum([0], { keepdim: x.ndim > 0 }))
  }
  return values.slice(inputs.length).filter((_, i, all) => i === all.length - 1 || random() < 0.2)
}

describe('random compositions have the bits of eager ops', () => {
  test.each([[[7]], [[3, 1025]], [[2, 40, 513]], [[64, 64]], [[5000, 3]], [[2, 40_000]], [[2, 2, 300, 4]], [[0]], [[1]], [[3, 0]]])('of shape %j', (shape) => {
    for (let seed = 0; seed < 25; seed++) {
      scope(() => {
        const inputs = [
          randn(shape), randn(shape), randn([shape.at(-1)!]), randn([...shape.slice(0, -1), 1]), randn([]), randn([1]),
          randn(shape.map((d, i) => (i === 0 ? 1 : d))), randn(shape.map((d, i) => (i === 1 ? 1 : d))),
        ]
        const eager = composition(seed, inputs).map(bytesOf)
        const compiled = compile((...xs: Tensor[]) => composition(seed, xs))
        expect(compiled(...inputs).map(bytesOf), `seed ${seed}`).toEqual(eager)
        expect(compiled(...inputs).map(bytesOf), `seed ${seed}, again`).toEqual(eager)
        compiled.dispose()
      })
    }
  })
})

test('a chain and its gradient: fewer commands, fewer bytes, the same gradients', async () => {
  const w = randn([1000], { requiresGrad: true })
  const body = (x: Tensor): Tensor => {
    const y = x.mul(w).add(0.5).tanh().square().mul(x)
    const loss = y.sum()
    loss.backward()
    return loss.detach()
  }
  const count = async (step: () => void): Promise<[commands: number, bytes: number]> => {
    const { rows } = await device.profile(() => step())
    return [rows.reduce((sum, row) => sum + row.calls, 0), rows.reduce((sum, row) => sum + row.bytes, 0)]
  }
  const x = randn([1000])
  const plain = await count(() => scope(() => { body(x) }))
  const gradient = bytesOf(w.grad!)
  w.grad = null
  const compiled = compile(body)
  compiled(x).dispose()
  expect(bytesOf(w.grad!)).toBe(gradient)
  w.grad = null
  const captured = await count(() => { compiled(x).dispose() })
  expect({ plain, captured }).toMatchInlineSnapshot(`
    {
      "captured": [
        3,
        24012,
      ],
      "plain": [
        12,
        104012,
      ],
    }
  `)
  expect(compiled.describe()).toMatchInlineSnapshot(`
    "   0  mul + add_scalar + tanh + square + mul + sum (arg0, p1) -> (t4, out7) float32 [1000], float32 []  12.0 kB
       1  full () -> (t8) float32 [] {value: 1}  4 B
       2  mul + mul + mul_scalar + tanh_grad + mul (single t8, arg0, t4) -> (out13) float32 [1000]  12.0 kB
    3 commands read and write 24.0 kB; 0 left out that nobody needed; 1 arguments, 1 tensors that stay, 2 outputs;
    2 temporaries of 4004 B in one block of 4096 B
    "
  `)
})

test('rows, columns and single elements are operands of one chain, and a gradient of it has the same bits', () => {
  const [gamma, beta] = [randn([300], { requiresGrad: true }), randn([300], { requiresGrad: true })]
  const body = (x: Tensor): Tensor => {
    const centred = x.sub(x.mean(-1, { keepdim: true }))
    const scale = centred.square().mean(-1, { keepdim: true }).add(1e-5).rsqrt()
    const y = centred.mul(scale).mul(gamma).add(beta).tanh()
    y.square().sum().backward()
    return y.detach()
  }
  const x = randn([70, 300])
  const [y, ...gradients] = [body(x), gamma.grad!, beta.grad!].map(bytesOf)
  gamma.grad = beta.grad = null
  const compiled = compile(body)
  expect([bytesOf(compiled(x)), bytesOf(gamma.grad!), bytesOf(beta.grad!)]).toEqual([y, ...gradients])
  expect(compiled.describe()).toMatchInlineSnapshot(`
    "   0  mean (arg0) -> (t1) float32 [70, 1] {dims: [-1], keepdim: 1}  84.3 kB
       1  sub + square + mean (arg0, column t1) -> (t2, t4) float32 [70, 300], float32 [70, 1] {dims: [-1], keepdim: 1}  168.6 kB
       2  add_scalar + rsqrt (t4) -> (t6) float32 [70, 1]  560 B
       3  mul + mul + add + tanh (t2, column t6, row p8, row p10) -> (t7, out12) float32 [70, 300], float32 [70, 300]  254.7 kB
       4  full () -> (t13) float32 [] {value: 1}  4 B
       5  mul + mul_scalar + tanh_grad + mul (single t13, out12, t7) -> (t16, t18) float32 [70, 300], float32 [70, 300]  336.0 kB
       6  sum (t16) -> (out17) float32 [1, 300] {keepdim: 1}  85.2 kB
       7  sum (t18) -> (out19) float32 [1, 300] {keepdim: 1}  85.2 kB
    8 commands read and write 1014.5 kB; 2 left out that nobody needed; 1 arguments, 2 tensors that stay, 3 outputs;
    8 temporaries of 336.8 kB in one block of 252.2 kB
    "
  `)
})

test('a sum of rows ends a chain with its bits, a chain reaches over what it does not read, and sums of columns stay apart', () => {
  const bias = randn([300])
  const body = (x: Tensor): Tensor[] => {
    const y = x.add(bias).tanh()
    const [columns, twice] = [y.sum([0]), y.mul(2)]
    return [columns, twice.square().mean(-1)]
  }
  const x = randn([70, 300])
  const eager = body(x).map(bytesOf)
  const compiled = compile(body)
  expect(compiled(x).map(bytesOf)).toEqual(eager)
  expect(compiled.describe()).toMatchInlineSnapshot(`
    "   0  add + tanh + mul_scalar + square + mean (arg0, row p1) -> (t3, out7) float32 [70, 300], float32 [70] {dims: [-1]}  169.5 kB
       1  sum (t3) -> (out4) float32 [300]  85.2 kB
    2 commands read and write 254.7 kB; 0 left out that nobody needed; 1 arguments, 1 tensors that stay, 2 outputs;
    1 temporaries of 84.0 kB in one block of 84.0 kB
    "
  `)
})

test('other dtypes stay as they are', () => {
  const compiled = compile((x: Tensor, row: Tensor) => x.add(row).mul(row).exp())
  compiled(tensor([[1, 2], [3, 4]], { dtype: 'float64' }), tensor([1, 2], { dtype: 'float64' }))
  expect(compiled.describe()).not.toContain(' + ')
  compiled(tensor([[1, 2], [3, 4]]), tensor([1, 2]))
  expect(compiled.describe()).toContain('add + mul + exp (arg0, row arg1)')
})
