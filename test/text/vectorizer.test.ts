// Words and ids against Keras' TextVectorization (golden/make_text.py), and what is refused.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { IndexError, ValueError } from '../../ts/index.js'
import { cleanText, TextVectorizer, type Texts, type VectorizerOptions, Vocabulary } from '../../ts/text/index.js'

interface Golden {
  texts: string[]
  queries: string[]
  cases: { options: Record<string, unknown>; vocabulary: string[]; ids: number[][] }[]
}
const golden = JSON.parse(readFileSync(join(import.meta.dirname, '../golden/text.json'), 'utf8')) as Golden

/** Keras' options in ours. */
const STANDARDIZE: Record<string, object> = { lower: { punctuation: false }, strip_punctuation: { lower: false }, null: { lower: false, punctuation: false } }
function fromKeras(options: Record<string, unknown>): VectorizerOptions {
  const ours: Record<string, unknown> = {}
  if ('max_tokens' in options) ours['maxTokens'] = options['max_tokens']
  if ('output_sequence_length' in options) ours['outputSequenceLength'] = options['output_sequence_length']
  if ('standardize' in options) ours['standardize'] = STANDARDIZE[String(options['standardize'])]
  if ('split' in options) ours['split'] = options['split'] ?? 'none'
  return ours
}

async function plain(vectorizer: TextVectorizer, texts: Texts): Promise<{ ids: number[][]; lengths: number[] }> {
  const { ids, lengths } = await vectorizer.encode(texts)
  const [N, T] = ids.shape as [number, number]
  const flat = [...await ids.data()]
  const result = { ids: Array.from({ length: N }, (_, i) => flat.slice(i * T, (i + 1) * T)), lengths: [...await lengths.data()] }
  ids.dispose()
  lengths.dispose()
  return result
}

describe('as Keras', () => {
  for (const { options, vocabulary, ids } of golden.cases)
    it(JSON.stringify(options), async () => {
      const vectorizer = await new TextVectorizer(fromKeras(options)).adapt(golden.texts)
      expect(['', '[UNK]', ...vectorizer.vocabulary.words]).toEqual(vocabulary)
      // Without splitting Keras gives one id a text, without a second dimension.
      const expected = ids.map((row) => (Array.isArray(row) ? row : [row]))
      expect((await plain(vectorizer, golden.queries)).ids).toEqual(expected)
    })
})

