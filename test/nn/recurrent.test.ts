// Recurrent layers against PyTorch and Keras (test/golden/make_recurrent.py), against themselves step by step, and their messages.
import { describe, expect, test } from 'vitest'
import { autocast, compile, concat, device, type DType, manualSeed, nn, noGrad, ones, optim, rand, scope, ShapeError, type Tensor, tensor, ValueError, zeros } from '../../ts/index.js'
import { formula, readGolden } from './golden.js'

interface GoldenCase {
  name: string
  kind: 'LSTM' | 'GRU' | 'RNN'
  keras?: boolean
  layers: number
  bidirectional: boolean
  lengths: number[] | null
  /** Beyond the common ones. */
  options: nn.LstmLayerOptions & nn.GruLayerOptions & nn.RnnLayerOptions
  mask: boolean[][] | null
}
const [N, T, I, H] = [3, 5, 4, 3] as const
const golden = readGolden<GoldenCase>('recurrent')
const int32 = (values: readonly number[]): Tensor => tensor(Int32Array.from(values))
const bits = (x: Tensor): ArrayLike<number> => x.dataSync() as Float64Array

function close(got: Tensor, key: string, tolerance: number): void {
  const want = golden.expected(key)!
  expect(got.shape, key).toEqual(want.shape)
  const data = got.dataSync() as Float64Array
  want.data.forEach((value, i) => expect(Math.abs(data[i]! - value), `${key} [${i}]: ${data[i]} for ${value}`).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(value))))
}

describe.each([['float64', 1e-10], ['float32', 1e-5]] as [DType, number][])('%s', (dtype, tolerance) => {
  test.each(golden.cases.filter(({ keras }) => !keras))('PyTorch: $name', ({ name, kind, layers, bidirectional, lengths, options: more }) => {
    scope(() => {
      const options = { numLayers: layers, bidirectional, ...more }
      const layer = new nn[kind](I, H, options).to(dtype as 'float32') as nn.LSTM
      noGrad(() => layer.parameters().forEach((parameter, k) => parameter.assign_(formula(parameter.shape, 100 + k, dtype))))
      const x = formula([N, T, I], 1, dtype)
      x.requiresGrad = true
      const places = layers * (bidirectional ? 2 : 1)
      const keys = kind === 'LSTM' ? (['h', 'c'] as const) : (['h'] as const)
      const starts = Object.fromEntries(keys.map((key, k) => [key, formula([places, N, key === 'h' ? layer.outputSize : H], 2 + k, dtype)])) as unknown as nn.LstmStates
      for (const key of keys) starts[key].requiresGrad = true
      const { output, hidden, states } = layer.forward(x, { states: starts, ...(lengths && { lengths: int32(lengths) }) })
      let loss = output.mul(formula(output.shape, 50, dtype)).sum()
      keys.forEach((key, k) => { loss = loss.add(states[key].mul(formula(states[key].shape, 51 + k, dtype)).sum()) })
      loss.backward()
      close(output, `${name}.output`, tolerance)
      close(x.grad!, `${name}.dx`, tolerance)
      for (const key of keys) {
        close(states[key], `${name}.${key}`, tolerance)
        close(starts[key].grad!, `${name}.d${key}`, tolerance)
      }
      const last = states.h.slice(0, -(bidirectional ? 2 : 1)).transpose(0, 1).reshape([N, -1])
      expect(bits(hidden)).toEqual(bits(last))
      for (const [key, parameter] of layer.namedParameters()) close(parameter.grad!, `${name}.grad.${key}`, tolerance)
    })
  })

  test.each(golden.cases.filter(({ keras }) => keras))('$name', ({ name, kind, mask, options, bidirectional }) => {
    scope(() => {
      const g = { LSTM: 4, GRU: 3, RNN: 1 }[kind]
      const shapes = [[I, g * H], [H, g * H], kind === 'GRU' && options.resetAfter !== false ? [2, g * H] : [g * H]]
      const from = (first: number): nn.LSTM =>
        nn.loadKerasWeights(new nn[kind](I, H, options).to(dtype as 'float32') as nn.LSTM, shapes.map((shape, k) => formula(shape, first + k, dtype)))
      const layer = bidirectional ? new nn.Bidirectional(from(100), from(103)) : from(100)
      const { output } = layer.forward(formula([N, T, I], 1, dtype), mask === null ? {} : { mask: tensor(mask) })
      close(output, `${name}.output`, tolerance)
    })
  })
})

