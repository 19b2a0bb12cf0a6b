import { describe, expect, it } from 'vitest'
import { anomaly, CheckpointError, compile, FerrogradError, noGrad, ones, type Tensor, tensor, ValueError, zeros } from '../../ts/index.js'
import * as nn from '../../ts/nn/index.js'

class Block extends nn.Module {
  inner = new nn.Linear(2, 2, { bias: false })
  forward(x: Tensor): Tensor {
    return this.inner.forward(x)
  }
}

class Everything extends nn.Module {
  first = new nn.Linear(2, 2)
  list = [new Block(), { deep: new nn.Parameter(ones([3])) }]
  table = { a: new nn.ReLU(), b: new nn.Linear(2, 1) }
  map = new Map<string, unknown>([['k', new Block()]])
  steps = nn.buffer(zeros([], { dtype: 'int64' }))
  tied = this.first
  name = 'everything'
  numbers = [1, 2, 3]
  #cache: Tensor = zeros([9])

  get cache(): Tensor {
    return this.#cache
  }

  forward(x: Tensor): Tensor {
    return this.first.forward(x)
  }
}

describe('state', () => {
  it('is found in fields, arrays, plain objects and Maps, by property path and without repeats', () => {
    const model = new Everything()
    expect(model.namedParameters().map(([name]) => name)).toEqual(
      ['first.weight', 'first.bias', 'list.0.inner.weight', 'list.1.deep', 'table.b.weight', 'table.b.bias', 'map.k.inner.weight'])
    expect(model.namedBuffers().map(([name]) => name)).toEqual(['steps'])
    expect(Object.keys(model.stateDict())).toContain('steps')
    expect(model.namedModules().map(([name]) => name)).toEqual(['', 'first', 'list.0', 'list.0.inner', 'table.a', 'table.b', 'map.k', 'map.k.inner'])
    expect(model.parameters()).toHaveLength(7)
    expect(model.modules()).toHaveLength(8)
    expect(model.cache.shape).toEqual([9])
  })

  it('is found lazily: what is added later counts', () => {
    const model = new Block() as Block & { extra?: nn.Linear }
    expect(model.parameters()).toHaveLength(1)
    model.extra = new nn.Linear(1, 1)
    expect(model.parameters()).toHaveLength(3)
  })

  it('survives cycles', () => {
    const model = new Block() as Block & { self?: unknown }
    const ring: unknown[] = [model]
    ring.push(ring)
    model.self = ring
    expect(model.parameters()).toHaveLength(1)
  })

  it('modules that hold their parent are found, switched, printed and saved', () => {
    class Child extends nn.Module {
      layer = new nn.Linear(1, 1, { bias: false })
      constructor(readonly parent: nn.Module) {
        super()
      }
      forward(x: Tensor): Tensor {
        return this.layer.forward(x)
      }
    }
    class Parent extends nn.Module {
      a = new Child(this)
      b = new Child(this)
      forward(x: Tensor): Tensor {
        return this.b.forward(this.a.forward(x))
      }
    }
    const model = new Parent()
    expect(model.namedModules().map(([name]) => name)).toEqual(['', 'a', 'a.layer', 'b', 'b.layer'])
    expect(model.parameters()).toHaveLength(2)
    expect(Object.keys(model.stateDict())).toEqual(['a.layer.weight', 'b.layer.weight'])
    expect(model.loadStateDict({ 'a.layer.weight': ones([1, 1]), 'b.layer.weight': ones([1, 1]) })).toEqual({ missing: [], unexpected: [] })
    model.eval()
    expect(model.modules().some((module) => module.training)).toBe(false)
    expect(model.train().modules().every((module) => module.training)).toBe(true)
    expect(model.forward(ones([1, 1])).itemSync()).toBe(1)
    expect(String(model)).toMatchInlineSnapshot(`
      "Parent(
        (a): Child(
          (parent): Parent(...)
          (layer): Linear(1, 1, bias=false)
        )
        (b): Child(
          (parent): Parent(...)
          (layer): Linear(1, 1, bias=false)
        )
      )"
    `)
    expect(String(nn.summary(model, [1, 1]))).toContain('a.layer')
  })

  it('refuses a bare tensor, naming the field', () => {
    class Bare extends nn.Module {
      scale = [ones([2])]
      forward(x: Tensor): Tensor {
        return x
      }
    }
    expect(() => new Bare().parameters()).toThrow(ValueError)
    expect(() => new Bare().stateDict()).toThrowErrorMatchingInlineSnapshot(`
      [ValueError: module state: the field "scale.0" is a plain Tensor [2], neither a parameter nor a buffer.
        Use new Parameter(tensor) for what is trained, buffer(tensor) for what is only saved, or a #private field for what is neither.]
    `)
  })
})

