// What differs between the kinds of data that the commands train on. The commands themselves know nothing of images, texts or series.
import type { nn, optim, train } from '../../index.js'
import type { Bundle, Card } from '../bundle.js'
import type { RunOptions } from '../checkpoints.js'
import type { ChartSpec, Drawing, Panel } from '../report.js'
import type { Values } from '../usage.js'

/** A model by the name that the command line takes. */
export interface ModelRow {
  task: Task<unknown>
  /** In reports. */
  title: string
  /** Made from a card's config, which the data gave. */
  make(config: never): nn.Module
  /** The smallest images that it takes. */
  least?: number
}

/** How to find and shape data. `card` is that of the model that is to read it, where there is one already. */
export interface LoadOptions extends Partial<RunOptions> {
  download?: boolean
  card?: Card
  /** Everything that a folder holds, whatever training used. */
  all?: boolean
}

/** What is trained, once the data is known. */
export interface Plan {
  card: Card
  vectorizer?: Bundle['vectorizer']
  /** What the data is called, as in `CIFAR-10`. */
  name: string
  /** How much there is of it, as in `90 images to train, 10 to validate`. */
  parts: string
  training: Parameters<train.Trainer['fit']>[0]
  fit?: Pick<train.FitOptions, 'batchSize' | 'validation' | 'clipNorm'> & { schedule?: optim.ScheduleFactory }
}

/** How good a model is on test data. */
export interface Tested {
  /** The figure that counts, as in `accuracy 96.4 %`. */
  headline: string
  /** What else is to say, as in `loss 0.1 on 360 images`. */
  rest: string
  /** A table below it. */
  rows: readonly (readonly string[])[]
  /** The same for programs. */
  figures: Readonly<Record<string, unknown>>
}

/** A kind of data. `Data` is what `load` gives: parts to train and to test on. */
export interface Task<Data, Result extends Tested = Tested> {
  readonly name: string
  /** What its models read, as in `images`. */
  readonly reads: string
  /** What --data takes. */
  readonly sources: string
  /** What `predict` is given, as in `IMAGE.png`. */
  example(card: Card): string
  /** Options that it takes besides those of every task: of `train`, as keys of `RunOptions`; of `evaluate` and `predict`, as written. */
  readonly options: { train: readonly (keyof RunOptions)[]; evaluate: readonly string[]; predict: readonly string[] }
  /** The course of training that a report draws, besides the loss. */
  readonly charts: readonly ChartSpec[]
  /** Whether what a file says of a model is what `plan` writes. */
  knows(card: Card): boolean
  load(source: string, options: LoadOptions): Promise<Data>
  plan(data: Data, options: RunOptions): Promise<Plan>
  /** Loss and metrics. */
  trainer(bundle: Bundle): train.TrainerOptions
  /** @throws CheckpointError where the data is not what the model was trained on, CancelledError when `signal` aborts */
  test(bundle: Bundle, data: Data, options?: { batchSize?: number; signal?: AbortSignal }): Promise<Result>
  /** Charts beside the curves that are drawn of the data. */
  drawings?(bundle: Bundle, data: Data, options: RunOptions): Promise<readonly Drawing[]>
  /** What a report shows below the curves. */
  panels(bundle: Bundle, data: Data, result: Result): Promise<readonly Panel[]>
  /** Writes what the model says of `inputs`. */
  predict(bundle: Bundle, inputs: readonly string[], values: Values): Promise<void>
}

/** Whether all are whole numbers that a file may ask for as sizes. */
export function wholes(...values: readonly unknown[]): boolean {
  return values.every((value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= 2 ** 24)
}