const kinds = ['LSTM', 'GRU', 'RNN'] as const
const make = (kind: (typeof kinds)[number], options: nn.RecurrentLayerOptions = {}): nn.LSTM => new nn[kind](I, H, options) as nn.LSTM

describe.each(kinds)('%s', (kind) => {
  test('a stream, a step at a time, gives the same as the whole sequence', () => {
    scope(() => {
      const layer = make(kind, { numLayers: 2 })
      const x = rand([N, T, I])
      const whole = layer.forward(x)
      let states: nn.LstmStates | null = null
      for (let t = 0; t < T; t++) {
        const step = layer.forward(x.slice(1, t, t + 1), { states })
        states = step.states
        expect(bits(step.hidden)).toEqual(bits(whole.output.select(1, t)))
      }
      expect(bits(states!.h)).toEqual(bits(whole.states.h))
    })
  })

  test('a row alone comes out as in a batch, also where whole panels of weights are read side by side', () => {
    scope(() => {
      const layer = new nn[kind](I, 64) as nn.LSTM
      const x = rand([N, T, I])
      expect(bits(layer.forward(x.slice(0, 1, 2)).output)).toEqual(bits(layer.forward(x).output.slice(0, 1, 2)))
    })
  })

  test('the cell is the layer\'s step', () => {
    scope(() => {
      if (kind === 'GRU') {
        const [layer, cell] = [new nn.GRU(I, H, { resetAfter: false }), new nn.GRUCell(I, H, { resetAfter: false })]
        cell.loadStateDict(Object.fromEntries(Object.entries(layer.stateDict()).map(([key, value]) => [key.replace('L0', ''), value])))
        const x = rand([N, 1, I])
        expect(bits(cell.forward(x.select(1, 0)))).toEqual(bits(layer.forward(x).hidden))
      }
      const layer = make(kind)
      const cell = new nn[`${kind}Cell`](I, H) as nn.LSTMCell
      cell.loadStateDict(Object.fromEntries(Object.entries(layer.stateDict()).map(([key, value]) => [key.replace('L0', ''), value])))
      const x = rand([N, T, I])
      let state: { h: Tensor; c: Tensor } | null = null
      for (let t = 0; t < T; t++) state = cell.forward(x.select(1, t), state)
      expect(bits(kind === 'LSTM' ? state!.h : (state as unknown as Tensor))).toEqual(bits(layer.forward(x).hidden))
    })
  })

  test('lengths: each row comes out as if it were alone', () => {
    scope(() => {
      const layer = make(kind, { bidirectional: true })
      const x = rand([N, T, I])
      const { output, hidden } = layer.forward(x, { lengths: int32([2, 5, 3]) })
      ;[2, 5, 3].forEach((length, row) => {
        const alone = layer.forward(x.slice(0, row, row + 1).slice(1, 0, length))
        expect(bits(output.slice(0, row, row + 1).slice(1, 0, length))).toEqual(bits(alone.output))
        expect(bits(hidden.slice(0, row, row + 1))).toEqual(bits(alone.hidden))
        expect([...(bits(output.slice(0, row, row + 1).slice(1, length)) as Float32Array)].every((v) => v === 0)).toBe(true)
      })
    })
  })

  test('time may come first', () => {
    scope(() => {
      const [layer, turned] = [make(kind), make(kind, { batchFirst: false })]
      turned.loadStateDict(layer.stateDict())
      const x = rand([N, T, I])
      expect(bits(turned.forward(x.transpose(0, 1)).output.transpose(0, 1))).toEqual(bits(layer.forward(x).output))
    })
  })

  test('dropouts act in training alone, the variational ones alike at all steps', () => {
    scope(() => {
      manualSeed(3)
      const layer = make(kind, { inputDropout: 0.5, recurrentDropout: 0.5 })
      const x = rand([8, 6, I])
      const [first, second] = [layer.forward(x).output, layer.forward(x).output]
      expect(bits(first)).not.toEqual(bits(second))
      layer.eval()
      const plain = make(kind)
      plain.loadStateDict(layer.stateDict())
      expect(bits(layer.forward(x).output)).toEqual(bits(plain.forward(x).output))
      // Equal inputs at all steps of a layer without memory: the same inputs are dropped at each.
      const only = make(kind, { inputDropout: 0.5 })
      noGrad(() => only.weights('L0').weightHh.zero_())
      if (kind === 'RNN') {
        const { output } = only.forward(ones([8, 6, I]))
        for (let t = 1; t < 6; t++) expect(bits(output.select(1, t))).toEqual(bits(output.select(1, 0)))
      }
      expect(bits(make(kind, { numLayers: 2, dropout: 1 }).forward(x).output)).not.toEqual(bits(first))
    })
  })

  test('a captured training step has the bits of the eager one', () => {
    const train = (captured: boolean): ArrayLike<number>[] => {
      manualSeed(5)
      const layer = make(kind, { inputDropout: 0.2, recurrentDropout: 0.2, numLayers: 2, dropout: 0.1 })
      const optimizer = new optim.Adam(layer.parameters(), { lr: 0.01 })
      const body = (x: Tensor, lengths: Tensor): Tensor => {
        const loss = layer.forward(x, { lengths }).hidden.square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zeroGrad()
        return loss.detach()
      }
      const step = captured ? compile(body) : body
      return scope(() => {
        const x = rand([N, T, I])
        for (const lengths of [[5, 5, 5], [1, 0, 4], [2, 2, 2]]) step(x, int32(lengths))
        return layer.parameters().map(bits)
      })
    }
    expect(train(true)).toEqual(train(false))
  })

  test('bfloat16 under autocast stays near float32', () => {
    scope(() => {
      const layer = make(kind)
      const x = rand([N, T, I])
      const [mixed, full] = [autocast(() => layer.forward(x).output), layer.forward(x).output]
      expect(mixed.dtype).toBe('bfloat16')
      const [a, b] = [mixed.to('float32').dataSync() as Float32Array, full.dataSync() as Float32Array]
      a.forEach((value, i) => expect(Math.abs(value - b[i]!)).toBeLessThan(0.03))
      // A stream rounds its state to bfloat16 between two calls, a whole sequence does not.
      let states: nn.LstmStates | null = null
      for (let t = 0; t < T; t++) {
        const step = autocast(() => layer.forward(x.slice(1, t, t + 1), { states }))
        states = step.states
        const [one, whole] = [bits(step.hidden.to('float32')), bits(mixed.select(1, t).to('float32'))] as [Float32Array, Float32Array]
        one.forEach((value, i) => expect(Math.abs(value - whole[i]!)).toBeLessThan(0.01))
      }
    })
  })
})

