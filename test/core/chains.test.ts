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

/** A random composition of pointwise ops on what there is, with a row, a single element and another shape among the operands. */
function composition(seed: number, inputs: readonly Tensor[]): Tensor[] {
  const random = sequence(seed)
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!
  const values = [...inputs]
  const steps = 2 + Math.floor(random() * 24)
  for (let i = 0; i < steps; i++) {
    const x = pick(values)
    const kind = random()
    if (kind < 0.4) values.push(x[pick(UNARY)]())
    else if (kind < 0.8) values.push((x as any)[pick(BINARY)](pick(values)) as Tensor)
    else if (kind < 0.95) values.push(x.mul(random() + 0.5).add(random()))
    else values.push(x.sum(-1, { keepdim: true }))
  }
  return values.slice(inputs.length).filter((_, i, all) => i === all.length - 1 || random() < 0.2)
}

describe('random compositions have the bits of eager ops', () => {
  test.each([[[7]], [[3, 1025]], [[2, 40, 513]], [[0]], [[1]]])('of shape %j', (shape) => {
    for (let seed = 0; seed < 25; seed++) {
      scope(() => {
        const inputs = [randn(shape), randn(shape), randn([shape.at(-1)!]), randn([])]
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
        4,
        36008,
      ],
      "plain": [
        12,
        108008,
      ],
    }
  `)
  expect(compiled.describe()).toMatchInlineSnapshot(`
    "   0  mul + add_scalar + tanh + square + mul (arg0, p1) -> (t4, t6) float32 [1000], float32 [1000]  16.0 kB
       1  sum (t6) -> (out7) float32 []  4004 B
       2  full () -> (t8) float32 [] {value: 1}  4 B
       3  mul + mul + mul_scalar + tanh_grad + mul (t8, arg0, t4) -> (out13) float32 [1000]  16.0 kB
    4 commands read and write 36.0 kB; 0 left out that nobody needed; 1 arguments, 1 tensors that stay, 2 outputs;
    3 temporaries of 8004 B in one block of 8064 B
    "
  `)
})

test('other dtypes, and what broadcasts, stay as they are', () => {
  const compiled = compile((x: Tensor, row: Tensor) => x.add(row).mul(row).exp())
  compiled(tensor([[1, 2], [3, 4]], { dtype: 'float64' }), tensor([1, 2], { dtype: 'float64' }))
  expect(compiled.describe()).not.toContain(' + ')
  compiled(tensor([[1, 2], [3, 4]]), tensor([1, 2]))
  expect(compiled.describe()).not.toContain(' + ')
})
