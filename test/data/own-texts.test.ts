// Texts and series from the user's own files.
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { data, FileError, FileFormatError, models, Trainer, ValueError } from '../../ts/index.js'
import { TextVectorizer } from '../../ts/text/index.js'

const folder = await mkdtemp(join(tmpdir(), 'ferrograd-own-'))
afterAll(() => rm(folder, { recursive: true }))
const write = async (name: string, text: string | Uint8Array): Promise<string> => {
  const path = join(folder, name)
  await writeFile(path, name.endsWith('.gz') ? gzipSync(text) : text)
  return path
}

describe('readTexts', () => {
  const expected = { texts: ['Good, "very" good', 'two\nlines', ''], labels: [1, 0, 1], classes: ['bad', 'good'] }

  it('reads CSV with quotes, line breaks and a byte order mark, tabs, and JSON lines, packed or not', async () => {
    const csv = '\uFEFFid,text,label\r\n1,"Good, ""very"" good",good\r\n2,"two\nlines",bad\r\n\r\n3,,good\r\n'
    expect(await data.readTexts(await write('a.csv', csv))).toEqual(expected)
    expect(await data.readTexts(await write('a.csv.gz', csv))).toEqual(expected)
    expect(await data.readTexts(await write('b.csv', 'good;Nice\nbad;Not\n'), { delimiter: ';', header: false, text: 1, label: 0 })).toEqual({ texts: ['Nice', 'Not'], labels: [1, 0], classes: ['bad', 'good'] })
    expect(await data.readTexts(await write('c.tsv', 'review\tstars\nfine\t10\npoor\t2\n'), { text: 'review', label: 'stars' })).toEqual({ texts: ['fine', 'poor'], labels: [1, 0], classes: ['2', '10'] })
    const lines = '{"text":"Good, \\"very\\" good","label":"good"}\n{"text":"two\\nlines","label":"bad"}\n\n{"text":"","label":"good"}'
    expect(await data.readTexts(await write('d.jsonl', lines))).toEqual(expected)
    expect(await data.readTexts(await write('e.csv', Buffer.from('text,label\ncaf\xe9,1\n', 'latin1')), { encoding: 'windows-1252' })).toEqual({ texts: ['café'], labels: [0], classes: ['1'] })
    expect(await data.readTexts(await write('f.csv', 'text\na\nb\n'), { label: null })).toEqual({ texts: ['a', 'b'], labels: [], classes: [] })
  })

  it('takes quotes as letters where it is told to, and other quotes', async () => {
    const glue = await write('glue.tsv', 'sentence\tlabel\n"too good\t1\nthe 5" screen, "fine"\t0\n')
    await expect(data.readTexts(glue, { text: 'sentence' })).rejects.toThrow(/Where quotes are letters like others, say quote: false\./)
    for (const quote of [false, null] as const)
      expect(await data.readTexts(glue, { text: 'sentence', quote })).toEqual({ texts: ['"too good', 'the 5" screen, "fine"'], labels: [1, 0], classes: ['0', '1'] })
    const single = await write('single.csv', "text,label\n'it''s, good',1\n5\",0\n")
    expect((await data.readTexts(single, { quote: "'" })).texts).toEqual(["it's, good", '5"'])
    expect(await data.csvSeries(await write('inch.csv', 'name,y\n5",1\n7",2\n'), { quote: false })).toEqual([1, 2])
    for (const quote of ['', '""', '\n', true]) await expect(data.readTexts(glue, { quote: quote as string })).rejects.toThrow(/quote is one letter such as '"', or false for none/)
    await expect(data.readTexts(glue, { quote: ';', delimiter: ';' })).rejects.toThrow(ValueError)
  })

  it('reads a folder with a sub-folder a class', async () => {
    for (const name of ['neg', 'pos']) await mkdir(join(folder, 'films', name), { recursive: true })
    await write('films/pos/1.txt', 'fine')
    await write('films/neg/1.txt', 'dull')
    await write('films/neg/0.txt', 'poor')
    expect(await data.readTexts(join(folder, 'films'))).toEqual({ texts: ['poor', 'dull', 'fine'], labels: [0, 0, 1], classes: ['neg', 'pos'] })
    await write('films/pos/2.txt', Buffer.from('fine\ncaf\xe9', 'latin1'))
    await expect(data.readTexts(join(folder, 'films'))).rejects.toThrow(/line 2 of .*2\.txt is not in utf-8/)
    expect((await data.readTexts(join(folder, 'films'), { encoding: 'windows-1252' })).texts.at(-1)).toBe('fine\ncafé')
  })

  it.each<[name: string, text: string | Uint8Array, message: RegExp]>([
    ['open.csv', 'text,label\n"good,1\nbad,0\n', /row 1 \(line \d+\) of .*open\.csv has a quote that nothing closes/],
    ['within.csv', 'text,label\nfine,1\ngo"od,1\n', /row 2 .*has a quote within a field/],
    ['behind.csv', 'text,label\n"good"x,1\n', /row 1 .*has letters behind a closing quote/],
    ['ragged.csv', 'text,label\ngood,1\nbad\n', /row 2 .*has more or fewer fields than the first row/],
    ['nolabel.csv', 'text,label\ngood,1\nbad,\n', /row 2 \(line 3\) of .*nolabel\.csv has no label/],
    ['column.csv', 'txet,label\ngood,1\n', /column\.csv has no column "text"\. Did you mean 'txet'\?\n {2}There are txet, label\./],
    ['empty.csv', '', /empty\.csv is empty/],
    ['header.csv', 'text,label\n', /header\.csv has no rows below its header/],
    ['bytes.csv', Buffer.from('text,label\ngood,1\ncaf\xe9,1\n', 'latin1'), /line 3 of .*bytes\.csv is not in utf-8/],
    ['json.jsonl', '{"text":"a","label":1}\n{"text":', /line 2 of .*json\.jsonl is not JSON/],
    ['key.jsonl', '{"text":"a","label":1}\n{"txt":"b","label":0}', /line 2 of .*key\.jsonl has no text under "text"; there are "txt", "label"/],
    ['null.jsonl', '{"text":"a","label":null}', /line 1 of .*null\.jsonl has no label: null is none\./],
    ['unlabelled.jsonl', '{"text":"a","label":1}\n{"text":"b","stars":1}', /line 2 of .*unlabelled\.jsonl has no label under "label"; there are "text", "stars"\./],
    ['bytes.jsonl', Buffer.from('{"text":"caf\xe9","label":1}\n', 'latin1'), /line 1 of .*bytes\.jsonl is not in utf-8/],
  ])('names what is wrong: %s', async (name, text, message) => {
    await expect(data.readTexts(await write(name, text))).rejects.toThrow(message)
  })

  it('refuses what is no such file', async () => {
    await expect(data.readTexts(join(folder, 'none.csv'))).rejects.toThrow(FileError)
    await expect(data.readTexts(join(folder, 'none'))).rejects.toThrow(FileError)
    await expect(data.readTexts(folder)).rejects.toThrow(/holds no \.txt files in sub-folders/)
    await expect(data.readTexts(await write('g.csv', 'text,label\na,1\n'), { encoding: 'utf-16le' })).rejects.toThrow(/UTF-16 cannot be read line by line/)
    await expect(data.readTexts('a.csv', { txt: 'x' } as object)).rejects.toThrow(/no option 'txt'/)
    await expect(data.readTexts(await write('broken.csv.gz', '').then((path) => writeFile(path, 'no gzip').then(() => path)))).rejects.toThrow(FileFormatError)
  })

  it('trains a classifier, the words learned from the stream', async () => {
    const rows = Array.from({ length: 60 }, (_, i) => (i % 2 === 0 ? `"a good, warm film ${i}",good` : `a dull cold film ${i},bad`))
    const path = await write('train.csv', ['text,label', ...rows].join('\n'))
    async function* only(): AsyncGenerator<string> {
      for await (const { text } of data.streamTexts(path, { label: null })) yield text
    }
    const vectorizer = await new TextVectorizer({ outputSequenceLength: 6 }).adapt(only())
    const { texts, labels, classes } = await data.readTexts(path)
    const trainer = new Trainer(models.lstmClassifier({ vocabulary: vectorizer.vocabulary.size, embedding: 8, hidden: 8, outputs: 2 }), { vectorizer, optimizer: 'adam', lr: 0.03, loss: 'crossEntropy', metrics: ['accuracy'] })
    const history = await trainer.fit({ inputs: texts, labels: Int32Array.from(labels), classes }, { epochs: 8, batchSize: 10, seed: 0, verbose: false })
    expect(history.epochs.at(-1)!.accuracy).toBe(1)
  })
})

