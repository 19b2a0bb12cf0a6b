import { expect, it } from 'vitest'
import { full, manualSeed, models, optim, randn, scope, ShapeError, tensor, type Tensor, Trainer, ValueError } from '../../ts/index.js'
import { numbers } from '../check.js'

it('tells all series in their own units: scaled and moved windows give scaled and moved forecasts', () => {
  scope(() => {
    const model = models.forecaster({ inputs: 2, horizon: 5, eps: 1e-12 })
    const x = randn([3, 24, 2])
    const told = model.forward(x)
    expect(told.shape).toEqual([3, 5, 2])
    const moved = numbers(model.forward(x.mul(100).add(7)))
    numbers(told).forEach((v, i) => expect(Math.abs(moved[i]! - (100 * v + 7))).toBeLessThan(1e-2))
    // A window that stands still has a forecast near it, and finite.
    numbers(model.forward(full([1, 8, 2], 3))).forEach((v) => expect(Math.abs(v - 3)).toBeLessThan(0.01))
    expect(numbers(models.forecaster({ inputs: 2, normalize: false }).forward(x.mul(100)))).not.toEqual(numbers(told))
  })
})

it.each(['gru', 'lstm'] as const)('learns a season on a trend, and goes on beyond what it has seen: %s', async (cell) => {
  manualSeed(1)
  const [WINDOW, HORIZON, LEARNED] = [24, 6, 150]
  const value = (t: number): number => (100 + 2 * t) * (1 + 0.3 * Math.sin((2 * Math.PI * t) / 12))
  const rows = (from: number, to: number, shift: number, steps: number): Tensor =>
    tensor(Array.from({ length: to - from }, (_, n) => Array.from({ length: steps }, (_, t) => [value(from + n + shift + t)])))
  const set = (from: number, to: number) => ({ inputs: rows(from, to, 0, WINDOW), labels: rows(from, to, WINDOW, HORIZON) })
  const model = models.forecaster({ horizon: HORIZON, cell })
  const trainer = new Trainer(model, { optimizer: new optim.Adam(model.parameters(), { lr: 0.01 }), loss: 'l1' })
  await trainer.fit(set(0, LEARNED - WINDOW - HORIZON), { epochs: 60, batchSize: 16, schedule: optim.cosineWarmup(0.1), verbose: false })
  const later = set(LEARNED - WINDOW, LEARNED)
  const seasonAgo = rows(LEARNED - WINDOW, LEARNED, WINDOW - 12, HORIZON)
  const rmse = (told: Tensor): number => scope(() => told.sub(later.labels).square().mean().sqrt().itemSync() as number)
  expect(rmse(await trainer.predict(later.inputs))).toBeLessThan(0.5 * rmse(seasonAgo))
}, 60_000)

it('refuses what makes no sense', () => {
  expect(() => models.forecaster({ horizon: 0 })).toThrow(ValueError)
  expect(() => models.forecaster().forward({ x: randn([1, 2, 1]) } as never)).toThrow('forecaster: reads x alone, a tensor, got { x }.')
  expect(() => models.forecaster().forward([[[1]]] as never)).toThrow('forecaster: reads x alone, a tensor, got array.')
  expect(() => models.forecaster({ cell: 'rnn' as 'gru' })).toThrow(/cell is 'gru' or 'lstm', got 'rnn'/)
  expect(() => models.forecaster({ eps: 0 })).toThrow(/eps must be a finite number above 0/)
  scope(() => {
    expect(() => models.forecaster().forward(randn([3, 24]))).toThrow(ShapeError)
    expect(() => models.forecaster().forward(randn([3, 24]))).toThrow(/must be \[N, T, 1\].*got \[3, 24\].\n {2}Use x.unsqueeze\(-1\)/)
  })
})
