// Training, evaluation and prediction of a model, with the loop, the batches and the bookkeeping done.
import { data, optim, type nn, Tensor, ValueError } from '../index.js'
import { settle, Stream } from '../internal.js'
import { type Classes, numberedAnew, numberedAs } from './classes.js'
import { evaluateBatches } from './evaluate.js'
import { FitRun } from './fit.js'
import { checkValues } from './fit-values.js'
import type { History } from './history.js'
import { type ClassWeights, type ResolvedLoss, resolveLoss } from './loss.js'
import { checkModel, outputOf } from './model.js'
import { type Metric, type MetricValue, toMetrics } from './metrics/index.js'
import {
  beginSchedule,
  checkOptimizer,
  type FitOptions,
  fitOptionNames,
  normaliseOptions,
  toClassWeights,
  toOptimizer,
  type TrainerOptions,
  trainerOptionNames,
} from './options.js'
import { predictAll, predictClassRows, type Prediction, type PredictInputs, type PredictOptions, probabilitiesOf } from './predict.js'
import { holdOut, peek, toBatches, type TrainingData, usualInference } from './source.js'
import { inference } from './step.js'
import { areTexts, checkVectorizer, encoded, encodedData, type EncodedData, saveWithWords, type TextData } from './texts.js'

/** Options of `evaluate`. */
export interface EvaluateOptions {
  /** Default 256. Of an (async) iterable it says that it gives single samples; without it they are whole batches. */
  batchSize?: number
  /** Figures instead of the trainer's. */
  metrics?: TrainerOptions['metrics']
  /** Ends it between two batches; rejects with `CancelledError`. */
  signal?: AbortSignal
}

/** Models that are being trained. */
const busy = new WeakSet<nn.Module>()

/**
 * Trains a model, measures it, predicts with it.
 *
 * ```js
 * const trainer = new Trainer(model, { optimizer: 'adam', loss: 'crossEntropy', metrics: ['accuracy'] })
 * const history = await trainer.fit(train, { epochs: 10, batchSize: 32, validation: 0.1 })
 * console.log(await trainer.evaluate(test))
 * ```
 *
 * A batch is `{ inputs, labels }`; the trainer calls `model.forward(inputs)` and `loss(output, labels)`. The loss says what the outputs
 * are: `'accuracy'`, probabilities and classes follow it. Keras: `compile` and `fit` of `Model`.
 */
export class Trainer {
  /** The model that it trains. */
  readonly model: nn.Module
  readonly #options: TrainerOptions
  #optimizer: optim.Optimizer | null = null
  /** The model's parameters when the optimizer was made. */
  readonly #known = new WeakSet<Tensor>()
  readonly #metrics: Metric[]
  /** Those of the data trained on last that named them. */
  #classes: Classes

