// What all tasks with classes share: figures on test data, and the likeliest classes of a row.
import { train, type Trainer } from '../../index.js'
import { range, seeded, shuffle } from '../../data/random.js'
import { percent, say, table } from '../console.js'
import type { Values } from '../usage.js'
import { number } from '../usage.js'
import type { Tested } from './task.js'

/** Loss and metrics of a task with classes. */
export const classTraining: train.TrainerOptions = { loss: 'crossEntropy', metrics: ['accuracy'] }

/** A chart of every task with classes. */
export const accuracyChart = { title: 'Accuracy by epoch', figure: 'accuracy', percent: true }

/** Figures on a part of the data. */
export interface ClassesTested extends Tested {
  figures: { accuracy: number; loss: number; samples: number; classes: Readonly<Record<string, number | null>> }
  /** Row i, column j: how many of class i were taken for j. */
  confusion: number[][]
}

/** What is measured, and what its samples are called. */
export interface ClassesPart {
  classes: readonly string[]
  samples: number
  noun: string
  batchSize?: number | undefined
  signal?: AbortSignal | undefined
}

/** Loss, accuracy and confusion matrix. @throws CancelledError when `signal` aborts */
export async function testClasses(
  trainer: Trainer,
  part: Parameters<Trainer['evaluate']>[0],
  { classes, samples, noun, batchSize = 256, signal }: ClassesPart,
): Promise<ClassesTested> {
  const { loss, accuracy, confusionMatrix } = await trainer.evaluate(part, {
    batchSize,
    metrics: ['accuracy', new train.metrics.ConfusionMatrix()],
    ...(signal === undefined ? {} : { signal }),
  })
  const confusion = confusionMatrix as number[][]
  const byClass = accuracyByClass(confusion)
  return {
    headline: `accuracy ${percent(accuracy as number)}`,
    rest: `loss ${loss.toFixed(4)} on ${samples} ${noun}`,
    rows: classes.map((name, i) => [`  ${name}`, percent(byClass[i] ?? NaN)]),
    figures: {
      accuracy: accuracy as number,
      loss,
      samples,
      classes: Object.fromEntries(classes.map((name, i) => [name, Number.isFinite(byClass[i]) ? (byClass[i] as number) : null])),
    },
    confusion,
  }
}

/** Each class's share of right answers; NaN for a class that does not occur. */
function accuracyByClass(confusion: readonly (readonly number[])[]): number[] {
  return confusion.map((row, i) => (row[i] ?? 0) / row.reduce((sum, count) => sum + count, 0))
}

/** A row's likeliest class against the true one. */
export interface Guess {
  index: number
  truth: number
  predicted: number
  /** Of the predicted class. */
  probability: number
}

/** The numbers of 400 rows at most, drawn from all: the first ones are often of one class. */
export function drawn(length: number): Int32Array {
  return shuffle(range(length), seeded(0)).subarray(0, 400)
}

/** What a report may show: the first `shown` rows, but up to `mistakes` wrongly predicted ones among them, for these teach most. */
export function instructive(probabilities: Float32Array, truths: ArrayLike<number | bigint>, shown: number, mistakes: number): Guess[] {
  const classes = probabilities.length / truths.length
  const guesses = Array.from({ length: truths.length }, (_, i): Guess => {
    const row = probabilities.subarray(i * classes, (i + 1) * classes)
    const predicted = row.indexOf(row.reduce((a, b) => Math.max(a, b)))
    return { index: i, truth: Number(truths[i]), predicted, probability: row[predicted] as number }
  })
  const wrong = guesses.filter(({ truth, predicted }) => truth !== predicted).slice(0, mistakes)
  const right = guesses.filter(({ truth, predicted }) => truth === predicted).slice(0, shown - wrong.length)
  return [...right, ...wrong].sort((a, b) => a.index - b.index)
}

/** Writes the likeliest classes of each row: a table of `names`, or with --json an object a line, with the row's name as `key`. */
export function sayClasses(key: string, names: readonly string[], probabilities: Float32Array, classes: readonly string[], values: Values): void {
  const top = topOf(values)
  const rows = names.map((name, i) => {
    const guesses = classes.map((label, j) => ({ class: label, probability: probabilities[i * classes.length + j] as number }))
    return { name, guesses: guesses.sort((a, b) => b.probability - a.probability).slice(0, top) }
  })
  if (values.json === true) for (const { name, guesses } of rows) say(JSON.stringify({ [key]: name, ...guesses[0], classes: guesses }))
  else say(table(rows.map(({ name, guesses }) => [name, ...guesses.flatMap((guess) => [guess.class, percent(guess.probability)])])))
}

/** --top. @throws UsageError */
export function topOf(values: Values): number {
  return number('predict', values, 'top', 1, { whole: true, min: 1 })
}
