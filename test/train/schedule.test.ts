// What a schedule leaves behind for the next fit, and schedules beside each other.
import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { optim, train, Trainer, ValueError } from '../../ts/index.js'
import { classifier, clusters, hash } from './support.js'

const all = clusters(24)
const trainerOf = (lr = 0.01): Trainer => new Trainer(classifier(), { optimizer: 'adam', lr, loss: 'crossEntropy' })

/** The rate of every step of a fit: three an epoch. */
async function rates(trainer: Trainer, options: train.FitOptions = {}): Promise<number[]> {
  const logger = new train.LearningRateLogger()
  await trainer.fit(all, { batchSize: 8, epochs: 2, verbose: false, callbacks: [logger], ...options })
  return logger.rates.map(([rate]) => rate as number)
}

describe('a second fit', () => {
  test('with a schedule starts from the rate that the user gave', async () => {
    const schedules: Record<string, () => optim.ScheduleFactory> = {
      linearWarmup: () => optim.linearWarmup(0.5), cosineWarmup: () => optim.cosineWarmup(0.5), cosineAnnealingLR: () => optim.cosineAnnealingLR(),
      linear: () => optim.linear(), stepLR: () => optim.stepLR({ stepSize: 1 }), oneCycle: () => optim.oneCycle({ maxLr: 0.1 }),
      reduceLROnPlateau: () => optim.reduceLROnPlateau({ patience: 0, threshold: 100, thresholdMode: 'abs' }),
    }
    for (const [name, schedule] of Object.entries(schedules)) {
      const trainer = trainerOf()
      const first = await rates(trainer, { schedule: schedule() })
      expect(Math.max(...first), name).toBeGreaterThan(0)
      expect(await rates(trainer, { schedule: schedule() }), name).toEqual(first)
    }
  })

  test('without one has that rate back, also after one that was cancelled', async () => {
    const trainer = trainerOf()
    await rates(trainer, { schedule: optim.cosineAnnealingLR() })
    expect(trainer.optimizer.groups[0]?.lr).toBeCloseTo(0)
    expect(await rates(trainer)).toEqual(Array(6).fill(0.01))

    const controller = new AbortController()
    const stopper: train.Callback = { onBatchEnd: (_, { index }) => { if (index === 2) controller.abort() } }
    await expect(rates(trainer, { schedule: optim.linear(), callbacks: [stopper], signal: controller.signal })).rejects.toThrow(/cancelled/)
    expect(await rates(trainer)).toEqual(Array(6).fill(0.01))
  })

  test('takes a rate that was set by hand after the schedule', async () => {
    const trainer = trainerOf()
    await rates(trainer, { schedule: optim.linear() })
    for (const group of trainer.optimizer.groups) group.lr = 0.5
    expect(await rates(trainer)).toEqual(Array(6).fill(0.5))
    expect((await rates(trainer, { schedule: optim.linear() }))[0]).toBe(0.5)
    expect(await rates(trainer)).toEqual(Array(6).fill(0.5))
  })

  test('leaves a schedule alone that is stepped by hand between fits', async () => {
    const trainer = trainerOf(1)
    const schedule = new optim.ExponentialLR(trainer.optimizer, { gamma: 0.5 })
    const seen: number[] = []
    for (let epoch = 0; epoch < 3; epoch++) {
      seen.push(...(await rates(trainer, { epochs: 1, batchSize: 24 })))
      schedule.step()
    }
    expect(seen).toEqual([1, 0.5, 0.25])
  })

  test('after a resumed one is the same to the last bit', async () => {
    const own = mkdtempSync(join(tmpdir(), 'schedule-'))
    const options = { schedule: optim.cosineWarmup(0.3), epochs: 4, checkpointDir: own, checkpointEvery: 1, checkpointKeep: Infinity }
    const whole = trainerOf()
    await rates(whole, options)
    const resumed = trainerOf()
    await rates(resumed, { ...options, checkpointDir: join(own, 'again'), resume: join(own, 'checkpoint-00000005.safetensors') })
    // One that goes on from the file with a rate of its own has the file's.
    const elsewhere = trainerOf(0.7)
    await rates(elsewhere, { ...options, checkpointDir: join(own, 'elsewhere'), resume: join(own, 'checkpoint-00000005.safetensors') })
    for (const trainer of [whole, resumed, elsewhere]) expect(await rates(trainer)).toEqual(Array(6).fill(0.01))
    const hashes = await Promise.all([whole, resumed, elsewhere].map(({ model }) => hash(model.stateDict())))
    expect(new Set(hashes).size).toBe(1)
  })
})

