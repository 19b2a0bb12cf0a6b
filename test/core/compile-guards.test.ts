// What a compiled function is recorded anew for, and what it refuses: a replay never shows an old world.
import { describe, expect, test } from 'vitest'
import { CaptureError, compile, grad, manualSeed, nn, optim, rand, scope, tensor, type Tensor } from '../../ts/index.js'

const x = tensor([[1, 2], [3, -4]])
const values = (y: Tensor) => y.tolist()

/** The compiled function gives what the plain one gives, before and after `change`. */
async function follows(plain: () => Tensor, change: () => void): Promise<void> {
  const compiled = compile(plain)
  const before = await values(compiled())
  expect(before).toEqual(await values(plain()))
  change()
  const after = await values(plain())
  expect(after).not.toEqual(before)
  expect(await values(compiled())).toEqual(after)
  expect(await values(compiled())).toEqual(after)
}

class Scaled extends nn.Module {
  layers = [new nn.Linear(2, 2), new nn.Linear(2, 2)]
  heads = new Map<string, nn.Module>([['a', new nn.Linear(2, 3)]])
  scale = 1
  options = { shift: 0 }
  calls = 0
  forward(x: Tensor): Tensor {
    this.calls++
    let y = x
    for (const layer of this.layers) y = layer.forward(y)
    return this.heads.get('a')!.forward(y).mul(this.scale).add(this.options.shift)
  }
}

describe('what a module holds', () => {
  test.each<[string, (model: Scaled) => void]>([
    ['a number', (model) => { model.scale = 3 }],
    ['a number in a record', (model) => { model.options.shift = 2 }],
    ['a layer in an array', (model) => { model.layers[1] = new nn.Linear(2, 2) }],
    ['a further layer', (model) => { model.layers.push(new nn.Linear(2, 2)) }],
    ['a layer in a Map', (model) => { model.heads.set('a', new nn.Linear(2, 3)) }],
  ])('%s', async (_, change) => {
    manualSeed(1)
    const model = new Scaled()
    await follows(() => model.forward(x), () => change(model))
  })

  test('layers of a Sequential, put in place or appended', async () => {
    manualSeed(1)
    const model = new nn.Sequential(new nn.Linear(2, 2), new nn.Tanh(), new nn.Linear(2, 2))
    await follows(() => model.forward(x), () => { model[2] = new nn.Linear(2, 2) })
    await follows(() => model.forward(x), () => { model.append(new nn.Sigmoid()) })
    await follows(() => model.forward(x), () => { model[1] = new nn.ReLU() })
  })

  test("a layer's own settings", async () => {
    const model = new nn.Sequential(new nn.Dropout(0.999), new nn.Linear(2, 2))
    const step = compile((x: Tensor) => model.forward(x))
    await values(step(x))
    ;(model[0] as unknown as { p: number }).p = 0
    expect(await values(step(x))).toEqual(await values(model.forward(x)))
  })

  test('but not what the function itself changes', () => {
    const model = new Scaled()
    const compiled = compile((x: Tensor) => model.forward(x))
    for (let i = 0; i < 5; i++) scope(() => { compiled(x) })
    expect(model.calls).toBe(1)
    expect(compiled.programs).toBe(1)
  })
})

describe('arguments', () => {
  test('Maps, Sets and nested arrays are looked into', async () => {
    const sum = compile((given: Map<string, Tensor>, more: Set<Tensor>) => [...given.values(), ...more].reduce((a, b) => a.add(b)))
    const given = new Map([['a', tensor([1])]])
    expect(await values(sum(given, new Set([tensor([1])])))).toEqual([2])
    given.set('a', tensor([5]))
    expect(await values(sum(given, new Set([tensor([2])])))).toEqual([7])
    given.set('b', tensor([10]))
    expect(await values(sum(given, new Set()))).toEqual([15])
    const results = compile((x: Tensor) => new Map([['double', x.mul(2)]]))
    results(tensor([1]))
    expect(await values(results(tensor([4])).get('double')!)).toEqual([8])
  })

  test('plain values that look alike are told apart', async () => {
    const step = compile((x: Tensor, names: unknown) => x.mul(JSON.stringify(names).length + (Object.is(names, -0) ? 100 : 0)))
    for (const names of [['x string y'], ['x', 'y'], 0, -0, '0', 1, '1', null, 'null', [1, [2]], [[1], 2], { a: 1 }, { a: '1' }]) {
      expect(await values(step(tensor([1]), names)), JSON.stringify(names)).toEqual([JSON.stringify(names).length + (Object.is(names, -0) ? 100 : 0)])
    }
  })

  test('an instance counts with its numbers, and may hold no tensors', async () => {
    class Settings { constructor(public factor: number, public x?: unknown) {} }
    const step = compile((x: Tensor, settings: Settings) => x.mul(settings.factor))
    const settings = new Settings(2)
    expect(await values(step(tensor([1]), settings))).toEqual([2])
    settings.factor = 5
    expect(await values(step(tensor([1]), settings))).toEqual([5])
    expect(() => step(tensor([1]), new Settings(1, tensor([1])))).toThrow(/Settings whose field 'x'/)
  })

  test('typed arrays are refused', () => {
    const step = compile((numbers: Float32Array) => tensor(numbers))
    expect(() => step(new Float32Array(2))).toThrow(CaptureError)
  })

  test('that require a gradient are for grad, not for backward', async () => {
    const model = new nn.Linear(2, 1)
    const input = rand([3, 2])
    input.requiresGrad = true
    expect(() => compile((x: Tensor) => { model.forward(x).sum().backward() })(input)).toThrow(/backward reaches an argument/)
    const attack = compile((x: Tensor) => grad(model.forward(x).sum(), [x])[0]!)
    expect(await values(attack(input))).toEqual(await values(grad(model.forward(input).sum(), [input])[0]!))
    const y = compile((x: Tensor) => model.forward(x).sum())(tensor([[1, 2]]))
    expect(() => y.backward()).toThrow(/compiled function returns has no graph/)
  })
})