describe('loadStateDict', () => {
  const pair = (): nn.Linear => {
    const layer = new nn.Linear(2, 2)
    layer.loadStateDict({ weight: tensor([[1, 2], [3, 4]]), bias: tensor([5, 6]) })
    return layer
  }
  const values = (layer: nn.Linear): unknown => [Array.from(layer.weight.dataSync()), Array.from(layer.bias!.dataSync())]

  it('of the model\'s own state changes nothing, of views of it takes the values from before', () => {
    const layer = pair()
    expect(layer.loadStateDict(layer.stateDict())).toEqual({ missing: [], unexpected: [] })
    expect(values(layer)).toEqual([[1, 2, 3, 4], [5, 6]])
    layer.loadStateDict({ weight: layer.weight.detach().transpose(0, 1), bias: layer.weight.detach().select(0, 1) })
    expect(values(layer)).toEqual([[1, 3, 2, 4], [3, 4]])
    const [a, b] = [new nn.Linear(1, 1), new nn.Linear(1, 1)]
    const both = new nn.Sequential(a, b)
    const [first, second] = [a.weight.itemSync(), b.weight.itemSync()]
    both.loadStateDict({ '0.weight': b.weight, '1.weight': a.weight, '0.bias': a.bias!, '1.bias': b.bias! })
    expect([a.weight.itemSync(), b.weight.itemSync()]).toEqual([second, first])
  })

  it('writes nothing where a value is no tensor or is gone', () => {
    const layer = pair()
    const gone = zeros([2])
    gone.dispose()
    const wrong: [state: unknown, message: RegExp][] = [
      [{ weight: zeros([2, 2]), bias: [1, 2] }, /^loadStateDict: bias must be a tensor, got \[1, 2\]/],
      [{ weight: zeros([2, 2]), bias: null }, /bias must be a tensor, got null/],
      [{ weight: zeros([2, 2]), bias: gone }, /^loadStateDict: bias was disposed of, or its scope has closed; nothing was changed/],
      [null, /^loadStateDict: takes tensors by name, got null/],
      ['model.safetensors', /a file is read by await model.load\(path\)/],
    ]
    for (const [state, message] of wrong) {
      expect(() => layer.loadStateDict(state as never)).toThrow(message)
      expect(() => layer.loadStateDict(state as never)).toThrow(FerrogradError)
      expect(values(layer)).toEqual([[1, 2, 3, 4], [5, 6]])
    }
  })

  const filled = (shape: readonly number[], value: number): Tensor => zeros(shape).add(value)

  it('writes in place, casting between floats', () => {
    const model = new nn.Linear(2, 1)
    const { weight } = model
    const result = model.loadStateDict({ weight: tensor([[3, 4]], { dtype: 'float64' }), bias: tensor([5]) })
    expect(result).toEqual({ missing: [], unexpected: [] })
    expect(model.weight).toBe(weight)
    expect([...weight.dataSync()]).toEqual([3, 4])
    expect([...model.forward(tensor([[1, 1]])).dataSync()]).toEqual([12])
  })

  it('lists everything that does not fit, and writes nothing then', () => {
    const model = new nn.Sequential(new nn.Linear(2, 1), new nn.Linear(1, 1))
    const before = [...model.parameters()[0]!.dataSync()]
    const state = { '0.weight': filled([1, 2], 7), '0.bias': filled([2], 7), '1.weight': filled([1, 1], 7), other: filled([1], 7) }
    expect(() => model.loadStateDict(state)).toThrow(CheckpointError)
    expect(() => model.loadStateDict(state)).toThrowErrorMatchingInlineSnapshot(`
      [CheckpointError: loadStateDict: the state does not fit Sequential; nothing was changed.
        missing (1): 1.bias
        unexpected (1): other
        mismatched: 0.bias: the model has float32 [1], the state has float32 [2]
        Build the model with the sizes it was saved with, or leave those keys out and pass { strict: false }.]
    `)
    expect(() => model.loadStateDict(state, { strict: false })).toThrow(/mismatched: 0.bias/)
    expect([...model.parameters()[0]!.dataSync()]).toEqual(before)
  })

  it('strict: false loads what fits and says what did not', () => {
    const model = new nn.Linear(1, 1)
    expect(model.loadStateDict({ weight: filled([1, 1], 2), extra: filled([1], 0) }, { strict: false })).toEqual({ missing: ['bias'], unexpected: ['extra'] })
    expect(model.weight.itemSync()).toBe(2)
  })

  it('takes a second name of a tied weight', () => {
    class Tied extends nn.Module {
      a = new nn.Linear(1, 1, { bias: false })
      b = this.a
      forward(x: Tensor): Tensor {
        return this.b.forward(this.a.forward(x))
      }
    }
    const model = new Tied()
    expect(Object.keys(model.stateDict())).toEqual(['a.weight'])
    expect(model.loadStateDict({ 'a.weight': filled([1, 1], 3), 'b.weight': filled([1, 1], 3) }).unexpected).toEqual([])
  })

  it('does not take a float for a counter', () => {
    expect(() => new nn.BatchNorm1d(1).loadStateDict({ numBatchesTracked: zeros([]) }, { strict: false })).toThrow(/int64 \[\], the state has float32 \[\]/)
  })
})