describe('reduceLROnPlateau', () => {
  test('watches the figure that monitor names, by its own mode', async () => {
    const trainer = new Trainer(classifier(), { optimizer: 'sgd', lr: 1e-9, loss: 'crossEntropy', metrics: ['accuracy'] })
    // At this rate the accuracy stays as it is: each epoch after the first halves it.
    const halves = (options: optim.PlateauOptions): Promise<number[]> =>
      rates(trainer, { epochs: 3, batchSize: 24, validation: all, schedule: optim.reduceLROnPlateau({ patience: 0, factor: 0.5, eps: 0, threshold: 1e-3, ...options }) })
    expect(await halves({ monitor: 'valAccuracy' })).toEqual([1e-9, 1e-9, 0.5e-9])
    expect(await halves({ monitor: 'val_acc' })).toEqual([1e-9, 1e-9, 0.5e-9])
    const seen: number[] = []
    class Spy extends optim.ReduceLROnPlateau {
      override step(metric?: number): void { seen.push(metric as number); super.step(metric) }
    }
    for (const monitor of ['accuracy', 'valAccuracy', 'loss', undefined]) {
      seen.length = 0
      const history = await trainer.fit(all, { verbose: false, validation: all, schedule: (optimizer) => new Spy(optimizer, { monitor }) })
      expect(seen).toEqual([history.last?.[monitor ?? 'valLoss']])
    }
    expect(new optim.ReduceLROnPlateau(trainer.optimizer, { monitor: 'valAccuracy' }).mode).toBe('max')
    expect(new optim.ReduceLROnPlateau(trainer.optimizer, { monitor: 'valMae' }).mode).toBe('min')
  })

  test('refuses a figure that will not be there, and to raise a loss', async () => {
    const fit = (options: optim.PlateauOptions): Promise<unknown> => rates(trainerOf(), { schedule: optim.reduceLROnPlateau(options) })
    await expect(fit({ mode: 'max' })).rejects.toThrow(/^fit: ReduceLROnPlateau with mode 'max' would watch loss, which falls as training goes well\.\n {2}Name a figure that grows/)
    await expect(fit({ monitor: 'valAccuracy' })).rejects.toThrow(/^ReduceLROnPlateau: the epochs will have no figure 'valAccuracy'/)
    const late: train.Callback = { figures: ['late'], onEpochEnd: (_, log) => { log.late = 1 } }
    await expect(rates(trainerOf(), { schedule: optim.reduceLROnPlateau({ monitor: 'late' }), callbacks: [late] })).rejects.toThrow(/no figure 'late'/)
    await expect(fit({ monitor: 3 as never })).rejects.toThrow(/monitor is 3/)
  })
})

describe('schedules of one optimizer', () => {
  test('that would overwrite each other are refused, with the way to one', () => {
    const { optimizer } = trainerOf(1)
    const warmup = new optim.LinearLR(optimizer, { startFactor: 0.5, totalIters: 2 })
    const decay = new optim.ExponentialLR(optimizer, { gamma: 0.5 })
    expect(() => warmup.step()).toThrow(ValueError)
    expect(() => warmup.step()).toThrow(/^LinearLR: ExponentialLR was made for the same optimizer since; .*\n {2}Multiply their factors in one: new optim.LambdaLR/)
    decay.step()
    expect(optimizer.groups[0]?.lr).toBe(0.5)
    const plateau = new optim.ReduceLROnPlateau(optimizer)
    expect(() => decay.step()).toThrow(/ReduceLROnPlateau was made/)
    decay.begin()
    expect(() => plateau.step(1)).toThrow(/^ReduceLROnPlateau: ExponentialLR/)
    decay.step()
    expect(optimizer.groups[0]?.lr).toBe(0.25)
  })

  test('one that is given ready made goes on where it stands, also after another fit', async () => {
    const trainer = trainerOf(1)
    const schedule = new optim.ExponentialLR(trainer.optimizer, { gamma: 0.5 })
    const options = { batchSize: 24 }
    expect(await rates(trainer, { ...options, schedule })).toEqual([1, 0.5])
    expect(await rates(trainer, { ...options, schedule: optim.linear() })).toEqual([1, 0.5])
    expect(await rates(trainer, { ...options, schedule })).toEqual([0.25, 0.125])
  })

  test('one of another optimizer is refused', async () => {
    const schedule = new optim.ExponentialLR(trainerOf().optimizer, { gamma: 0.5 })
    await expect(rates(trainerOf(), { schedule })).rejects.toThrow(/^fit: the schedule steers another optimizer/)
    await expect(rates(trainerOf(), { schedule: () => schedule })).rejects.toThrow(/^fit: the schedule steers another optimizer/)
  })

  test('a group that is added later starts from its own rate', () => {
    const [one, other] = [classifier(), classifier()]
    const optimizer = new optim.SGD(one.parameters(), { lr: 1 })
    const schedule = new optim.ExponentialLR(optimizer, { gamma: 0.5 })
    schedule.step()
    optimizer.addGroup({ params: other.parameters(), lr: 0.1 })
    schedule.step()
    schedule.step()
    expect(optimizer.groups.map(({ lr }) => lr)).toEqual([0.125, 0.1 * 0.125])
  })
})
