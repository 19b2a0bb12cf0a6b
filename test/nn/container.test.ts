import { describe, expect, it } from 'vitest'
import { compile, ones, ShapeError, type Tensor, tensor, ValueError, zeros } from '../../ts/index.js'
import * as nn from '../../ts/nn/index.js'

describe('Sequential', () => {
  it('has PyTorch\'s keys, is iterable and grows', () => {
    const model = new nn.Sequential(new nn.Linear(2, 3), new nn.ReLU()).append(new nn.Linear(3, 1))
    expect(Object.keys(model.stateDict())).toEqual(['0.weight', '0.bias', '2.weight', '2.bias'])
    expect([...model].map((layer) => layer.constructor.name)).toEqual(['Linear', 'ReLU', 'Linear'])
    expect(model.length).toBe(3)
    expect(model[2]).toBeInstanceOf(nn.Linear)
    expect(model.forward(ones([4, 2])).shape).toEqual([4, 1])
  })

  it('keeps the order past ten layers', () => {
    const model = new nn.Sequential(...Array.from({ length: 12 }, () => new nn.Linear(1, 1, { bias: false })))
    expect(Object.keys(model.stateDict()).map((key) => key.split('.')[0])).toEqual(Array.from({ length: 12 }, (_, i) => String(i)))
  })

  it.each([
    ['Linear', () => new nn.Linear(6, 5), [4, 6]],
    ['Conv2d', () => new nn.Conv2d(2, 5, 3, { padding: 1 }), [2, 6, 7, 2]],
  ] as const)('fuses %s with the ReLU behind it: the same bits forward and backward as one after the other', (_, make, shape) => {
    const layer = make()
    const fused = new nn.Sequential(layer, new nn.ReLU())
    const run = (forward: (x: Tensor) => Tensor): unknown[] => {
      const waves = (p: Tensor): Tensor => tensor(Array.from({ length: p.size }, (_, i) => Math.sin(i + 1)), { shape: p.shape })
      layer.loadStateDict(Object.fromEntries(layer.namedParameters().map(([name, p]) => [name, waves(p)])))
      const values = tensor(Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.cos(3 * i)), { shape, requiresGrad: true })
      layer.zeroGrad()
      const y = forward(values)
      y.square().sum().backward()
      return [y, values.grad, layer.weight.grad, layer.bias!.grad].map((t) => t!.dataSync())
    }
    const once = run((x) => fused.forward(x) as Tensor)
    expect(once).toEqual(run((x) => layer.forward(x).relu()))
    // A hook asks to see the layer by itself, and nothing else changes.
    const seen: Tensor[] = []
    const remove = layer.registerForwardHook((_m, _i, output: Tensor) => { seen.push(output) })
    expect(run((x) => fused.forward(x) as Tensor)).toEqual(once)
    remove()
    expect(Math.min(...(seen[0]!.dataSync() as Float32Array))).toBeLessThan(0)
  })

  it('names both sides where a Linear does not fit', () => {
    const model = new nn.Sequential(new nn.Flatten(), new nn.Linear(1600, 64))
    expect(() => model.forward(zeros([2, 4, 4, 64]))).toThrow(ShapeError)
    expect(() => model.forward(zeros([2, 4, 4, 64]))).toThrowErrorMatchingInlineSnapshot(
      `[ShapeError: Flatten gives 1024 (shape [2, 1024]), Linear expects 1600: use new nn.Linear(1024, 64) or new nn.LazyLinear(64)]`)
  })

  it('refuses what is no layer', () => {
    expect(() => new nn.Sequential(nn.ReLU as unknown as nn.Module)).toThrowErrorMatchingInlineSnapshot(
      `[ValueError: Sequential: layer 0 is the class ReLU, not a Module. Use an instance: new nn.ReLU(...)]`)
    expect(() => new nn.Sequential(null as unknown as nn.Module)).toThrow(ValueError)
  })

  it('passes what is no tensor through its layers', () => {
    class Pick extends nn.Module {
      forward({ x }: { x: Tensor }): Tensor {
        return x
      }
    }
    expect(new nn.Sequential(new Pick(), new nn.Linear(2, 1)).forward({ x: ones([1, 2]) }).shape).toEqual([1, 1])
  })
})