describe('modes, freezing, conversion', () => {
  it('train and eval reach every module', () => {
    const model = new Everything()
    model.eval()
    expect(model.modules().every((m) => !m.training)).toBe(true)
    model.train()
    expect(model.modules().every((m) => m.training)).toBe(true)
  })

  /** Keeps its normalisation in evaluation mode. */
  class Kept extends nn.Module {
    norm = new nn.BatchNorm1d(2)
    drop = new nn.Dropout(0.5)
    calls: boolean[] = []

    override train(mode = true): this {
      this.calls.push(mode)
      super.train(mode)
      this.norm.train(false)
      return this
    }

    forward(x: Tensor): Tensor {
      return this.drop.forward(this.norm.forward(x))
    }
  }

  it("train asks each child's own train, which may keep a layer in evaluation mode", () => {
    const kept = new Kept()
    const model = new nn.Sequential(new nn.Sequential(kept), new nn.Dropout(0.5))
    model.train()
    expect(kept.calls).toEqual([true])
    expect([model.training, kept.training, kept.norm.training, kept.drop.training]).toEqual([true, true, false, true])
    model.eval()
    expect(kept.calls).toEqual([true, false])
    expect(model.modules().some((module) => module.training)).toBe(false)
  })

  it('freezing keeps gradients away', () => {
    const model = new nn.Sequential(new nn.Linear(2, 2), new nn.Linear(2, 1))
    ;(model[0] as nn.Linear).requiresGrad_(false)
    model.forward(ones([1, 2])).sum().backward()
    expect(model.parameters().map((p) => p.grad !== null)).toEqual([false, false, true, true])
    model.requiresGrad_(true)
    expect(model.parameters().every((p) => p.requiresGrad)).toBe(true)
    model.zeroGrad()
    expect(model.parameters().every((p) => p.grad === null)).toBe(true)
  })

  it('to casts floats, keeps counters, ties and freezing', () => {
    class Net extends nn.Module {
      norm = new nn.BatchNorm1d(2)
      a = new nn.Linear(2, 2)
      b = this.a
      forward(x: Tensor): Tensor {
        return this.b.forward(this.a.forward(this.norm.forward(x)))
      }
    }
    const model = new Net()
    model.a.weight.requiresGrad = false
    const values = [...model.a.weight.dataSync()]
    model.to('float64')
    expect(model.a.weight.dtype).toBe('float64')
    expect([...model.a.weight.dataSync()]).toEqual(values)
    expect(model.a).toBe(model.b)
    expect(model.a.weight.requiresGrad).toBe(false)
    expect(model.norm.runningMean!.dtype).toBe('float64')
    expect(model.norm.numBatchesTracked!.dtype).toBe('int64')
    expect(model.namedBuffers().map(([name]) => name)).toEqual(['norm.runningMean', 'norm.runningVar', 'norm.numBatchesTracked'])
    expect(model.forward(ones([3, 2], { dtype: 'float64' })).dtype).toBe('float64')
    expect(model.to('meta').forward(zeros([3, 2], { dtype: 'float64', device: 'meta' })).shape).toEqual([3, 2])
  })

  it('apply goes from the leaves up', () => {
    const order: string[] = []
    new nn.Sequential(new nn.Sequential(new nn.ReLU()), new nn.Tanh()).apply((m) => order.push(m.constructor.name))
    expect(order).toEqual(['Tanh', 'ReLU', 'Sequential', 'Sequential'])
  })
})