describe('LSTM, variants', () => {
  const variants = { projSize: 2, peephole: true, layerNorm: true }

  test('has their parameters in every layer and direction, under PyTorch\'s names where it has them', () => {
    const layer = new nn.LSTM(I, H, { ...variants, numLayers: 2, bidirectional: true })
    const shapes = Object.fromEntries(layer.namedParameters().map(([name, { shape }]) => [name, [...shape]]))
    expect(shapes.weightIhL0).toEqual([4 * H, I])
    expect(shapes.weightIhL1Reverse).toEqual([4 * H, 4])
    expect(shapes.weightHhL1).toEqual([4 * H, 2])
    expect(shapes.weightHrL0Reverse).toEqual([2, H])
    expect([shapes.peepholeL1, shapes.normIhL0, shapes.normHhL0, shapes.normCL0, shapes.biasCL0]).toEqual([[3 * H], [4 * H], [4 * H], [H], [H]])
    const plain = new nn.LSTM(I, H).namedParameters().map(([name]) => name)
    expect(plain).toEqual(['weightIhL0', 'weightHhL0', 'biasIhL0', 'biasHhL0'])
    expect(String(new nn.LSTM(I, H, variants))).toBe('LSTM(4, 3, projSize=2, peephole=true, layerNorm=true)')
  })

  test('streams, drops units and trains as captured', () => {
    scope(() => {
      const layer = new nn.LSTM(I, H, { ...variants, recurrentDropout: 0.3, bidirectional: true })
      const optimizer = new optim.Adam(layer.parameters(), { lr: 0.01 })
      const step = compile((x: Tensor) => {
        const loss = layer.forward(x).hidden.square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zeroGrad()
        return loss.detach()
      })
      const before = layer.parameters().map(bits)
      step(rand([N, T, I]))
      layer.parameters().forEach((parameter, i) => expect(bits(parameter)).not.toEqual(before[i]))
      const one = new nn.LSTM(I, H, variants)
      const x = rand([N, T, I])
      const [head, tail] = [one.forward(x.slice(1, 0, 2)), one.forward(x.slice(1, 2))]
      const rest = one.forward(x.slice(1, 2), { states: head.states })
      expect(bits(rest.output)).toEqual(bits(one.forward(x).output.slice(1, 2)))
      expect(bits(rest.output)).not.toEqual(bits(tail.output))
      expect(rest.cell.shape).toEqual([N, H])
    })
  })

  test('runs under autocast, near float32', () => {
    scope(() => {
      for (const options of [{ projSize: 2 }, { peephole: true }, { layerNorm: true }, variants]) {
        const layer = new nn.LSTM(I, H, options)
        const x = rand([N, T, I])
        const [mixed, full] = [autocast(() => layer.forward(x).output), layer.forward(x).output]
        expect(mixed.dtype).toBe('bfloat16')
        const b = bits(full)
        ;(bits(mixed.to('float32')) as Float32Array).forEach((value, i) => expect(Math.abs(value - b[i]!)).toBeLessThan(0.1))
      }
    })
  })

  test('reads and writes in proportion to the steps', async () => {
    for (const layer of [new nn.LSTM(I, H, variants), new nn.GRU(I, H, { resetAfter: false }) as unknown as nn.LSTM]) {
      const bytes = async (steps: number): Promise<number> => {
        const { rows } = await device.profile(() => scope(() => { layer.forward(rand([N, steps, I]), { lengths: int32([steps, 1, 2]) }).hidden.sum().backward() }))
        return rows.reduce((sum, row) => sum + row.bytes, 0)
      }
      expect((await bytes(64)) / (await bytes(32))).toBeLessThan(2.2)
    }
  })

  test('what lies behind lengths, or is masked, reaches nothing, be it NaN', () => {
    scope(() => {
      const layers = [new nn.LSTM(I, H, variants), new nn.GRU(I, H, { resetAfter: false }), new nn.LSTM(I, H), new nn.GRU(I, H), new nn.RNN(I, H)]
      for (const layer of layers as nn.LSTM[]) {
        const clean = rand([2, 3, I])
        const dirty = clean.clone()
        dirty.slice(0, 1, 2).slice(1, 1).fill_(NaN)
        const gradients = [clean, dirty].map((x) => {
          layer.zeroGrad()
          const byLengths = layer.forward(x, { lengths: int32([3, 1]) })
          const byMask = layer.forward(x, { mask: tensor([[true, true, true], [true, false, false]]) })
          byLengths.output.sum().add(byMask.hidden.sum()).backward()
          return layer.parameters().map(({ grad }) => [...(bits(grad!) as Float32Array)])
        })
        expect(gradients[1]).toEqual(gradients[0])
        expect(gradients[1]!.flat().every(Number.isFinite)).toBe(true)
      }
    })
  })

  test('refuses what makes no sense', () => {
    expect(() => new nn.LSTM(I, H, { projSize: 3 })).toThrow('LSTM: projSize 3 is to be below hiddenSize 3.')
    for (const projSize of [0.5, 1.5]) expect(() => new nn.LSTM(I, H, { projSize })).toThrow(`LSTM: projSize must be`)
    expect(() => new nn.LSTM(I, H, { peephole: 1 as never })).toThrow('LSTM: peephole must be true or false')
    expect(() => new nn.GRU(I, H, { resetAfter: 'no' as never })).toThrow('GRU: resetAfter must be true or false')
    expect(() => nn.loadKerasWeights(new nn.LSTM(I, H, variants), [])).toThrow(/loadKerasWeights: Keras has no LSTM with projections/)
  })
})

