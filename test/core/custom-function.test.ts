// What comes back from the functions of `customFunction`, and gradients that would be lost or wrong in silence.
import { expect, test } from 'vitest'
import { customFunction, DTypeError, grad, noGrad, NoGradientError, optim, ShapeError, type Tensor, tensor, ValueError, zeros } from '../../ts/index.js'

const leaf = (values: number[] = [1, 2]): Tensor => tensor(values, { requiresGrad: true })
const made = (backward: any, forward: any = (x: Tensor) => x.mul(2)) => customFunction({ name: 'mine', forward, backward })

test('a gradient of another dtype is cast to the input\'s, and the optimizer steps with it', async () => {
  const x = leaf()
  made((dy: Tensor) => dy.to('float64'))(x).sum().backward()
  expect(x.grad!.dtype).toBe('float32')
  new optim.SGD([x], { lr: 1 }).step()
  expect(await x.tolist()).toEqual([0, 1])
})

test('a second derivative goes through that cast', async () => {
  const x = leaf([3])
  const cube = customFunction({ forward: (x) => ({ output: x.mul(x).mul(x), saved: [x] }), backward: (dy, x) => dy.mul(x!.square()).mul(3).to('float64') })
  const first = grad(cube(x).sum(), x, { createGraph: true })
  expect(await grad(first.sum(), x).tolist()).toEqual([18])
})

test('the number of gradients is that of the inputs', () => {
  expect(() => made((d: Tensor) => [d, d])(leaf()).sum().backward()).toThrow(/^mine: backward gave 2 gradients for 1 input\.\n {2}Return one an input, null/)
  const two = customFunction({ name: 'two', forward: (a, b) => a!.add(b!), backward: (d) => d })
  expect(() => two(leaf(), leaf()).sum().backward()).toThrow(/^two: backward gave 1 gradient for 2 inputs/)
  const a = leaf()
  customFunction({ forward: (a, b) => a!.add(b!), backward: (d) => [d, null] })(a, leaf()).sum().backward()
  expect(a.grad).not.toBeNull()
})

test('a gradient has the input\'s shape, and is a tensor or null', () => {
  expect(() => made((d: Tensor) => d.sum())(leaf()).sum().backward()).toThrow(ShapeError)
  expect(() => made((d: Tensor) => d.sum())(leaf()).sum().backward()).toThrow(/^mine: backward gave a gradient \[\] for input 0, which is \[2\]/)
  for (const wrong of [undefined, 3, 'dy', {}]) expect(() => made(() => wrong)(leaf()).sum().backward()).toThrow(/^mine: gradient 0 of backward \(null for none\) must be a tensor/)
  const x = leaf()
  made(() => null)(x).sum().backward()
  expect(x.grad).toBeNull()
})

test('functions that are asynchronous, or answer with no tensor', () => {
  expect(() => made((d: Tensor) => d, async (x: Tensor) => x)(leaf())).toThrow(/^mine: forward is asynchronous\. Ops answer at once/)
  expect(() => made(async (d: Tensor) => d)(leaf()).sum().backward()).toThrow(/^mine: backward is asynchronous/)
  for (const wrong of [undefined, null, 3, [leaf()], { output: 3 }]) expect(() => made((d: Tensor) => d, () => wrong)(leaf())).toThrow(/^mine: what forward returns must be a tensor/)
  expect(() => made((d: Tensor) => d, (x: Tensor) => ({ output: x.mul(2), saved: x }))(leaf())).toThrow(/^mine: saved is a list of tensors/)
  expect(() => made((d: Tensor) => d)(3 as never)).toThrow(/^mine: input 0 must be a tensor, got 3/)
  expect(() => customFunction({ forward: (x: Tensor) => x } as never)).toThrow(/^customFunction: backward is a function, got undefined/)
  expect(() => customFunction({ foward: (x: Tensor) => x } as never)).toThrow("Did you mean 'forward'?")
  for (const call of [() => customFunction(undefined as never), () => made(async () => { throw new Error('lost') })(leaf()).sum().backward()]) expect(call).toThrow(ValueError)
})

test('a gradient set by hand has its tensor\'s dtype', () => {
  const x = leaf()
  expect(() => { x.grad = zeros([2], { dtype: 'float64' }) }).toThrow(DTypeError)
  expect(() => { x.grad = [1, 2] as never }).toThrow(ValueError)
  x.grad = zeros([2])
})

test('assign_ drops no gradient in silence, and names itself', async () => {
  const [x, y] = [leaf(), zeros([2])]
  expect(() => y.assign_(x.mul(2))).toThrow(NoGradientError)
  expect(() => y.assign_(x)).toThrow(/^assign_: a gradient reaches the source.*\n {2}Write source\.detach\(\), wrap the call in noGrad/)
  expect(await y.tolist()).toEqual([0, 0])
  y.assign_(x.mul(2).detach())
  expect(await y.tolist()).toEqual([2, 4])
  noGrad(() => y.assign_(x.mul(3)))
  expect(await y.tolist()).toEqual([3, 6])
  for (const wrong of [3, undefined, [1, 2]]) expect(() => y.assign_(wrong as never)).toThrow(/^assign_: source must be a tensor/)
  expect(() => y.fill_('1' as never)).toThrow(/^fill_: the value is a number, got "1"/)
})
