// The characters of a text, each told from those before it.
import { basename } from 'node:path'
import { data, type models, tensor, Trainer, type train, ValueError } from '../../index.js'
import { readText } from '../../data/text-file.js'
import type { Bundle, Card } from '../bundle.js'
import { say } from '../console.js'
import { isFile, unknownSource } from '../files.js'
import { writtenText } from '../panels.js'
import { number, type Values } from '../usage.js'
import { type Task, wholes } from './task.js'

/** A text to train on and one to test on. */
interface Text {
  name: string
  train: string
  test: string
}

const lettersOf = ({ classes = [] }: Card): readonly string[] => classes
const lengthOf = ({ reading }: Card): number => reading?.length as number
const trainerOptions: train.TrainerOptions = { loss: 'crossEntropy', metrics: ['accuracy'] }

export const characters: Task<Text> = {
  name: 'characters',
  reads: 'characters of a text',
  sources: 'tinyshakespeare or a text file',
  example: (card) => ([...'ROMEO:'].every((letter) => lettersOf(card).includes(letter)) ? '"ROMEO:"' : 'TEXT'),
  options: { train: ['length'], evaluate: [], predict: ['length', 'temperature', 'seed'] },
  charts: [{ title: 'Characters foretold right by epoch', figure: 'accuracy', percent: true }],

  knows(card) {
    return wholes(card.config.vocabulary, lengthOf(card)) && card.config.vocabulary === lettersOf(card).length
  },

  async load(source) {
    if (source === 'tinyshakespeare') {
      const { train, validation } = await data.tinyShakespeare()
      return { name: 'tiny Shakespeare', train, test: validation }
    }
    if (!(await isFile(source))) throw await unknownSource(source, 'characters', 'a text file')
    const text = [...(await readText('read', source))]
    const cut = Math.floor(0.9 * text.length)
    return { name: basename(source), train: text.slice(0, cut).join(''), test: text.slice(cut).join('') }
  },

  async plan({ name, train, test }, { model, data: source, validation, batchSize, length = 100 }) {
    const letters = [...new Set(train + test)].sort()
    const rows = windowsOf(train, letters, length, source)
    // The last windows are held out: those beside a window that is trained on are too much like it.
    const count = rows.length - Math.round(validation * rows.length)
    const part = (from: number, to: number): data.Dataset => rows.subset(Array.from({ length: to - from }, (_, i) => from + i))
    const card: Card = { task: 'characters', model, config: { vocabulary: letters.length }, classes: letters, data: source, reading: { length } }
    windowsOf(test, letters, length, source)
    return {
      card,
      name,
      parts: `${size(count * length)} characters to train, ${size((rows.length - count) * length)} to validate, ${size([...test].length)} to test, ${letters.length} different ones`,
      training: part(0, count),
      fit: { batchSize, clipNorm: 5, ...(count === rows.length ? {} : { validation: part(count, rows.length) }) },
    }
  },

  trainer: () => trainerOptions,

  async test({ model, card }, { test, name }, { batchSize = 64, signal } = {}) {
    const rows = windowsOf(test, lettersOf(card), lengthOf(card), name)
    const { loss, accuracy } = await new Trainer(model, trainerOptions).evaluate(rows, { batchSize, ...(signal === undefined ? {} : { signal }) })
    const bits = loss / Math.LN2
    const read = rows.length * lengthOf(card)
    return {
      headline: `bits per character ${bits.toFixed(3)}`,
      rest: `loss ${loss.toFixed(4)}, perplexity ${Math.exp(loss).toFixed(2)} on ${size(read)} characters`,
      rows: [],
      figures: { bitsPerCharacter: bits, perplexity: Math.exp(loss), loss, accuracy, characters: read },
    }
  },

  async panels(bundle, { test }) {
    const prompt = test.slice(0, test.indexOf('\n') + 1 || 20)
    return Promise.all(
      [0.5, 0.8].map(async (temperature) => {
        const written = (await collected(stream(bundle, prompt, { length: 500, temperature, seed: 0 }))).join('')
        return writtenText(`Written at a temperature of ${temperature}`, prompt, written)
      }),
    )
  },

  async predict(bundle, prompts, values) {
    const options = generateOptions(values)
    const letters = lettersOf(bundle.card)
    for (const prompt of prompts.length > 0 ? prompts : [letters.includes('\n') ? '\n' : (letters[0] as string)]) {
      if (values.json === true) {
        say(JSON.stringify({ prompt, text: (await collected(stream(bundle, prompt, options))).join('') }))
        continue
      }
      // What is wrong with the prompt is said instead of it.
      idsOf(prompt, letters, 'the prompt')
      process.stdout.write(prompt)
      for await (const letter of stream(bundle, prompt, options)) process.stdout.write(letter)
      process.stdout.write('\n')
    }
  },
}

function generateOptions(values: Values): models.GenerateOptions {
  const length = number('predict', values, 'length', 200, { whole: true, min: 1 })
  const temperature = number('predict', values, 'temperature', 0.8, { min: 0, why: '0 takes the likeliest character, 1 draws each as often as the model expects it' })
  return { length, temperature, ...(values.seed === undefined ? {} : { seed: number('predict', values, 'seed', 0, { whole: true, min: 0 }) }) }
}

/** Characters that go on from `prompt`. @throws ValueError for a character that the model does not know */
async function* stream({ model, card }: Bundle, prompt: string, options: models.GenerateOptions): AsyncGenerator<string, void, undefined> {
  const letters = lettersOf(card)
  for await (const id of (model as models.CharRnn).stream(idsOf(prompt, letters, 'the prompt'), options)) yield letters[id] as string
}

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

/** Rows of `length` characters, and of those that follow each. @throws ValueError for a text too short for one row, or a character that is not known */
function windowsOf(text: string, letters: readonly string[], length: number, source: string): data.Dataset {
  const ids = idsOf(text, letters, source)
  const count = Math.floor((ids.length - 1) / length)
  if (count < 1) throw new ValueError(`--data: of ${source} a part has ${ids.length} characters, of which no row of ${length} can be cut.\n  Give a longer text, or a smaller --length.`)
  const cut = (shift: number): Int32Array => ids.slice(shift, shift + count * length)
  return data.dataset({ inputs: tensor(cut(0), { shape: [count, length] }), labels: tensor(cut(1), { shape: [count, length] }) })
}

function idsOf(text: string, letters: readonly string[], where: string): Int32Array {
  const numbers = new Map(letters.map((letter, i) => [letter, i]))
  return Int32Array.from([...text], (letter) => {
    const id = numbers.get(letter)
    if (id === undefined) throw new ValueError(`${JSON.stringify(letter)} in ${where} is no character of the text that the model was trained on.\n  It knows ${letters.join('').trim()}`)
    return id
  })
}

const size = (count: number): string => count.toLocaleString('en')