test('Bidirectional is a bidirectional layer', () => {
  scope(() => {
    const both = new nn.LSTM(I, H, { bidirectional: true })
    const two = new nn.Bidirectional(new nn.LSTM(I, H), new nn.LSTM(I, H))
    two.loadStateDict(Object.fromEntries(Object.entries(both.stateDict()).map(([key, value]) => [key.endsWith('Reverse') ? `back.${key.replace('Reverse', '')}` : `ahead.${key}`, value])))
    const x = rand([N, T, I])
    const [a, b] = [both.forward(x, { lengths: int32([5, 2, 0]) }), two.forward(x, { lengths: int32([5, 2, 0]) })]
    expect(bits(b.output)).toEqual(bits(a.output))
    expect(bits(b.hidden)).toEqual(bits(a.hidden))
    const mask = tensor([[true, true, false, true, true], [false, true, true, true, true], [true, true, true, true, true]])
    const masked = two.forward(x, { mask }).output
    expect(bits(masked)).toEqual(bits(mask.unsqueeze(-1).where(both.forward(x, { mask }).output, 0)))
    const half = (from: number): Tensor => a.output.slice(-1, from, from + H)
    for (const [merge, want] of [['sum', half(0).add(half(H))], ['mul', half(0).mul(half(H))], ['ave', half(0).add(half(H)).mul(0.5)]] as const) {
      const merged = new nn.Bidirectional(two.ahead, two.back, { merge }).forward(x, { lengths: int32([5, 2, 0]) })
      expect(bits(merged.output)).toEqual(bits(want))
    }
  })
})

