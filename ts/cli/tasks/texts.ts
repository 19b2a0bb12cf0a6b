// Texts in classes.
import { buffer } from 'node:stream/consumers'
import { CheckpointError, data, FileFormatError, Trainer, type train } from '../../index.js'
import { readText } from '../../data/text-file.js'
import { TextVectorizer } from '../../text/index.js'
import type { Bundle, Card } from '../bundle.js'
import { confusionMatrix, shorten, textPredictions } from '../panels.js'
import { UsageError } from '../usage.js'
import { accuracyChart, type ClassesTested, classTraining, drawn, instructive, sayClasses, testClasses, topOf } from './classes.js'
import { type Task, wholes } from './task.js'
import { loadTexts, type TextParts } from './text-sources.js'

/** What the data says of a model for texts. */
export interface TextConfig {
  /** Word ids, those of padding and the unknown among them. */
  vocabulary: number
  classes: number
}

const trainerOptions = ({ vectorizer }: Bundle): train.TrainerOptions => ({ ...classTraining, vectorizer })
const trainerOf = (bundle: Bundle): Trainer => new Trainer(bundle.model, trainerOptions(bundle))
const trainData = ({ texts, labels }: data.Texts, classes: readonly string[]) => ({ inputs: texts, labels: Int32Array.from(labels), classes })

export const texts: Task<TextParts, ClassesTested> = {
  name: 'texts',
  reads: 'texts',
  sources: 'imdb, mr, subj, cr, mpqa, trec6, sst2, sst5, a CSV, TSV or JSON lines file, or a folder of texts',
  example: () => '"A wonderful film."',
  options: { train: ['vocabulary', 'length', 'textColumn', 'labelColumn', 'delimiter'], evaluate: ['download', 'text-column', 'label-column', 'delimiter'], predict: ['top', 'file'] },
  charts: [accuracyChart],

  knows(card) {
    const { vocabulary, classes } = card.config as unknown as TextConfig
    return wholes(vocabulary, classes) && card.classes?.length === classes
  },

  load: (source, options) => loadTexts(source, options),

  async plan(parts, { model, data: source, validation, batchSize, vocabulary = 20_000, length = parts.usualLength, textColumn, labelColumn, delimiter }) {
    const { train, test, classes, name, noun } = parts
    // Of a long text the end is kept, where the verdict stands. A word that came once tells less than that there are unknown words.
    const vectorizer = await new TextVectorizer({
      maxTokens: vocabulary,
      minCount: parts.minCount,
      outputSequenceLength: length,
      truncation: 'left',
      standardize: parts.cleaning,
    }).adapt(train.texts)
    const card: Card = { task: 'texts', model, config: { vocabulary: vectorizer.vocabulary.size, classes: classes.length }, classes, data: source, reading: { vocabulary, length, textColumn, labelColumn, delimiter } }
    const held = parts.validation === undefined ? Math.round(validation * train.texts.length) : parts.validation.texts.length
    return {
      card,
      vectorizer,
      name,
      parts:
        `${train.texts.length - (parts.validation === undefined ? held : 0)} ${noun} to train, ${held} to validate, ${test.texts.length} to test; ` +
        `${vectorizer.vocabulary.size.toLocaleString('en')} words`,
      training: trainData(train, classes),
      fit: { batchSize, validation: parts.validation === undefined ? validation : trainData(parts.validation, classes) },
    }
  },

  trainer: trainerOptions,

  async test(bundle, { test, noun, classes }, { batchSize, signal } = {}) {
    const known = bundle.card.classes ?? []
    if (String(classes) !== String(known))
      throw new CheckpointError(`the data has the classes ${classes.join(', ')}; the model knows ${known.join(', ')}.\n  Give data of that kind.`)
    return testClasses(trainerOf(bundle), trainData(test, classes), { classes, samples: test.texts.length, noun, batchSize, signal })
  },

  async panels(bundle, { test, classes }, { confusion }) {
    const rows = drawn(test.texts.length)
    const shown = { texts: Array.from(rows, (row) => test.texts[row] as string), labels: Array.from(rows, (row) => test.labels[row] as number) }
    const output = await trainerOf(bundle).predictProbabilities(shown.texts)
    const guesses = instructive((await output.data()) as Float32Array, shown.labels, 16, 4)
    output.dispose()
    return [confusionMatrix(confusion, classes), textPredictions(guesses.map(({ index, ...guess }) => ({ text: shown.texts[index] as string, ...guess })), classes)]
  },

  async predict(bundle, inputs, values) {
    const lines = [...inputs, ...(typeof values.file === 'string' ? await linesOf(values.file) : [])]
    if (lines.length === 0)
      throw new UsageError('predict: which texts is missing: in quotes, one an argument, or --file FILE with a text a line, - for the standard input.', 'predict')
    topOf(values)
    const output = await trainerOf(bundle).predictProbabilities(lines)
    sayClasses('text', values.json === true ? lines : lines.map((line) => shorten(line.replace(/\s+/g, ' '), 80)), (await output.data()) as Float32Array, bundle.card.classes ?? [], values)
  },
}

/** The lines of a file that are not empty; of the standard input for '-'. */
async function linesOf(path: string): Promise<string[]> {
  const all = path === '-' ? await standardInput() : await readText('read', path)
  return all.split(/\r?\n/).filter((line) => line.trim() !== '')
}

async function standardInput(): Promise<string> {
  const bytes = await buffer(process.stdin)
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch (error) {
    throw new FileFormatError('predict: the standard input is not in utf-8.', { op: 'predict', cause: error })
  }
}
