/** Training: the trainer, metrics, callbacks, checkpoints and safetensors files. */
export { Trainer, type EvaluateOptions } from './trainer.js'
export { type FitOptions, kerasWords, type OptimizerOption, type TrainerOptions } from './options.js'
export { type PredictInputs, type PredictOptions } from './predict.js'
export { type EpochLog, History } from './history.js'
export { type LossOption } from './loss.js'
export { type TrainingData } from './source.js'
export { type TextData, type Vectorizer } from './texts.js'
export { type ProgressStream, type Verbose } from './progress.js'
export * as metrics from './metrics/index.js'
export { Metric, type MetricValue, type Task } from './metrics/metric.js'
export * from './callbacks/index.js'
export {
  inspectSafetensors,
  loadSafetensors,
  type LoadSafetensorsOptions,
  type Safetensors,
  saveSafetensors,
  type SaveOptions,
} from './safetensors.js'
export { type FileSystem, writeDurably } from './durable.js'