describe('rows', () => {
  const words = ['a', 'b', 'c']
  const texts = ['a b c', '', 'C x']

  it('are padded and cut on the sides asked for, in fixed and in longest length', async () => {
    const of = (options: VectorizerOptions) => plain(new TextVectorizer({ vocabulary: words, ...options }), texts)
    expect(await of({})).toEqual({ ids: [[2, 3, 4], [0, 0, 0], [4, 1, 0]], lengths: [3, 0, 2] })
    // Behind padding on the left, too, models find the words.
    expect(await of({ padding: 'left' })).toEqual({ ids: [[2, 3, 4], [0, 0, 0], [0, 4, 1]], lengths: [3, 0, 3] })
    expect(await of({ outputSequenceLength: 2 })).toEqual({ ids: [[2, 3], [0, 0], [4, 1]], lengths: [2, 0, 2] })
    expect(await of({ outputSequenceLength: 2, truncation: 'left' })).toEqual({ ids: [[3, 4], [0, 0], [4, 1]], lengths: [2, 0, 2] })
    expect(await of({ outputSequenceLength: 4, padding: 'left' })).toEqual({ ids: [[0, 2, 3, 4], [0, 0, 0, 0], [0, 0, 4, 1]], lengths: [4, 0, 4] })
    expect(await new TextVectorizer({ vocabulary: words }).encodeRagged(texts)).toEqual([[2, 3, 4], [], [4, 1]].map((row) => Int32Array.from(row)))
  })

  it('are the same however the texts are cut into chunks, and from a stream', async () => {
    const many = Array.from({ length: 10_000 }, (_, i) => `w${i % 97} w${i % 7} ${'x'.repeat(i % 60)}`)
    async function* stream() { yield* many }
    const [whole, streamed] = [await new TextVectorizer().adapt(many), await new TextVectorizer().adapt(stream())]
    expect(streamed.vocabulary.words).toEqual(whole.vocabulary.words)
    const all = await whole.encodeRagged(many)
    expect(all.length).toBe(many.length)
    for (const i of [0, 4095, 4096, 8192, 9999]) expect([all[i]]).toEqual(await streamed.encodeRagged([many[i]!]))
    // Arrays are written where they stay, streams when all is read.
    for (const sides of [{}, { padding: 'left' }, { truncation: 'left' }] as const) {
      const fixed = new TextVectorizer({ outputSequenceLength: 2, vocabulary: whole.vocabulary, ...sides })
      const [fromArray, fromStream] = [await plain(fixed, many), await plain(fixed, stream())]
      expect(fromArray).toEqual(fromStream)
      const kept = (row: Int32Array): number[] => [...('truncation' in sides ? row.slice(-2) : row.slice(0, 2))]
      expect(fromArray.ids).toEqual(all.map(kept))
    }
  })

  it('of texts of a megabyte, one word or many, ASCII or not, among short ones', async () => {
    const texts = ['x'.repeat(1 << 20), 'ab '.repeat(1 << 19), 'short', 'é'.repeat(1 << 20), '😀字 '.repeat(1 << 18), '']
    const vectorizer = await new TextVectorizer().adapt(texts)
    expect(vectorizer.vocabulary.words.map((word) => [word.slice(0, 5), word.length])).toEqual([
      ['ab', 2], ['😀字', 3], ['ééééé', 1 << 20], ['xxxxx', 1 << 20], ['short', 5],
    ])
    const rows = await vectorizer.encodeRagged(texts)
    expect(rows.map((row) => [row.length, row[0]])).toEqual([[1, 5], [1 << 19, 2], [1, 6], [1, 4], [1 << 18, 3], [0, undefined]])
  })

  it('of nothing, and of empty texts', async () => {
    for (const texts of [[], ['', ' \n', '...']]) {
      const vectorizer = await new TextVectorizer().adapt(texts)
      expect(vectorizer.vocabulary.words).toEqual([])
      expect(await plain(vectorizer, texts)).toEqual({ ids: texts.map(() => []), lengths: texts.map(() => 0) })
      expect(await plain(new TextVectorizer({ outputSequenceLength: 2, vocabulary: [] }), texts)).toEqual({ ids: texts.map(() => [0, 0]), lengths: texts.map(() => 0) })
      expect(await vectorizer.encodeRagged(texts)).toEqual(texts.map(() => new Int32Array(0)))
      expect(await cleanText(texts)).toEqual(texts.map((text) => text.replaceAll('.', '')))
    }
  })

  it('of halves of surrogate pairs, which stand for U+FFFD and do not meet', async () => {
    const texts = ['\ud83d', '\ude00 a\ud83d\ude00', '\ud83d\ud83d']
    const vectorizer = await new TextVectorizer().adapt(texts)
    expect(vectorizer.vocabulary.words).toEqual(['\ufffd', '\ufffd\ufffd', 'a😀'])
    expect(await vectorizer.encodeRagged(texts)).toEqual([[2], [2, 4], [3]].map((row) => Int32Array.from(row)))
    // Words that texts cannot tell apart: the first of them is found, and the others keep their ids.
    const halves = new TextVectorizer({ vocabulary: ['\ud83d', '\ude00', 'a'], split: 'none' })
    expect((await plain(halves, ['😀', '\ufffd', 'a'])).ids).toEqual([[1], [2], [4]])
  })

  it('leave the event loop free', async () => {
    let turns = 0
    const timer = setInterval(() => turns++, 1)
    await new TextVectorizer().adapt(Array.from({ length: 60_000 }, (_, i) => `some words number ${i} `.repeat(20)))
    clearInterval(timer)
    expect(turns).toBeGreaterThan(3)
  })
})

it('frequency cut', async () => {
  const vectorizer = await new TextVectorizer({ minCount: 2 }).adapt(['a a b', 'b c'])
  expect(vectorizer.vocabulary.words).toEqual(['b', 'a'])
})

it('a function of the user', async () => {
  const vectorizer = await new TextVectorizer({ standardize: (text) => text.replaceAll('-', ' ') }).adapt(['A-B', 'A'])
  expect(vectorizer.vocabulary.words).toEqual(['A', 'B'])
  expect(await plain(vectorizer, ['B-A'])).toEqual({ ids: [[3, 2]], lengths: [2] })
  expect(() => vectorizer.toJSON()).toThrow(/standardize is a function, which cannot be saved/)
})

