import type { Dataset } from './dataset.js'

/** The two parts that image sets come in. `test` is for the end: take validation data from `train`, with `split` or `fit`'s option. */
export type TrainTest = {
  /** What to learn from. */
  train: Dataset
  /** What to judge by, in the end. */
  test: Dataset
}
