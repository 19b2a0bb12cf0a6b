import { expect, it } from 'vitest'
import { data, IndexError, manualSeed, models, noGrad, optim, tensor, type Tensor, Trainer, ValueError } from '../../ts/index.js'
import { hashes } from '../golden/formula.js'

const ids = (rows: number[][]): Tensor => tensor(rows, { dtype: 'int32' })
const [START, END, LONGEST] = [1, 2, 6]

/** Strings of 2 to 6 of the tokens 3 to 8, and themselves from their ends: inputs, labels, and what is to come. */
function reversals(stream: number, rows: number): { inputs: { source: Tensor; lengths: Tensor; target: Tensor }; labels: Tensor; reversed: number[][] } {
  const drawn = hashes(stream, rows * (LONGEST + 1))
  const strings = Array.from({ length: rows }, (_, n) => {
    const own = [...drawn.subarray(n * (LONGEST + 1), (n + 1) * (LONGEST + 1))]
    return own.slice(0, 2 + (own[LONGEST]! % (LONGEST - 1))).map((h) => 3 + (h % 6))
  })
  const reversed = strings.map((string) => string.toReversed())
  const padded = (row: number[], width: number, by: number): number[] => [...row, ...Array.from({ length: width - row.length }, () => by)]
  return {
    inputs: {
      source: ids(strings.map((row) => padded(row, LONGEST, 0))), lengths: tensor(Int32Array.from(strings, ({ length }) => length)),
      target: ids(reversed.map((row) => padded([START, ...row], LONGEST + 1, 0))),
    },
    labels: ids(reversed.map((row) => padded([...row, END], LONGEST + 1, -100))), reversed,
  }
}

it.each([['gru', 'general'], ['lstm', 'dot'], ['gru', 'additive']] as const)('learns to turn strings around: %s, %s', async (cell, score) => {
  manualSeed(1)
  const model = models.seq2seq({ sourceVocabulary: 9, targetVocabulary: 9, embedding: 16, hidden: 32, cell, score })
  const [learn, check] = [reversals(1, 1500), reversals(2, 100)]
  const trainer = new Trainer(model, { optimizer: new optim.Adam(model.parameters(), { lr: 0.01 }), loss: 'crossEntropy' })
  await trainer.fit({ inputs: learn.inputs, labels: learn.labels }, { epochs: 12, batchSize: 50, clipNorm: 5, schedule: optim.cosineWarmup(0.1), verbose: false })
  const { source, lengths } = check.inputs
  const decoded = await model.decode(source, { lengths, maxLength: 10 })
  const right = decoded.filter((row, n) => row.join() === check.reversed[n]!.join()).length
  expect(right).toBeGreaterThanOrEqual(90)
  // A row does not depend on what it is decoded with.
  expect(await model.decode(source.slice(0, 0, 1), { lengths: lengths.slice(0, 0, 1) })).toEqual(decoded.slice(0, 1))
}, 60_000)

it('a source without tokens changes nothing for the others', async () => {
  const model = models.seq2seq({ sourceVocabulary: 9, targetVocabulary: 9, embedding: 4, hidden: 4 })
  const lengths = tensor(Int32Array.of(0, 2))
  const logits = (await model.forward({ source: ids([[0, 0], [3, 4]]), lengths, target: ids([[1], [1]]) }).data()) as Float32Array
  expect([...logits].every(Number.isFinite)).toBe(true)
  const alone = (await model.forward({ source: ids([[3, 4]]), target: ids([[1]]) }).data()) as Float32Array
  alone.forEach((v, i) => expect(logits[9 + i]).toBeCloseTo(v, 6))
  await expect(model.decode([[3, 4]] as never)).rejects.toThrow(/^decode: source must be a tensor/)
})

it('reads the lengths of two columns of unequal rows, and of either', async () => {
  const model = models.seq2seq({ sourceVocabulary: 9, targetVocabulary: 9, embedding: 4, hidden: 4 })
  const ragged = (rows: number[][]): data.Ragged => data.ragged(rows, { dtype: 'int32' })
  const logits = async (inputs: data.DatasetSource['inputs']): Promise<number[][][]> => (await model.forward(data.dataset({ inputs, labels: [0, 0] }).inputs).tolist()) as number[][][]
  const alone = (await model.forward({ source: ids([[3]]), target: ids([[1, 5]]) }).tolist()) as number[][][]
  const same = (found: number[][]): void => alone[0]!.flat().forEach((v, i) => expect(found.flat()[i]).toBeCloseTo(v, 6))
  same((await logits({ source: ragged([[4, 5, 6], [3]]), target: ragged([[1], [1, 5]]) }))[1]!)
  same((await logits({ source: ragged([[4, 5, 6], [3]]), target: ids([[1, 7], [1, 5]]) }))[1]!)
  // A target's lengths are not taken for the source's.
  const fixed = tensor([[4, 5, 6], [3, 3, 3]], { dtype: 'int32' })
  expect(await logits({ source: fixed, target: ragged([[1], [1, 5]]) })).toEqual(await model.forward({ source: fixed, target: ids([[1, 0], [1, 5]]) }).tolist())
})

it('refuses other inputs than it reads', () => {
  const model = models.seq2seq({ sourceVocabulary: 9, targetVocabulary: 9, embedding: 4, hidden: 4 })
  const [source, target, lengths] = [ids([[3, 4]]), ids([[1]]), tensor(Int32Array.of(1))]
  expect(() => model.forward({ source, target, sourceLength: lengths } as never)).toThrow(/^seq2seq: there is no input 'sourceLength'\. Did you mean 'sourceLengths'\?/)
  expect(() => model.forward({ source, target, lengths, sourceLengths: lengths })).toThrow(/^seq2seq: lengths and sourceLengths are the same thing/)
  expect(() => model.forward({ source } as never)).toThrow('seq2seq: target must be a tensor, got undefined')
  expect(() => model.forward(source as never)).toThrow('seq2seq: takes { source, target, sourceLengths, lengths, targetLengths }, each a tensor; got Tensor [1, 2].')
})

it('ends at maxLength where no end comes', async () => {
  const model = models.seq2seq({ sourceVocabulary: 9, targetVocabulary: 9, embedding: 4, hidden: 4 })
  noGrad(() => model.head.bias!.assign_(tensor([0, 0, -100, 100, 0, 0, 0, 0, 0])))
  expect(await model.decode(ids([[3, 4], [5, 6]]), { maxLength: 3 })).toEqual([[3, 3, 3], [3, 3, 3]])
})

it.each<[models.Seq2SeqOptions, typeof ValueError, RegExp]>([
  [{ hidden: 0 }, ValueError, /hidden must be a positive integer/],
  [{ cell: 'rnn' as 'gru' }, ValueError, /cell is 'gru' or 'lstm', got 'rnn'/],
  [{ score: 'cosine' as 'dot' }, ValueError, /score is 'dot', 'general' or 'additive', got 'cosine'/],
  [{ targetVocabulary: 5, end: 5 }, IndexError, /end 5 is none of the 5 tokens/],
])('refuses %o', (options, type, message) => {
  expect(() => models.seq2seq(options)).toThrow(type)
  expect(() => models.seq2seq(options)).toThrow(message)
})
