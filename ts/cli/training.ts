// Training a model, from data to report: what `ferrograd train` and the demo share.
import { join } from 'node:path'
import { manualSeed, type nn, type optim, train, Trainer } from '../index.js'
import { makeFolder } from '../internal.js'
import { type Card, saveBundle } from './bundle.js'
import { modelNamed, type ModelRow } from './catalogue.js'
import { checkSameData, type EarlierRun, type RunOptions } from './checkpoints.js'
import { say } from './console.js'
import { renderReport } from './report.js'
import type { Tested } from './tasks/task.js'

/** A training run. */
export interface TrainingJob {
  /** What the task of the model loaded. */
  data: unknown
  options: RunOptions
  out: string
  signal: AbortSignal
  /** The run to go on with. */
  resume?: EarlierRun
  /** A learning rate schedule. */
  schedule?: optim.ScheduleFactory
}

/** What training gave. */
export interface TrainingResult {
  model: nn.Module
  card: Card
  history: train.History
  test: Tested
}

/**
 * Trains with a held-out share of the training part (none for 0), measures on the test part, and writes model, history, checkpoints and report to the
 * output folder.
 * @throws CancelledError when `signal` aborts; a checkpoint was saved then, and the model too where training had ended
 */
export async function runTraining({ data, options, out, signal, resume, schedule }: TrainingJob): Promise<TrainingResult> {
  const { epochs, seed, lr, optimizer, autocast = false } = options
  const { task, make, title } = modelNamed(options.model) as ModelRow
  await makeFolder('--out', out)
  const { card, vectorizer, name, parts, training, fit } = await task.plan(data, options)
  if (resume !== undefined) checkSameData(resume, card)
  manualSeed(seed)
  const model = make(card.config as never)
  const bundle = { model, card, vectorizer }
  const count = model.parameters().reduce((sum, { size }) => sum + size, 0)
  say(`${name}: ${parts}; ${count.toLocaleString('en')} parameters.`)
  const trainer = new Trainer(model, { ...task.trainer(bundle), optimizer: optimizer as 'adam', lr, ...(autocast ? { autocast: 'bfloat16' } : {}) })
  const history = await trainer.fit(training, {
    ...fit,
    epochs,
    seed,
    signal,
    checkpointDir: out,
    metadata: { card, run: options },
    callbacks: [new train.JsonlLogger(join(out, 'history.jsonl'))],
    ...(resume === undefined ? {} : { resume: resume.path }),
    ...(schedule === undefined ? {} : { schedule }),
  })
  await saveBundle(out, { ...bundle, model: model.eval() })
  const test = await task.test(bundle, data, { signal })
  const report = renderReport({
    history: history.epochs,
    charts: [{ title: 'Loss by epoch', figure: 'loss' }, ...task.charts, ...((await task.drawings?.(bundle, data, options)) ?? [])],
    panels: await task.panels(bundle, data, test),
    title: `${title} on ${name}`,
    subtitle: [
      `test ${test.headline}, ${test.rest}`,
      `${count.toLocaleString('en')} parameters`,
      `${history.epochs.length} epochs`,
      `seed ${seed}`,
    ].join(' · '),
  })
  await train.writeDurably(join(out, 'report.svg'), (write) => write(Buffer.from(report)))
  return { model, card, history, test }
}