test('Bidirectional goes on from where both directions have got to', () => {
  scope(() => {
    const two = new nn.Bidirectional(new nn.LSTM(I, H), new nn.GRU(I, H))
    const [x, state] = [rand([N, T, I]), (): Tensor => rand([1, N, H])]
    const states = { ahead: { h: state(), c: state() }, back: { h: state() } }
    const { output, hidden, states: ends } = two.forward(x, { lengths: int32([5, 2, 3]), states })
    const [a, b] = [two.ahead as nn.LSTM, two.back as nn.GRU]
    const [ahead, back] = [a.forward(x, { lengths: int32([5, 2, 3]), states: states.ahead }), b.forward(x, { lengths: int32([5, 2, 3]), states: states.back, reverse: true })]
    expect(bits(output)).toEqual(bits(concat([ahead.output, back.output], -1)))
    expect(bits(hidden)).toEqual(bits(concat([ahead.hidden, back.hidden], -1)))
    expect(bits((ends.ahead as { c: Tensor }).c)).toEqual(bits(ahead.states.c))
    expect(bits(ends.back.h)).toEqual(bits(back.states.h))
    for (const [wrong, got] of [[{ h: state() }, '{ h }'], [{ ahead: states.ahead }, '{ ahead }'], [[1], '[1]']] as const)
      expect(() => two.forward(x, { states: wrong as never })).toThrow(`Bidirectional: states must be { ahead, back }, each the states of its layer, got ${got}.`)
    expect(() => two.forward(x, { states: { ahead: states.back, back: states.back } })).toThrow('LSTM: states must be { h, c }, each a tensor, got { h }')
  })
})