it('saved and read again', async () => {
  const vectorizer = await new TextVectorizer({ maxTokens: 20, outputSequenceLength: 5, standardize: { html: true }, padding: 'left' }).adapt(golden.texts)
  const again = TextVectorizer.fromJSON(JSON.parse(JSON.stringify(vectorizer)))
  expect(await plain(again, golden.queries)).toEqual(await plain(vectorizer, golden.queries))
  expect(() => TextVectorizer.fromJSON({} as never)).toThrow(ValueError)
  const named = new TextVectorizer({ vocabulary: new Vocabulary(['a'], { padToken: '<pad>', oovToken: '<unk>' }) })
  expect(TextVectorizer.fromJSON(JSON.parse(JSON.stringify(named))).vocabulary.tokens).toEqual({ padToken: '<pad>', oovToken: '<unk>' })
})

it('cleanText', async () => {
  expect(await cleanText(['Good<br />FILM, &amp; it’s', 'ÀÉ', ''])).toEqual(['goodbr film amp it’s', 'àé', ''])
  expect(await cleanText(['Good<br />FILM &lt;3'], { html: true })).toEqual(['good film 3'])
  expect(await cleanText(['e\u0301', 'ﬁ'], { normalize: 'NFKC' })).toEqual(['é', 'fi'])
  expect(await cleanText(['A\ud800'], { lower: false })).toEqual(['A\ufffd'])
  for (const form of ['NFC', 'NFD', 'NFKC', 'NFKD'] as const) {
    const texts = ['Ångström ﬃ ², 각 ½', 'plain']
    expect(await cleanText(texts, { normalize: form, lower: false, punctuation: false })).toEqual(texts.map((text) => text.normalize(form)))
  }
})

it('Vocabulary', () => {
  const vocabulary = new Vocabulary(['the', 'cat'])
  expect([vocabulary.size, vocabulary.idOf('cat'), vocabulary.idOf('dog'), vocabulary.wordOf(2)]).toEqual([4, 3, 1, 'the'])
  expect(vocabulary.decode([2, 3, 1, 0, 0])).toBe('the cat [UNK]')
  for (const id of [4, -1, 1.5]) expect(() => vocabulary.wordOf(id)).toThrow(IndexError)
  expect(() => new Vocabulary(['a', 'b', 'a'])).toThrow('Vocabulary: "a" is there twice, as word 0 and 2.')
})

describe("a list of words as Keras' get_vocabulary() gives it", () => {
  it('keeps its ids', async () => {
    for (const vocabulary of [['', '[UNK]', 'a', 'b'], ['a', 'b']]) {
      const vectorizer = new TextVectorizer({ vocabulary, maxTokens: 4 })
      expect([vectorizer.vocabulary.words, vectorizer.vocabulary.size]).toEqual([['a', 'b'], 4])
      expect((await plain(vectorizer, ['a x', 'b'])).ids).toEqual([[2, 1], [3, 0]])
    }
    for (const { options, vocabulary, ids } of golden.cases.filter(({ options }) => options['split'] === undefined))
      expect((await plain(new TextVectorizer({ ...fromKeras(options), vocabulary }), golden.queries)).ids).toEqual(ids)
    expect(new Vocabulary(['<pad>', '<unk>', 'a'], { padToken: '<pad>', oovToken: '<unk>' }).idOf('a')).toBe(2)
    // Words that were counted are words, whatever they look like.
    const odd = await new TextVectorizer({ standardize: { punctuation: false, lower: false } }).adapt(['[UNK] [UNK] a'])
    expect([odd.vocabulary.words, TextVectorizer.fromJSON(odd.toJSON()).vocabulary.words]).toEqual([['[UNK]', 'a'], ['[UNK]', 'a']])
  })

  it('is refused where it is longer than maxTokens, or has padding elsewhere', () => {
    for (const vocabulary of [['a', 'b', 'c'], ['', '[UNK]', 'a', 'b', 'c'], new Vocabulary(['a', 'b', 'c'])])
      expect(() => new TextVectorizer({ maxTokens: 3, vocabulary })).toThrow('TextVectorizer: the vocabulary has 5 ids, those of padding and the unknown among them; maxTokens is 3.')
    expect(() => new Vocabulary(['', 'a'])).toThrow('Vocabulary: word 0 is "", which padding is written as.')
    expect(() => new TextVectorizer({ vocabulary: ['', '[UNK]', 'a', ''] })).toThrow(ValueError)
  })
})

it("whitespace of all scripts separates words, which Keras' does not", async () => {
  const vectorizer = await new TextVectorizer().adapt(['a\u00a0b\u0085c\u3000d'])
  expect([...vectorizer.vocabulary.words].sort()).toEqual(['a', 'b', 'c', 'd'])
})