describe('ModuleList and ModuleDict', () => {
  it('hold modules by place', () => {
    class Net extends nn.Module {
      layers = new nn.ModuleList([new nn.Linear(2, 2), new nn.Linear(2, 1)])
      forward(x: Tensor): Tensor {
        for (const layer of this.layers) x = layer.forward(x)
        return x
      }
    }
    const model = new Net()
    expect(Object.keys(model.stateDict())).toEqual(['layers.0.weight', 'layers.0.bias', 'layers.1.weight', 'layers.1.bias'])
    expect(model.forward(ones([3, 2])).shape).toEqual([3, 1])
    expect(model.layers.append(new nn.Linear(1, 1)).length).toBe(3)
    expect(() => model.layers.forward()).toThrow(/no forward/)
    expect(() => model.layers.append(3 as unknown as nn.Linear)).toThrow(/not a Module/)
  })

  it('hold modules by name', () => {
    const heads = new nn.ModuleDict({ a: new nn.Linear(1, 1), b: new nn.Linear(1, 2) })
    expect([...heads.keys()]).toEqual(['a', 'b'])
    expect([...heads].map(([name]) => name)).toEqual(['a', 'b'])
    expect(heads.get('b').outFeatures).toBe(2)
    expect([heads.has('a'), heads.has('training'), heads.has('toString')]).toEqual([true, false, false])
    expect(Object.keys(heads.stateDict())).toEqual(['a.weight', 'a.bias', 'b.weight', 'b.bias'])
    expect(() => heads.get('c')).toThrow('no module "c"; there are a, b')
    expect(() => heads.set('forward', new nn.Linear(1, 1))).toThrow(/name of ModuleDict itself/)
    expect(() => heads.forward()).toThrow(/no forward/)
  })
})

describe('a fused pair', () => {
  it('is named in errors as the layer alone is', async () => {
    const model = new nn.Sequential(new nn.Identity(), new nn.Sequential(new nn.Conv2d(1, 1, 5), new nn.ReLU()))
    expect(() => model.forward(zeros([1, 3, 3, 1]))).toThrow(/\(in 1\.0\)/)
  })

  it('is guarded in a captured step: freezing the layer is seen', () => {
    const layer = new nn.Linear(1, 1)
    const model = new nn.Sequential(layer, new nn.ReLU())
    const step = compile((x: Tensor) => { (model.forward(x) as Tensor).sum().backward() })
    layer.loadStateDict({ weight: ones([1, 1]), bias: ones([1]) })
    const x = ones([1, 1])
    step(x)
    expect(layer.weight.grad!.itemSync()).toBe(1)
    layer.zeroGrad()
    layer.weight.requiresGrad = false
    step(x)
    expect(layer.weight.grad).toBe(null)
    expect(layer.bias!.grad!.itemSync()).toBe(1)
  })
})

describe('what is no module', () => {
  const loose = nn as any
  it.each<[string, () => unknown, string]>([
    ['an array of layers, as in Keras', () => new loose.Sequential([new nn.ReLU()]), 'Sequential: layer 0 is an array, not a Module. Layers are its arguments, one by one: new nn.Sequential(a, b), or new nn.Sequential(...layers)'],
    ['a class', () => new loose.Sequential(new nn.ReLU(), nn.Tanh), 'Sequential: layer 1 is the class Tanh, not a Module. Use an instance: new nn.Tanh(...)'],
    ['a function', () => new loose.Sequential((x: unknown) => x), 'Sequential: layer 0 is a function, not a Module. Give it a module around it: class extends nn.Module with this forward'],
    ['null', () => new loose.Sequential(null), 'Sequential: layer 0 is null, not a Module. Give it an instance of a layer, such as new nn.ReLU()'],
    ['a list in a list', () => new loose.ModuleList([[new nn.ReLU()]]), 'ModuleList: item 0 is an array, not a Module. Give it an instance of a layer, such as new nn.ReLU()'],
    ['a layer for a list', () => new loose.ModuleList(new nn.ReLU()), 'ModuleList: takes its modules as one array, as in new nn.ModuleList([a, b]), got ReLU'],
    ['a class by name', () => new loose.ModuleDict({ a: nn.ReLU }), 'ModuleDict: "a" is the class ReLU, not a Module. Use an instance: new nn.ReLU(...)'],
  ])('%s', (_, make, message) => {
    expect(make).toThrow(ValueError)
    expect(make).toThrow(new RegExp(`^${message.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`))
  })
})
