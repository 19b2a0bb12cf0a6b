// How good a trained model is on test data.
import { type data, type nn, train, Trainer } from '../index.js'

/** Figures on a part of the data. */
export interface Measured {
  loss: number
  accuracy: number
  /** Row i, column j: how many of class i were taken for j. */
  confusion: number[][]
  samples: number
}

/** A trainer of the commands' kind. */
export function trainerFor(model: nn.Module, options: Partial<train.TrainerOptions> = {}): Trainer {
  return new Trainer(model, { loss: 'crossEntropy', metrics: ['accuracy'], ...options })
}

/** Loss, accuracy and confusion matrix of a model on `part`. @throws CancelledError when `signal` aborts */
export async function measure(model: nn.Module, part: data.Dataset, batchSize = 256, signal?: AbortSignal): Promise<Measured> {
  const { loss, accuracy, confusionMatrix } = await trainerFor(model).evaluate(part, {
    batchSize,
    metrics: ['accuracy', new train.metrics.ConfusionMatrix()],
    ...(signal === undefined ? {} : { signal }),
  })
  return { loss, accuracy: accuracy as number, confusion: confusionMatrix as number[][], samples: part.length }
}

/** Each class's share of right answers; NaN for a class that does not occur. */
export function accuracyByClass(confusion: readonly (readonly number[])[]): number[] {
  return confusion.map((row, i) => (row[i] ?? 0) / row.reduce((sum, count) => sum + count, 0))
}
