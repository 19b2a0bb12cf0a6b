import { expect, test } from 'vitest'
import { compile, device, ones, rand, scope, type Tensor, ValueError } from '../../ts/index.js'

test('a profile has a row an op and shape, with calls and bytes', async () => {
  const [a, b] = [rand([64, 32]), rand([32, 16])]
  const { result, rows } = await device.profile(() => scope(() => {
    for (let i = 0; i < 3; i++) a.matmul(b)
    return ones([5]).mul(2).data()
  }))
  expect([...result]).toEqual([2, 2, 2, 2, 2])
  const product = rows.find((row) => row.op === 'matmul')!
  expect(product).toMatchObject({ dtype: 'float32', shape: [64, 16], calls: 3, bytes: 3 * 4 * (64 * 32 + 32 * 16 + 64 * 16) })
  expect(product.ms).toBeGreaterThan(0)
  expect(rows.find((row) => row.op === 'mul_scalar')).toMatchObject({ shape: [5], calls: 1, bytes: 40 })
  // The longest first.
  expect(rows.map((row) => row.ms)).toEqual(rows.map((row) => row.ms).sort((x, y) => y - x))
})

test('compiled steps are in it, command by command', async () => {
  const step = compile((x: Tensor) => x.exp().cumsum(0).sum())
  const x = rand([100])
  const { rows } = await device.profile(async () => { for (let i = 0; i < 4; i++) await scope(() => step(x).item()) })
  expect(rows.find((row) => row.op === 'exp')).toMatchObject({ calls: 4, shape: [100] })
})

test('only one profile at a time, and none stays on after a throw', async () => {
  await expect(device.profile(() => { throw new Error('mine') })).rejects.toThrow('mine')
  await device.profile(async () => {
    await expect(device.profile(() => 1)).rejects.toThrow(ValueError)
  })
  expect((await device.profile(() => 1)).rows).toEqual([])
})
