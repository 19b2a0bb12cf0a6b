// Gradients of whole recurrent layers in float64, against central differences: layers, directions, lengths and dropouts together. The ops under them have
// checks of their own (test/ops/); here it is what layers make of them: what goes from layer to layer, and which mask goes where.
import { describe, test } from 'vitest'
import { manualSeed, nn, noGrad, rand, scope, type Tensor, tensor } from '../../ts/index.js'
import { expectNear } from '../close.js'

const [N, T, I, H] = [3, 4, 2, 2] as const
const EPS = 1e-6

type Options = nn.LstmLayerOptions & nn.GruLayerOptions & nn.RnnLayerOptions
const kinds: [name: string, make: (options: Options) => nn.LSTM][] = [
  ['LSTM', (options) => new nn.LSTM(I, H, options)],
  ['LSTM with peepholes, normalised and projected', (options) => new nn.LSTM(I, 3, { ...options, peephole: true, layerNorm: true, projSize: 2 })],
  ['GRU', (options) => new nn.GRU(I, H, options) as unknown as nn.LSTM],
  ['GRU, r before the product', (options) => new nn.GRU(I, H, { ...options, resetAfter: false }) as unknown as nn.LSTM],
  ['RNN, tanh', (options) => new nn.RNN(I, H, options) as unknown as nn.LSTM],
  ['RNN, ReLU', (options) => new nn.RNN(I, H, { ...options, nonlinearity: 'relu' }) as unknown as nn.LSTM],
]
const dropouts: [name: string, options: Options][] = [
  ['no dropout', {}],
  ['dropout of inputs', { inputDropout: 0.4 }],
  ['dropout of states', { recurrentDropout: 0.4 }],
  ['both dropouts', { inputDropout: 0.3, recurrentDropout: 0.3 }],
]

describe.each(kinds)('%s', (_, make) => {
  for (const numLayers of [1, 2, 3]) {
    for (const bidirectional of [false, true]) {
      for (const lengths of [null, [4, 0, 2]]) {
        test.each(dropouts)(`${numLayers} layers, ${bidirectional ? 'both directions' : 'one direction'}, ${lengths === null ? 'whole' : 'lengths'}, %s`, (_, options) => {
          scope(() => {
            manualSeed(21)
            const layer = make({ ...options, numLayers, bidirectional, ...(numLayers > 1 && { dropout: 0.2 }) }).to('float64')
            const x = rand([N, T, I], { dtype: 'float64' }).add(-0.5)
            const weigh = (y: Tensor, salt: number): Tensor => y.mul(tensor(Float64Array.from({ length: y.size }, (_, i) => Math.sin(1.3 * i + salt) + 0.1), { shape: y.shape })).sum()
            // The same masks each time.
            const loss = (): Tensor => {
              manualSeed(5)
              const { output, hidden } = layer.forward(x, { ...(lengths && { lengths: tensor(Int32Array.from(lengths)) }) })
              return weigh(output, 1).add(weigh(hidden, 2))
            }
            x.requiresGrad = true
            loss().backward()
            const leaves: [string, Tensor][] = [['x', x], ...layer.namedParameters()]
            const gradients = leaves.map(([, leaf]) => leaf.grad!.dataSync() as Float64Array)
            x.requiresGrad = false
            const value = (): number => noGrad(() => loss().dataSync()[0] as number)
            leaves.forEach(([name, leaf], l) => {
              for (const place of new Set([0, Math.floor(leaf.size / 2), leaf.size - 1])) {
                const move = (by: number): number => scope(() => noGrad(() => {
                  const at = tensor(Float64Array.from({ length: leaf.size }, (_, i) => (i === place ? by : 0)), { shape: leaf.shape })
                  leaf.assign_(leaf.add(at))
                  const moved = value()
                  leaf.assign_(leaf.sub(at))
                  return moved
                }))
                expectNear(gradients[l]![place]!, (move(EPS) - move(-EPS)) / (2 * EPS), `d/d ${name}[${place}]`)
              }
            })
          })
        })
      }
    }
  }
})

// Rows are summed up in groups, and groups with each other: more rows than a group has.
test.each(kinds)('%s: the gradients of a batch are the sums of its rows\'', (_, make) => {
  scope(() => {
    manualSeed(22)
    const layer = make({ bidirectional: true }).to('float64')
    const x = rand([21, T, I], { dtype: 'float64' }).add(-0.5)
    const gradients = (from: number, to: number): Map<string, Float64Array> => {
      layer.zeroGrad()
      layer.forward(x.slice(0, from, to)).output.square().sum().backward()
      return new Map([...layer.namedParameters()].map(([name, p]) => [name, p.grad!.dataSync() as Float64Array]))
    }
    const rows = Array.from({ length: 21 }, (_, row) => gradients(row, row + 1))
    for (const [name, whole] of gradients(0, 21)) whole.forEach((g, i) => expectNear(g, rows.reduce((sum, row) => sum + row.get(name)![i]!, 0), `${name}[${i}]`))
  })
})