test('a cell takes a row alone', () => {
  scope(() => {
    const [x, h, c] = [rand([I]), rand([H]), rand([H])]
    const row = (t: Tensor): Tensor => t.unsqueeze(0)
    for (const cell of [new nn.GRUCell(I, H), new nn.RNNCell(I, H)]) {
      expect(cell.forward(x, h).shape).toEqual([H])
      expect(bits(cell.forward(x, h))).toEqual(bits(cell.forward(row(x), row(h))))
      expect(bits(cell.forward(x))).toEqual(bits(cell.forward(row(x))))
    }
    const cell = new nn.LSTMCell(I, H)
    const [alone, one] = [cell.forward(x, { h, c }), cell.forward(row(x), { h: row(h), c: row(c) })]
    expect([alone.h.shape, alone.c.shape]).toEqual([[H], [H]])
    expect([bits(alone.h), bits(alone.c)]).toEqual([bits(one.h), bits(one.c)])
    expect(bits(cell.forward(x).c)).toEqual(bits(cell.forward(row(x)).c))
  })
})

test("Keras' weights of both directions go into a Bidirectional of two layers", () => {
  scope(() => {
    const weights = [[I, 4 * H], [H, 4 * H], [4 * H], [I, 4 * H], [H, 4 * H], [4 * H]].map((shape) => rand(shape))
    const [one, two] = [nn.loadKerasWeights(new nn.LSTM(I, H, { bidirectional: true }), weights), nn.loadKerasWeights(new nn.Bidirectional(new nn.LSTM(I, H), new nn.LSTM(I, H)), weights)]
    const x = rand([N, T, I])
    expect(bits(two.forward(x).output)).toEqual(bits(one.forward(x).output))
    expect(() => nn.loadKerasWeights(two, weights.slice(0, 5))).toThrow('loadKerasWeights: LSTM takes 3 arrays, got 2.')
  })
})

test('TimeDistributed goes through every step', () => {
  scope(() => {
    const conv = new nn.Conv2d(3, 2, 3)
    const x = rand([2, 4, 6, 6, 3])
    const y = new nn.TimeDistributed(conv).forward(x)
    expect(y.shape).toEqual([2, 4, 4, 4, 2])
    expect(bits(y.select(1, 3))).toEqual(bits(conv.forward(x.select(1, 3))))
  })
})