describe('Sequential fuses only layers that are what they seem', () => {
  class Twice extends nn.Linear { override forward(x: Tensor): Tensor { return super.forward(x).mul(2) } }
  class Leaky extends nn.ReLU { override forward(x: Tensor): Tensor { return x.mul(0.5) } }
  class Half extends nn.Conv2d { override forward(x: Tensor): Tensor { return super.forward(x).mul(0.5) } }
  class Mean extends nn.MaxPool2d { override forward(x: Tensor): Tensor { return super.forward(x).mul(3) } }
  const image = rand([1, 6, 6, 1])
  test.each<[string, nn.Module[], Tensor]>([
    ['Linear', [new Twice(2, 2), new nn.ReLU()], x],
    ['ReLU', [new nn.Linear(2, 2), new Leaky()], x],
    ['Conv2d', [new Half(1, 2, 3), new nn.ReLU(), new nn.MaxPool2d(2)], image],
    ['MaxPool2d', [new nn.Conv2d(1, 2, 3), new nn.ReLU(), new Mean(2)], image],
  ])('a subclass of %s', async (_, layers, input) => {
    const byHand = layers.reduce((y, layer) => layer.forward(y) as Tensor, input)
    expect(await values(new nn.Sequential(...layers).forward(input))).toEqual(await values(byHand))
  })

  test('a forward put in place', async () => {
    const layer = new nn.Linear(2, 2)
    layer.forward = (x: Tensor) => x.mul(7)
    expect(await values(new nn.Sequential(layer, new nn.ReLU()).forward(x))).toEqual([[7, 14], [21, 0]])
  })

  test('a layer with weights of its own trains them', () => {
    class Adapted extends nn.Linear {
      down = new nn.Linear(2, 1)
      override forward(x: Tensor): Tensor { return super.forward(x).add(this.down.forward(x)) }
    }
    const model = new nn.Sequential(new Adapted(2, 2), new nn.ReLU())
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 })
    model.forward(x).sum().backward()
    expect((model[0] as Adapted).down.weight.grad).not.toBeNull()
    optimizer.zeroGrad()
  })
})

describe('hooks of tensors, which only the plain function runs', () => {
  const refused = /^registerHook: a hook cannot run inside a compiled function/

  test('of a parameter, added after recording and removed again', async () => {
    const p = tensor([1, 2], { requiresGrad: true })
    const step = compile(() => { p.grad = null; p.sum().backward() })
    step()
    step()
    const { programs } = step
    const remove = p.registerHook((g) => g.mul(2))
    expect(step).toThrow(CaptureError)
    expect(step).toThrow(refused)
    remove()
    step()
    expect(await values(p.grad!)).toEqual([1, 1])
    expect(step.programs).toBe(programs)
  })

  test('of what grad() is asked for: a leaf around the function, an argument, one that was computed', async () => {
    const p = tensor([1, 2], { requiresGrad: true })
    const computed = p.mul(3)
    const inside = compile(() => grad(p.square().sum(), p))
    const argument = compile((x: Tensor) => grad(x.square().sum(), x))
    for (const step of [inside, () => argument(p), () => argument(computed)]) await values(step())
    const removals = [p, computed].map((x) => x.registerHook((g) => g.mul(2)))
    for (const step of [inside, () => argument(p), () => argument(computed)]) expect(step).toThrow(refused)
    for (const remove of removals) remove()
    expect(await values(inside())).toEqual([2, 4])
    expect(await values(argument(p))).toEqual([2, 4])
    expect(await values(argument(computed))).toEqual([6, 12])
  })
})