describe('hooks', () => {
  it('see inputs and output however the layer is called, and may replace them', () => {
    const model = new Block()
    const seen: string[] = []
    const removals = [
      model.inner.registerForwardPreHook((module, inputs) => { seen.push(`before ${module.constructor.name}`); return [(inputs[0] as Tensor).mul(2)] }),
      model.inner.registerForwardHook((_, inputs, output: Tensor) => { seen.push(`after ${String((inputs[0] as Tensor).dataSync())}`); return output.mul(0).add(1) }),
    ]
    expect([...model.forward(ones([1, 2])).dataSync()]).toEqual([1, 1])
    expect(seen).toEqual(['before Linear', 'after 2,2'])
    expect(model.inner.hasHooks).toBe(true)
    for (const remove of removals) remove()
    expect(model.inner.hasHooks).toBe(false)
    model.forward(ones([1, 2]))
    expect(seen).toHaveLength(2)
  })

  it('run once where forward calls super.forward', () => {
    class Base extends nn.Module {
      forward(x: Tensor): Tensor {
        return x.add(1)
      }
    }
    class Derived extends Base {
      override forward(x: Tensor): Tensor {
        return super.forward(x).mul(2)
      }
    }
    new Base()
    const model = new Derived()
    let calls = 0
    model.registerForwardHook(() => { calls++ })
    expect(model.forward(tensor([1])).itemSync()).toBe(4)
    expect(calls).toBe(1)
  })

  it('refuse what is no list of inputs', () => {
    const model = new nn.ReLU()
    model.registerForwardPreHook(() => 3 as unknown as unknown[])
    expect(() => model.forward(ones([1]))).toThrow(/array of inputs/)
  })
})

describe('the path of a running module', () => {
  class Deep extends nn.Module {
    encoder = { layers: [new nn.Linear(2, 2), new nn.Sequential(new nn.ReLU(), new nn.Embedding(3, 2))] }
    forward(x: Tensor): Tensor {
      return this.encoder.layers.reduce((y, layer) => layer.forward(y) as Tensor, x)
    }
  }

  it('stands in errors that show at the call', () => {
    const failing = (): unknown => new Deep().forward(ones([1, 2]))
    expect(failing).toThrow(/encoder\.layers\.1\.1/)
  })

  it('stands in errors that show later', async () => {
    const model = new nn.Sequential(new nn.Identity(), new nn.Embedding(3, 2))
    const y = model.forward(tensor(Int32Array.from([1, 7]))) as Tensor
    await expect(y.data()).rejects.toThrow(/\b1\b/)
    await expect(model.forward(tensor(Int32Array.from([1, 7]))).data()).rejects.toMatchObject({ module: '1' })
  })

  it('is left when forward throws', () => {
    class Throws extends nn.Module {
      forward(): never {
        throw new Error('mine')
      }
    }
    expect(() => new Throws().forward()).toThrow('mine')
    expect(new nn.ReLU().forward(ones([1])).shape).toEqual([1])
  })
})

describe('printing', () => {
  it('draws the tree of layers', () => {
    const head = new nn.Sequential(new nn.Flatten(), new nn.Linear(8, 2, { bias: false }))
    const model = new nn.Sequential(new nn.Conv2d(1, 8, 3, { padding: 'same' }), new nn.ReLU(), head)
    expect(String(model)).toMatchInlineSnapshot(`
      "Sequential(
        (0): Conv2d(1, 8, 3x3, padding=same)
        (1): ReLU()
        (2): Sequential(
          (0): Flatten()
          (1): Linear(8, 2, bias=false)
        )
      )"
    `)
  })

  it('runs no gradient', () => {
    const model = new nn.Linear(1, 1)
    noGrad(() => expect(model.forward(ones([1, 1])).requiresGrad).toBe(false))
    expect(model.forward(ones([1, 1])).requiresGrad).toBe(true)
  })
})

describe('inside compile', () => {
  it('a hook throws: it would not run again at a replay', () => {
    const model = new nn.Linear(1, 1)
    const remove = model.registerForwardHook(() => {})
    const step = compile((x: Tensor) => model.forward(x))
    expect(() => step(ones([1, 1]))).toThrow(/Linear has a forward hook/)
    remove()
    expect(step(ones([1, 1])).shape).toEqual([1, 1])
  })
})

describe('anomaly mode', () => {
  it('names the layer in which a NaN arises', async () => {
    const before = anomaly(true)
    try {
      const model = new nn.Sequential(new nn.Linear(2, 2), new nn.Sequential(new nn.Tanh(), new nn.Linear(2, 1)))
      ;((model[1] as nn.Sequential)[1] as nn.Linear).loadStateDict({ weight: tensor([[NaN, 1]]), bias: tensor([0]) })
      await expect(model.forward(ones([1, 2])).data()).rejects.toMatchObject({ name: 'NonFiniteError', module: '1.1' })
    } finally {
      anomaly(before)
    }
  })
})