describe('streams', () => {
  it('hold some rows at a time, however large the file is', async () => {
    const path = await write('large.csv', `text,label\n${'word '.repeat(20)},a\n`.concat(`${'word '.repeat(20)},a\n`.repeat(200_000)))
    let rows = 0
    const before = process.memoryUsage().arrayBuffers
    let most = 0
    for await (const { text } of data.streamTexts(path)) {
      rows += text.length > 0 ? 1 : 0
      if (rows % 5000 === 0) most = Math.max(most, process.memoryUsage().arrayBuffers - before)
    }
    expect(rows).toBe(200_001)
    // The file has 20 MB.
    expect(most).toBeLessThan(8e6)
  })

  it('close their file where the reader stops', async () => {
    for await (const { label } of data.streamTexts(join(folder, 'large.csv'))) {
      expect(label).toBe('a')
      break
    }
  })
})

describe('series', () => {
  it('takes columns by name or number, the last where none is named', async () => {
    const path = await write('power.csv', 'hour;load;sun\n0;1.5;0\n1;2;0.25\n')
    expect(await data.csvSeries(path, { delimiter: ';' })).toEqual([0, 0.25])
    expect(await data.csvSeries(path, { delimiter: ';', column: 'load' })).toEqual([1.5, 2])
    expect(await data.csvSeries(path, { delimiter: ';', column: ['load', 2] })).toEqual([[1.5, 0], [2, 0.25]])
    const bare = await write('bare.csv', '7,10\n8,20\n9,30\n')
    expect(await data.csvSeries(bare)).toEqual([10, 20, 30])
    expect(await data.csvSeries(bare, { column: [0, 1] })).toEqual([[7, 10], [8, 20], [9, 30]])
    expect(await data.csvSeries(bare, { header: true })).toEqual([20, 30])
    await expect(data.csvSeries(await write('gap.csv', 't,y\n0,1\n1,\n'))).rejects.toThrow(/row 2 \(line 3\) of .*gap\.csv has "" where a number is wanted/)
    await expect(data.csvSeries(path, { column: 'wind', delimiter: ';' })).rejects.toThrow(ValueError)
  })

  it.runIf(process.env.FERROGRAD_DATA !== undefined)('knows those of textbooks', async () => {
    const passengers = await data.series('airline')
    expect([passengers.length, passengers[0], passengers.at(-1)]).toEqual([144, 112, 432])
    expect([(await data.series('lynx')).length, (await data.series('shampoosales')).length]).toEqual([114, 36])
    await expect(data.series('airlines' as 'airline')).rejects.toThrow('there is no series "airlines"; there are airline, lynx, shampoosales')
  })
})