describe('refused', () => {
  it('rows that are no strings, by their number', async () => {
    const wrong = ['a', 'b', undefined] as unknown as string[]
    await expect(cleanText(wrong)).rejects.toThrow(/^cleanText: row 2 must be a string/)
    await expect(new TextVectorizer().adapt(wrong)).rejects.toThrow(ValueError)
    await expect(new TextVectorizer({ vocabulary: ['a'] }).encode('a text' as never)).rejects.toThrow('Put a single text into an array: [text].')
  })

  it('rows of every kind that is no string, wherever texts are taken, also behind many and from a stream', async () => {
    const many: unknown[] = Array.from({ length: 9000 }, () => 'some words in a row '.repeat(10))
    const vectorizer = new TextVectorizer({ vocabulary: ['some'] })
    const takers: [string, (texts: never) => Promise<unknown>][] = [
      ['cleanText', (texts) => cleanText(texts)], ['TextVectorizer.adapt', (texts) => new TextVectorizer().adapt(texts)],
      ['TextVectorizer.encode', (texts) => vectorizer.encode(texts)], ['TextVectorizer.encodeRagged', (texts) => vectorizer.encodeRagged(texts)],
    ]
    for (const [op, take] of takers) {
      for (const [wrong, kind] of [[null, 'null'], [7, '7'], [undefined, 'undefined'], [['a'], 'array'], [{}, 'Object'], [new String('a'), 'String'], [Symbol('a'), 'Symbol(a)']] as const) {
        const error = await take(['a', wrong, 'b'] as never).then(() => null, (reason: unknown) => reason)
        expect(error, op).toBeInstanceOf(ValueError)
        expect((error as Error).message).toBe(`${op}: row 1 must be a string, got ${kind}.\n  Write String(value), or leave the row out.`)
      }
      async function* stream() { yield* [...many, 3] }
      await expect(take(stream() as never)).rejects.toThrow(`${op}: row 9000 must be a string, got 3.`)
      for (const wrong of [null, undefined, 3, 'a text', {}]) await expect(take(wrong as never)).rejects.toThrow(`${op}: takes an array or another iterable of strings`)
    }
    const fixed = new TextVectorizer({ vocabulary: ['some'], outputSequenceLength: 3 })
    await expect(fixed.encode([...many, null] as never)).rejects.toThrow('TextVectorizer.encode: row 9000 must be a string, got null.')
    const broken = async function* () { yield 'a'; throw new RangeError('the stream broke') }
    await expect(vectorizer.encode(broken())).rejects.toThrow('the stream broke')
    expect((await vectorizer.encodeRagged(['some']))[0]).toEqual(Int32Array.of(2))
  })

  it('what a function of the user gives instead of a string, and what it throws', async () => {
    const of = (standardize: unknown) => new TextVectorizer({ standardize: standardize as () => string }).adapt(['a', 'b'])
    await expect(of((text: string) => (text === 'b' ? 3 : text))).rejects.toThrow('TextVectorizer.adapt: standardize must give a string, got 3 for row 1.')
    await expect(of(() => { throw new RangeError('mine') })).rejects.toThrow('mine')
  })

  it('words that are no strings', () => {
    expect(() => new TextVectorizer({ vocabulary: ['a', 3] as never })).toThrow('Vocabulary: word 1 must be a string, got 3.')
    for (const wrong of ['words', 3, null, {}]) expect(() => new Vocabulary(wrong as never), String(wrong)).toThrow(/^Vocabulary: takes a list of words, got /)
  })

  it('use before adapt', async () => {
    await expect(new TextVectorizer().encode(['a'])).rejects.toThrow(/has no vocabulary yet/)
  })

  it('options that make no sense', async () => {
    const cases: [object, string][] = [
      [{ maxTokens: 2 }, 'maxTokens must be a whole number from 3'], [{ minCount: 0.5 }, 'minCount must be a whole number from 1'],
      [{ split: 'words' }, 'split is one of whitespace, character, none'], [{ outputSequenceLength: 0 }, 'outputSequenceLength must be'],
      [{ padding: 'post' }, 'padding is one of left, right'], [{ standardise: {} }, "Did you mean 'standardize'?"],
      [{ standardize: { htlm: true } }, "Did you mean 'html'?"], [{ standardize: { normalize: 'NFX' } }, 'normalize is one of NFC'],
    ]
    for (const [options, message] of cases) expect(() => new TextVectorizer(options), message).toThrow(message)
    await expect(cleanText(['a'], { lower: 1 } as never)).rejects.toThrow('lower must be true or false')
  })
})