test('messages', () => {
  expect(() => new nn.LSTM(4, 3).forward(zeros([2, 5, 6]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: LSTM: the input is [2, 5, 6], expected [N, T, 4].
      Give 4 features a step, or make the layer with another inputSize.]
  `)
  expect(() => new nn.GRU(4, 3, { batchFirst: false }).forward(zeros([2, 4]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: GRU: the input is [2, 4], expected [T, N, 4].
      Add the batch dimension with x.unsqueeze(0).]
  `)
  expect(() => new nn.LSTM(4, 3, { dropout: 0.5 })).toThrowErrorMatchingInlineSnapshot(`
    [ValueError: LSTM: dropout 0.5 is between layers, and there is one.
      Raise numLayers, or say inputDropout or recurrentDropout, or put a Dropout behind.]
  `)
  expect(() => new nn.RNN(4, 3).forward(zeros([2, 5, 4]), { states: { h: zeros([2, 3]) } })).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: RNN: states must be [numLayers · directions, N, H] = [1, 2, 3], got [2, 3].
      Pass on the states that the layer gave for as many rows.]
  `)
  expect(() => new nn.LSTM(4, 3).forward(zeros([2, 5, 4]), { length: zeros([2]) } as never)).toThrow(ValueError)
  const state = zeros([1, 2, 3])
  const message = 'LSTM: states must be { h, c }, each a tensor, got '
  for (const [states, got] of [[{ h: state, cell: state }, '{ h, cell }'], [{ h: state }, '{ h }'], [[state, state], 'array'], [state, 'Tensor [1, 2, 3]']] as const) {
    expect(() => new nn.LSTM(4, 3).forward(zeros([2, 5, 4]), { states: states as never })).toThrow(message + got)
  }
  expect(() => new nn.GRU(4, 3).forward(zeros([2, 5, 4]), { states: { h: state, c: state } as never })).toThrow('GRU: states must be { h }, each a tensor, got { h, c }')
  expect(() => new nn.LSTMCell(4, 3).forward(zeros([2, 4]), [state, state] as never)).toThrow('LSTMCell: the state must be { h, c }')
  expect(() => new nn.GRUCell(4, 3).forward(zeros([2, 4]), { h: state } as never)).toThrow(/^GRUCell: h must be a tensor/)
  expect(() => new nn.LSTMCell(4, 3).forward(zeros([2, 5, 4]))).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: LSTMCell: the input is [2, 5, 4], expected one step [N, 4].
      Whole sequences go through LSTM.]
  `)
  expect(() => nn.loadKerasWeights(new nn.GRU(4, 3), [zeros([4, 9]), zeros([3, 9]), zeros([9])])).toThrowErrorMatchingInlineSnapshot(`
    [ShapeError: loadKerasWeights: the bias is [9], expected [2, 9].
      Make the GRU with the sizes of the Keras layer, and resetAfter: false.]
  `)
  expect(() => nn.loadKerasWeights(new nn.LSTM(4, 3), [zeros([4, 12])])).toThrow(ShapeError)
  expect(() => nn.loadKerasWeights(new nn.LSTM(4, 3), [[1], [2], [3]] as never)).toThrow('loadKerasWeights: array 0 must be a tensor, got [1]. Make one with tensor(...).')
  expect(() => nn.loadKerasWeights(new nn.LSTM(4, 3), undefined as never)).toThrow('loadKerasWeights: takes the list of tensors that get_weights() gave, got undefined.')
  expect(() => nn.loadKerasWeights(new nn.Linear(4, 3) as never, [])).toThrow('loadKerasWeights: takes an LSTM, GRU, RNN or Bidirectional, got Linear.')
  for (const layer of [new nn.LSTM(4, 3), new nn.Linear(4, 3), new nn.Conv2d(4, 3, 3), new nn.Bidirectional(new nn.RNN(4, 3), new nn.RNN(4, 3)), new nn.GRUCell(4, 3), new nn.LSTMCell(4, 3)]) {
    for (const input of [[[1]], undefined, 3]) {
      const message = (() => { try { layer.forward(input as never) } catch (error) { return error instanceof ValueError ? error.message : error } })()
      expect(message).toMatch(/^\w+(\.forward: cannot work with \(|: x must be a tensor, got )(array|undefined|3)\b/)
      expect(message).not.toMatch(/Cannot (read|destructure)|not a function|not iterable/)
    }
  }
  expect(() => new nn.Bidirectional(new nn.RNN(4, 3), new nn.RNN(4, 3), { merge: 'max' as 'sum' })).toThrow(ValueError)
  expect(() => new nn.Sequential(new nn.LSTM(4, 3), new nn.Linear(3, 2)).forward(zeros([2, 5, 4]))).toThrow('Sequential: LSTM gives { output, hidden, cell, states }, and Linear behind it takes one of them.')
  expect(() => new nn.TimeDistributed(new nn.RNN(4, 3)).forward(zeros([2, 5, 6, 4]))).toThrow('TimeDistributed: RNN gives Object, no tensor.')
  expect(() => new nn.Bidirectional(new nn.RNN(4, 3), undefined as never)).toThrow('Bidirectional: back is an LSTM, GRU or RNN, got undefined.')
  expect(() => new nn.Bidirectional(new nn.RNN(4, 3), new nn.RNN(5, 3))).toThrow("Bidirectional: the layers' inputSize must be alike, got 4 and 5.")
  expect(() => new nn.Bidirectional(new nn.RNN(4, 3), new nn.RNN(4, 1), { merge: 'sum' })).toThrow("the layers' features of an output must be alike for merge 'sum', got 3 and 1.")
  expect(() => new nn.Bidirectional(new nn.RNN(4, 3), new nn.RNN(4, 3, { batchFirst: false }))).toThrow("the layers' batchFirst must be alike")
  expect(() => new nn.Bidirectional(new nn.RNN(4, 3), new nn.RNN(4, 3)).forward(zeros([2, 5, 4]), { states: { h: state } } as never)).toThrow(ValueError)
  expect(String(new nn.LSTM(4, 3, { numLayers: 2, bidirectional: true }))).toBe('LSTM(4, 3, numLayers=2, bidirectional=true)')
})