  constructor(model: nn.Module, options: TrainerOptions = {}) {
    checkModel(model)
    this.model = model
    this.#options = normaliseOptions(options, trainerOptionNames, 'Trainer')
    this.#metrics = toMetrics('Trainer', this.#options.metrics)
    checkVectorizer(this.#options.vectorizer)
    // Mistakes in names show here rather than at the first fit.
    if (this.#options.optimizer !== undefined) checkOptimizer(this.#options.optimizer, this.#options.lr)
    if (this.#options.loss !== undefined) resolveLoss(this.#lossSettings())
    if (this.#options.optimizer instanceof optim.Optimizer) this.#adopt(this.#options.optimizer)
  }

  /** The optimizer; made at the first use, when the parameters are there. */
  get optimizer(): optim.Optimizer {
    return this.#optimizer ?? this.#adopt(toOptimizer(this.#options.optimizer ?? 'adam', this.model, this.#options.lr))
  }

  #adopt(optimizer: optim.Optimizer): optim.Optimizer {
    for (const parameter of this.model.parameters()) this.#known.add(parameter)
    return (this.#optimizer = optimizer)
  }

  /**
   * Sees to it that what came into the model since the optimizer was made is trained (a new head, say). An optimizer by name takes it in;
   * one of the user's own may leave parts of the model out on purpose, but new ones it cannot have meant.
   */
  #followModel(): void {
    const { model } = this
    const named = model.namedParameters()
    if (!named.some(([, parameter]) => parameter.requiresGrad)) {
      const fault = named.length === 0 ? 'the model has no parameters' : "all of the model's parameters are frozen"
      throw new ValueError(`fit: ${fault}: there is nothing to train.${named.length === 0 ? '' : '\n  layer.requiresGrad_(true) unfreezes a layer.'}`)
    }
    const { optimizer } = this
    const byName = typeof (this.#options.optimizer ?? 'adam') === 'string'
    const held = new Set(optimizer.groups.flatMap(({ params }) => params as Tensor[]))
    if (!named.some(([, parameter]) => held.has(parameter))) {
      throw new ValueError(
        'fit: none of the parameters of the optimizer belongs to the model.\n  ' +
          (byName ? 'They were replaced since it was made, as by model.to(...): make a new Trainer.' : 'Make it of this model: new optim.Adam(model.parameters()), or give its name.'),
      )
    }
    const fresh = named.filter(([, parameter]) => parameter.requiresGrad && !held.has(parameter) && !this.#known.has(parameter))
    if (fresh.length === 0) return
    if (!byName)
      throw new ValueError(
        `fit: the optimizer does not train what came into the model since: ${fresh.map(([name]) => name).join(', ')}.\n` +
          '  trainer.optimizer.addGroup({ params: layer.parameters() }) takes it in; layer.requiresGrad_(false) leaves it as it is.',
      )
    optimizer.addGroup({ params: fresh.map(([, parameter]) => parameter) })
  }

  /**
   * Trains. Nothing blocks the event loop: the arithmetic runs on the library's threads, and at most two steps are under way.
   * Rejects at the first step that fails (a label out of range, say), naming op and layer; that step changed nothing, and training can go
   * on with another `fit`.
   * @throws CancelledError when `signal` aborts, CheckpointError for a checkpoint that does not fit, ValueError for a second `fit` of the
   * same model meanwhile
   */
  async fit(source: TrainingData | TextData, options: FitOptions = {}): Promise<History> {
    refuseMissing('fit', source)
    refuseSecondSource('fit', options)
    const chosen = normaliseOptions(options, fitOptionNames, 'fit')
    checkValues(chosen)
    if (busy.has(this.model)) throw new ValueError('fit: this model is being trained already.\n  Await the first fit before the second.')
    busy.add(this.model)
    const texts: EncodedData[] = []
    const read = async (owner: string, data: TrainingData | TextData, batchSize: number | undefined): Promise<EncodedData> => {
      const encoded = await encodedData(owner, data, this.#options.vectorizer, batchSize)
      texts.push(encoded)
      return encoded
    }
    try {
      const { validation } = chosen
      const held = typeof validation === 'object' && validation !== null ? await read('fit: validation', validation, chosen.validationBatchSize) : validation
      return await this.#fit(await read('fit', source, chosen.batchSize), held, chosen)
    } finally {
      for (const encoded of texts) encoded.dispose()
      busy.delete(this.model)
    }
  }

  async #fit({ given: source, batchSize }: EncodedData, held: EncodedData | number | undefined, options: FitOptions): Promise<History> {
    const { epochs = 1, seed = 0, shuffle, accumulate = 1 } = options
    const { training: given, validation } = await holdOut(numberedAnew(source, this.#classes), typeof held === 'object' ? held?.given : held, seed)
    const training = await materialise(this.model, given, batchSize)
    this.#followModel()
    // A function is called by the run itself, on its own stream of random numbers.
    const augment = typeof options.augment === 'function' ? undefined : options.augment
    const usual = this.optimizer instanceof optim.GD && typeof options.batchSize !== 'number' ? Infinity : 32
    const batches = toBatches(training, { owner: 'fit', batchSize, usual, shuffle, shuffled: true, seed, augment })
    const loss = this.#loss(toClassWeights(options.classWeights, batches.classes))
    if (loss.task.kind === 'multiclass') refuseOneClass(batches.classes)
    const measured = validation === null ? null : numberedAs('fit: validation', validation, batches.classes ?? null)
    const stepsPerEpoch = Math.ceil(batches.length / accumulate)
    const plan = { stepsPerEpoch, totalSteps: stepsPerEpoch * epochs }
    const metadata = { ...describe(training), ...this.#words(), ...options.metadata }
    const schedule = beginSchedule(options.schedule, this.optimizer, plan)
    try {
      const run = new FitRun({
        model: this.model,
        optimizer: this.optimizer,
        loss,
        metrics: this.#metrics,
        precision: this.#options.autocast,
        batches,
        schedule,
        epochs,
        options: { ...options, metadata },
        validation:
          measured === null
            ? null
            : toBatches(measured, { owner: 'validation', batchSize: typeof held === 'object' ? held?.batchSize : options.validationBatchSize, usual: usualInference, seed }),
      })
      this.#classes = batches.classes ?? this.#classes ?? null
      try {
        return await run.run()
      } finally {
        run.dispose()
      }
    } finally {
      schedule?.end()
    }
  }

  /**
   * Loss and metrics over all data, in evaluation mode: `{ loss, accuracy, ... }`. Labels that are names have the numbers that `fit` gave them.
   *
   * The loss, here and in `fit`'s history, is the mean over all samples, whatever the batches: with `crossEntropy` and `nll` over all labels that
   * count (not -100, or the loss's `ignoreIndex`), weighed by their classes where the loss is. Metrics leave out the same labels.
   */
  async evaluate(
    source: TrainingData | TextData,
    options: EvaluateOptions = {},
  ): Promise<Record<string, MetricValue> & { loss: number }> {
    refuseMissing('evaluate', source)
    refuseSecondSource('evaluate', options)
    const { batchSize, metrics, signal } = settle('evaluate', options, { batchSize: undefined, metrics: undefined, signal: undefined })
    // Metrics of their own, so that a running fit keeps its sums.
    const own = toMetrics('evaluate', metrics ?? this.#options.metrics)
    const read = await encodedData('evaluate', source, this.#options.vectorizer, batchSize)
    const stream = new Stream()
    try {
      const batches = toBatches(numberedAs('evaluate', read.given, this.#classes), { owner: 'evaluate', batchSize: read.batchSize, usual: usualInference })
      return (await evaluateBatches(this.model, batches, this.#loss(), own, { signal, stream, precision: this.#options.autocast })) as Record<string, MetricValue> & {
        loss: number
      }
    } finally {
      read.dispose()
      stream.close()
    }
  }

  /**
   * The raw outputs of all inputs, batch by batch, joined; the `logits` of a model that gives a record. The caller owns them.
   *
   * Where batches of sequences are of unlike lengths, their outputs [N, T, ...] are filled up at the end with 0 to the longest, as by PyTorch's
   * `pad_sequence`; what the model itself gives behind a row's end stays. Which steps are a row's own its length says, of `ctcDecode` for example.
   */
  predict(inputs: PredictInputs, options: PredictOptions = {}): Promise<Tensor> {
    return this.#predict(inputs, options, (output) => output)
  }

  /** Probabilities by the loss's task: softmax of [N, K] logits, sigmoid of yes-or-no logits. Sequences are filled up with 0 as by `predict`. */
  predictProbabilities(inputs: PredictInputs, options: PredictOptions = {}): Promise<Tensor> {
    const { task } = this.#loss()
    return this.#predict(inputs, options, (output) => probabilitiesOf(output, task))
  }

  /**
   * Class numbers by the loss's task: the largest output, or 0 and 1 by threshold. One a sample of outputs [N, K] or [N, 1]; of more, a list a
   * sample: of the steps of [N, T, K], without those behind its length, where the inputs are one column with
   * `lengths` beside (`data.ragged`, texts), or of several yes or no, [N, M].
   *
   * ```ts
   * const tags: number[][] = await tagger.predictClasses(sequences)
   * ```
   */
  async predictClasses<Row = number>(inputs: PredictInputs, options: PredictOptions = {}): Promise<Row[]> {
    const { task } = this.#loss()
    return (await this.#overInputs(inputs, options, (given, prediction) => predictClassRows(given, prediction, task))) as Row[]
  }

  #predict(inputs: PredictInputs, options: PredictOptions, read: (output: Tensor) => Tensor): Promise<Tensor> {
    return this.#overInputs(inputs, options, (given, prediction) => predictAll(given, prediction, read))
  }

  /** Runs `body` on inputs whose texts have become ids. */
  async #overInputs<T>(inputs: PredictInputs, options: PredictOptions, body: (given: PredictInputs, prediction: Prediction) => Promise<T>): Promise<T> {
    const { vectorizer, autocast: precision } = this.#options
    const prediction = { model: this.model, options, precision }
    if (typeof inputs !== 'object' || inputs === null) return body(inputs, prediction)
    if (areTexts(inputs)) {
      const { given, dispose } = await encoded<PredictInputs>('predict', inputs, vectorizer)
      return body(given, prediction).finally(dispose)
    }
    const asked = options?.batchSize
    const { given, batchSize, dispose } = await encodedData('predict', inputs as TrainingData, vectorizer, asked)
    return body(given as PredictInputs, { ...prediction, options: batchSize === asked ? options : { ...options, batchSize: undefined } }).finally(dispose)
  }

  /**
   * Writes the model's weights as `model.save` does, and the vectorizer beside them, where the trainer has one: `model.load(path)` and
   * `TextVectorizer.load(path)` read them back. What resuming needs besides is in the checkpoints of `fit`.
   */
  async save(path: string, options: { metadata?: Record<string, string> } = {}): Promise<void> {
    const { metadata } = settle('save', options, { metadata: {} })
    await saveWithWords(this.model, path, this.#words().vectorizer, metadata)
  }

  /** The vectorizer as plain data, where it can be written down. */
  #words(): Record<string, unknown> {
    const { vectorizer } = this.#options
    return vectorizer?.toJSON === undefined ? {} : { vectorizer: vectorizer.toJSON() }
  }

  #loss(classWeights?: ClassWeights): ResolvedLoss {
    if (this.#options.loss === undefined)
      throw new ValueError("Trainer: no loss was given.\n  new Trainer(model, { loss: 'crossEntropy' }), for example.")
    return resolveLoss(this.#lossSettings(), classWeights)
  }

  #lossSettings(): Parameters<typeof resolveLoss>[0] {
    const { loss = '', task, fromLogits, lossOptions } = this.#options
    return { loss, task, fromLogits, lossOptions }
  }
}

/**
 * Runs one batch through a model whose lazy layers wait for their input's size, so that it has parameters to train. Gives the data back whole:
 * a stream that can be gone through once must not lose its first batch.
 */
async function materialise(model: nn.Module, source: TrainingData, asked: number | undefined): Promise<TrainingData> {
  if (!model.modules().some((module) => module.isLazy)) return source
  const { first, whole } = await peek(source)
  const ready = first instanceof data.DataLoader
  const batches = toBatches(first, { owner: 'fit', batchSize: asked === undefined || ready ? undefined : 1, usual: 1 })
  const place = batches.state()
  for await (const { inputs } of batches) {
    inference(model.modules(), () => void outputOf(model, inputs))
    break
  }
  batches.restore(place)
  return whole
}

/** Throws where no data came. */
function refuseMissing(what: string, source: unknown): void {
  if (source === undefined || source === null) throw new ValueError(`${what}: the data is missing, got ${String(source)}.\n  ${what}({ inputs: x, labels: y }), or with a data set, a loader or an iterable.`)
}

/** Throws where the data names one class alone, as a misread file of labels does: every model is right about it, and learns nothing. */
function refuseOneClass(classes: readonly string[] | undefined): void {
  if (classes?.length === 1) throw new ValueError(`fit: the data has one class only, '${classes[0]}': there is nothing to choose among.\n  Give samples of another, or look at how the labels were read.`)
}

/** Throws for labels beside the inputs, as Keras takes them. */
function refuseSecondSource(what: string, options: unknown): void {
  if (options instanceof Tensor || options instanceof data.Dataset || Array.isArray(options) || ArrayBuffer.isView(options))
    throw new ValueError(`${what}: takes inputs and labels as one argument.\n  ${what}({ inputs: x, labels: y }, { ... })`)
}

/** What a checkpoint should say of the data it was trained on, for whoever predicts with it. */
function describe(training: TrainingData): Record<string, unknown> {
  if (!(training instanceof data.Dataset)) return {}
  const { classes, normalisation, scale, inputShape } = training
  return { classes, normalisation, scale, inputShape }
}
