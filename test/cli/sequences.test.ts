// `ferrograd train tagger`, `train forecast` and texts from the user's own files, in processes of their own.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadBundle } from '../../ts/cli/bundle.js'
import { ferrograd } from './command.js'

const folder = await mkdtemp(join(tmpdir(), 'ferrograd-cli-'))
afterAll(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
const succeed = async (...args: string[]): Promise<string> => {
  const { code, stdout, stderr } = await ferrograd(args)
  expect(code, stdout + stderr).toBe(0)
  return stdout
}
const last = (text: string): unknown => JSON.parse(text.trim().split('\n').at(-1)!)

describe('train tagger', () => {
  /** A WAV file of 16 bits at 8 kHz: a tone of this pitch. */
  const tone = (pitch: number, length: number): Buffer => {
    const bytes = Buffer.alloc(44 + 2 * length)
    bytes.write('RIFF', 0)
    bytes.write('WAVEfmt ', 8)
    for (const [value, place] of [[16, 16], [8000, 24], [2 * length, 40]] as const) bytes.writeUInt32LE(value, place)
    for (const [value, place] of [[1, 20], [1, 22], [16, 34]] as const) bytes.writeUInt16LE(value, place)
    bytes.write('data', 36)
    for (let i = 0; i < length; i++) bytes.writeInt16LE(Math.round(9000 * Math.sin((2 * Math.PI * pitch * i) / 8000)), 44 + 2 * i)
    return bytes
  }

  beforeAll(async () => {
    for (const [name, pitch] of [['high', 1500], ['low', 300]] as const) {
      await mkdir(at('tones', name), { recursive: true })
      for (let i = 0; i < 15; i++) await writeFile(at('tones', name, `${i}.wav`), tone(pitch + 10 * i, 700 + 50 * i))
    }
    const stdout = await succeed('train', 'tagger', '--data', at('tones'), '--out', at('tagger'), '--epochs', '6', '--batch-size', '8')
    expect(stdout).toMatch(/tones: \d+ recordings to train, \d+ to validate, 6 to test; [\d,]+ parameters\./)
    expect(stdout).toMatch(/Test accuracy 100\.0 %/)
  }, 300_000)

  it('writes model, history and report', async () => {
    expect(await readdir(at('tagger'))).toEqual(expect.arrayContaining(['model.safetensors', 'history.jsonl', 'report.svg']))
    const report = await readFile(at('tagger', 'report.svg'), 'utf8')
    expect(report).toMatch(/Confusion matrix.*Predictions on test recordings: features over time.*(low · \d+ %.*high · \d+ %|high · \d+ %.*low · \d+ %)/s)
    expect(report.match(/<image /g)).toHaveLength(6)
  })

  it('hears as many bands as it is told, and resumes and predicts with these', async () => {
    const heard = async (...options: string[]): Promise<void> => {
      await succeed('train', 'tagger', '--data', at('tones'), '--out', at('bands'), ...options)
      const { card } = await loadBundle(at('bands'))
      expect([card.config.inputs, card.reading]).toEqual([12, { sampleRate: 8000, bands: 12 }])
    }
    await heard('--bands', '12', '--epochs', '1')
    await heard('--resume', '--epochs', '2')
    expect(last(await succeed('evaluate', at('bands'), '--json'))).toMatchObject({ samples: 6 })
    expect(last(await succeed('predict', at('bands'), at('tones', 'low', '3.wav'), '--json'))).toMatchObject({ file: at('tones', 'low', '3.wav') })
    const { code, stderr } = await ferrograd(['train', 'tagger', '--out', at('bands'), '--resume', '--bands', '40'])
    expect([code, stderr]).toEqual([1, expect.stringMatching(/--bands 40, began with 12/)])
  }, 300_000)

  it('says what recordings are, and how good it is', async () => {
    const stdout = await succeed('predict', at('tagger'), at('tones', 'low', '3.wav'), at('tones', 'high'), '--json')
    const rows = stdout.trim().split('\n').map((line) => JSON.parse(line) as { file: string; class: string })
    expect(rows.map((row) => row.class)).toEqual(['low', ...Array<string>(15).fill('high')])
    expect(last(await succeed('evaluate', at('tagger'), '--json'))).toMatchObject({ accuracy: 1, samples: 6 })
  })

  it('says what is wrong', async () => {
    await writeFile(at('no.wav'), 'no sound')
    // Twice the rate in the file's head.
    const fast = tone(300, 900)
    fast.writeUInt32LE(16000, 24)
    await writeFile(at('fast.wav'), fast)
    for (const path of ['faster/high', 'faster/low', 'mixed/train/high', 'mixed/train/low', 'mixed/test/high', 'mixed/test/low']) {
      await mkdir(at(path), { recursive: true })
      for (let i = 0; i < 4; i++) await writeFile(at(path, `${i}.wav`), path.startsWith('mixed/train') ? tone(300, 900) : fast)
    }
    for (const [args, code, message] of [
      [['predict', at('tagger'), at('no.wav')], 1, /no\.wav is no WAV file/],
      [['predict', at('tagger')], 2, /which recordings is missing/],
      [['train', 'tagger', '--data', at('tones'), '--bands', '1000', '--out', at('x')], 2, /--bands is a whole number of at least 1 and below 513, not '1000': more bands/],
      [['evaluate', at('tagger'), '--data', at('faster')], 1, /the data is recordings of 16000 samples a second; the model was trained on recordings of 8000/],
      [['train', 'tagger', '--data', at('mixed'), '--out', at('x')], 1, /the recordings in .*mixed.test have 16000 samples a second, those in train\/ 8000\.\n {2}Bring all to one rate/],
      [['predict', at('tagger'), at('fast.wav')], 1, /fast\.wav has 16000 samples a second; the model was trained on 8000\.\n {2}Bring it to that rate/],
      [['train', 'tagger', '--data', at('no.wav'), '--out', at('x')], 1, /There are fsdd, .*, or a folder of WAV files, or a \.jsonl or \.json file of features/],
      [['train', 'tagger', '--data', 'fssd', '--out', at('x')], 1, /there is no folder of WAV files fssd.*Did you mean 'fsdd'/s],
      [['train', 'tagger', '--data', at('tones'), '--horizon', '3', '--out', at('x')], 2, /--horizon has no meaning for recordings/],
    ] as [string[], number, RegExp][]) {
      const { code: found, stderr } = await ferrograd(args)
      expect([found, stderr]).toEqual([code, expect.stringMatching(message)])
    }
  })
})

describe('train tagger on features', () => {
  /** Five steps that rise or fall. */
  const steps = (i: number): number[][] => Array.from({ length: 5 + (i % 3) }, (_, t) => [(i % 2 === 0 ? t : -t) / 4 + (i % 7) / 20, (i % 5) / 5])
  const classOf = (i: number): string => (i % 2 === 0 ? 'up' : 'down')

  beforeAll(async () => {
    await writeFile(at('moves.jsonl'), Array.from({ length: 60 }, (_, i) => JSON.stringify({ x: steps(i), y: classOf(i) })).join('\n'))
    const stdout = await succeed('train', 'tagger', '--data', at('moves.jsonl'), '--out', at('moves'), '--epochs', '10', '--batch-size', '8')
    expect(stdout).toMatch(/moves\.jsonl: 43 sequences to train, 5 to validate, 12 to test/)
    expect(stdout).toMatch(/Test accuracy 100\.0 %.*Next: ferrograd predict .*moves SEQUENCES\.jsonl/s)
  }, 300_000)

  it('predicts JSON lines, JSON and CSV, with and without labels', async () => {
    const rows = async (...args: string[]): Promise<[string, string][]> =>
      (await succeed('predict', at('moves'), ...args, '--json')).trim().split('\n').map((line) => JSON.parse(line) as { file: string; class: string }).map((row) => [row.file.slice(folder.length + 1), row.class])
    await writeFile(at('two.jsonl'), `${JSON.stringify({ x: steps(62) })}\n\n${JSON.stringify(steps(63))}\n`)
    await writeFile(at('two.json'), JSON.stringify([steps(65), { x: steps(66), y: 'down' }]))
    await writeFile(at('one.json'), JSON.stringify(steps(61)))
    expect(await rows(at('two.jsonl'), at('two.json'), at('one.json'))).toEqual([['two.jsonl:1', 'up'], ['two.jsonl:2', 'down'], ['two.json:1', 'down'], ['two.json:2', 'up'], ['one.json', 'down']])
    await mkdir(at('tables'))
    await writeFile(at('tables', 'bare.csv'), steps(61).map((step) => step.join(',')).join('\n'))
    await writeFile(at('tables', 'named.tsv'), ['left\tright', ...steps(62).map((step) => step.join('\t'))].join('\n'))
    expect(await rows(at('tables'))).toEqual([[join('tables', 'bare.csv'), 'down'], [join('tables', 'named.tsv'), 'up']])
    await writeFile(at('semicolon.csv'), steps(64).map((step) => step.join(';')).join('\n'))
    expect(await rows(at('semicolon.csv'), '--delimiter', ';')).toEqual([['semicolon.csv', 'up']])
  })

  it('is evaluated on other files, whose labels are names or numbers of its classes', async () => {
    await writeFile(at('numbered.jsonl'), Array.from({ length: 20 }, (_, i) => JSON.stringify({ x: steps(i), y: i % 4 < 2 ? classOf(i) : Number(classOf(i) === 'up') })).join('\n'))
    expect(last(await succeed('evaluate', at('moves'), '--data', at('numbered.jsonl'), '--json'))).toMatchObject({ accuracy: 1, samples: 4 })
  })

  it('says what is wrong', async () => {
    const files = {
      'wide.csv': '1,2\n1,2,3\n', 'words.csv': 'a,b\n1,2\n3,x\n', 'narrow.json': '[[[1],[2]]]', 'hole.json': '[[1,2],[3,null]]', 'empty.json': '{}', 'broken.json': '{"x": ',
      'nameless.jsonl': '{"x": [[1,2]]}', 'unknown.jsonl': '{"x": [[1,2]], "y": "left"}', 'header.csv': 'a,b\n', 'few.jsonl': '{"x": [[1,2]], "y": "a"}\n{"x": [[1,2]], "y": "b"}',
    }
    for (const [name, text] of Object.entries(files)) await writeFile(at(name), text)
    for (const [args, code, message] of [
      [['predict', at('moves')], 2, /which sequences is missing: \.jsonl, \.json or \.csv files of features/],
      [['predict', at('moves'), at('no.wav')], 1, /whose features are not those of WAV files\.\n {2}Give .* files of 2 features a step/],
      [['predict', at('moves'), at('wide.csv')], 1, /row 2 \(line 2\) of .*wide\.csv has more or fewer fields/],
      [['predict', at('moves'), at('words.csv')], 1, /row 3 \(line 3\) of .*words\.csv has "x" where a number is expected/],
      [['predict', at('moves'), at('narrow.json')], 1, /narrow\.json:1: step 1 has length 1; the model reads steps of length 2/],
      [['predict', at('moves'), at('hole.json')], 1, /hole\.json: step 2 holds null, which is no number/],
      [['predict', at('moves'), at('empty.json')], 1, /empty\.json is no sequence\.\n {2}Write \{"x"/],
      [['predict', at('moves'), at('broken.json')], 1, /broken\.json is not JSON/],
      [['predict', at('moves'), at('header.csv')], 1, /header\.csv has no rows below its header/],
      [['predict', at('moves'), at('tones')], 1, /the folder .*tones holds no files of features/],
      [['predict', at('moves'), at('nothing.csv')], 1, /nothing\.csv: there is no such file/],
      [['train', 'tagger', '--data', at('nameless.jsonl'), '--out', at('x')], 1, /nameless\.jsonl:1 has no class\.\n {2}Name it as y/],
      [['train', 'tagger', '--data', at('few.jsonl'), '--out', at('x')], 1, /few\.jsonl holds 2 sequences, of which no fifth can be left out to test\.\n {2}Add some\./],
      [['evaluate', at('moves'), '--data', at('unknown.jsonl')], 1, /unknown\.jsonl:1 has the class "left", which the model does not know\.\n {2}It knows down, up/],
      [['train', 'tagger', '--data', at('moves.jsonl'), '--bands', '3', '--out', at('x')], 2, /--bands is for recordings, which .*moves\.jsonl is not/],
    ] as [string[], number, RegExp][]) {
      const { code: found, stderr } = await ferrograd(args)
      expect([found, stderr]).toEqual([code, expect.stringMatching(message)])
    }
  })
})

describe('train forecast', () => {
  const rows = Array.from({ length: 120 }, (_, t) => `${t},${(50 + t / 4 + 10 * Math.sin((2 * Math.PI * t) / 12)).toFixed(3)},0`)

  beforeAll(async () => {
    await writeFile(at('sales.csv'), ['month,sold,note', ...rows].join('\n'))
    const stdout = await succeed('train', 'forecast', '--data', at('sales.csv'), '--column', 'sold', '--length', '18', '--horizon', '6', '--out', at('forecast'))
    expect(stdout).toMatch(/sales\.csv: 120 steps: \d+ windows of 18 to train, \d+ to validate, 19 to test, 6 steps told of each/)
    const [, ours, naive] = /Test RMSE ([\d.]+), MAE [\d.]+ on 19 windows; naive RMSE ([\d.]+) by the last value\.\n/.exec(stdout) ?? []
    expect(Number(ours)).toBeLessThan(0.5 * Number(naive))
  }, 300_000)

  it('tells the next steps of the series, or of a newer one', async () => {
    expect(await readFile(at('forecast', 'report.svg'), 'utf8')).toMatch(/Forecasts over the validation span.*The last test window.*RMSE by steps ahead/s)
    const { next } = last(await succeed('predict', at('forecast'), '--json')) as { next: number[] }
    next.forEach((value, i) => expect(Math.abs(value - (80 + i / 4 + 10 * Math.sin((2 * Math.PI * i) / 12)))).toBeLessThan(4))
    await writeFile(at('newer.csv'), ['month,sold,note', ...rows.slice(0, 60)].join('\n'))
    await writeFile(at('sales.tsv'), ['month\tsold', ...rows.map((row) => row.split(',').slice(0, 2).join('\t'))].join('\n'))
    expect(await succeed('train', 'forecast', '--data', at('sales.tsv'), '--column', '1', '--epochs', '1', '--out', at('tabs'))).toMatch(/sales\.tsv: 120 steps/)
    expect(await succeed('predict', at('forecast'), at('newer.csv'))).toMatch(/newer\.csv: the next 6 steps\n {2}1 +\d/)
    expect(last(await succeed('evaluate', at('forecast'), '--json'))).toMatchObject({ windows: 19 })
  })

  it('compares with the last value and with a season before', async () => {
    // A series that is t / 2, and every fourth step 10 more; the windows to test with tell two steps each, from step 16, 17 and 18 on.
    await writeFile(at('waves.csv'), ['y', ...Array.from({ length: 20 }, (_, t) => t / 2 + (t % 4 === 0 ? 10 : 0))].join('\n'))
    const stdout = await succeed('train', 'forecast', '--data', at('waves.csv'), '--length', '6', '--horizon', '2', '--season', '4', '--validation', '0', '--epochs', '1', '--out', at('waves'))
    // The last value misses by these, what stood a season before always by 2.
    const naive = Math.sqrt([[10.5, 1], [9.5, 9], [0.5, 1]].flat().reduce((sum, miss) => sum + miss ** 2, 0) / 6)
    expect(stdout).toContain(`on 3 windows; naive RMSE ${Number(naive.toPrecision(4))} by the last value, 2 by 4 steps before.`)
    expect(await readFile(at('waves', 'report.svg'), 'utf8')).toMatch(/by the last value, 2 by 4 steps before.*Forecasts over the test span.*>season</s)
    expect(last(await succeed('evaluate', at('waves'), '--json'))).toMatchObject({ windows: 3, naive: expect.closeTo(naive, 9), seasonalNaive: expect.closeTo(2, 9) })
    expect(last(await succeed('evaluate', at('waves'), '--season', '8', '--json'))).toMatchObject({ seasonalNaive: expect.closeTo(4, 9) })
    // A season shorter than the horizon is told again and again.
    await succeed('train', 'forecast', '--data', at('waves.csv'), '--length', '5', '--horizon', '5', '--season', '4', '--validation', '0', '--epochs', '1', '--out', at('again'))
    expect(last(await succeed('evaluate', at('again'), '--json'))).toMatchObject({ windows: 1, seasonalNaive: expect.closeTo(Math.sqrt((4 * 2 ** 2 + 4 ** 2) / 5), 9) })
  }, 300_000)

  it.runIf(process.env.FERROGRAD_DATA !== undefined)('takes what fits a known series', async () => {
    const { FERROGRAD_DATA } = process.env as Record<string, string>
    for (const [name, told] of [['airline', /144 steps: .* windows of 24 .*12 steps told.* by 12 steps before/s], ['lynx', /114 steps: .* by the last value\.\n/s], ['shampoosales', /36 steps: .* windows of 12 .*3 steps told.* by 12 steps before/s]] as const) {
      const { code, stdout, stderr } = await ferrograd(['train', 'forecast', '--data', name, '--epochs', '1', '--out', at(name)], { env: { FERROGRAD_DATA } })
      expect([code, stdout, stderr]).toEqual([0, expect.stringMatching(told), expect.anything()])
    }
  }, 300_000)

  it('reads files with other delimiters, and knows them again', async () => {
    await writeFile(at('semicolons.csv'), ['month;sold', ...rows.map((row) => row.split(',').slice(0, 2).join(';'))].join('\n'))
    await succeed('train', 'forecast', '--data', at('semicolons.csv'), '--delimiter', ';', '--column', 'sold', '--epochs', '1', '--out', at('semicolons'))
    expect(last(await succeed('evaluate', at('semicolons'), '--json'))).toMatchObject({ windows: 13 })
    expect((last(await succeed('predict', at('semicolons'), '--json')) as { next: number[] }).next).toHaveLength(12)
    // Another file is read as it is said to be.
    expect(last(await succeed('evaluate', at('semicolons'), '--data', at('sales.tsv'), '--delimiter', '\\t', '--json'))).toMatchObject({ windows: 13 })
    expect((last(await succeed('predict', at('semicolons'), at('sales.csv'), '--delimiter', ',', '--column', '1', '--json')) as { next: number[] }).next).toHaveLength(12)
  }, 300_000)

  it('goes on where it ended, and says what is wrong', async () => {
    await succeed('train', 'forecast', '--out', at('forecast'), '--resume', '--epochs', '41')
    // What was left out is known too, and a season changes no weight.
    await succeed('train', 'forecast', '--out', at('semicolons'), '--resume', '--epochs', '2', '--length', '24', '--horizon', '12', '--season', '12')
    await writeFile(at('short.csv'), 'y\n1\n2\n3\n')
    for (const [args, code, message] of [
      [['predict', at('forecast'), at('short.csv')], 1, /no column "sold"/],
      [['train', 'forecast', '--data', at('short.csv'), '--out', at('x')], 1, /short\.csv has 3 steps; windows of 24 \+ 12 to train and to test on take 60/],
      [['train', 'forecast', '--data', at('sales.csv'), '--season', '1', '--out', at('x')], 2, /--season is a whole number of at least 2, not '1': a season of one step is the last value/],
      [['train', 'forecast', '--data', at('sales.csv'), '--column', 'sold', '--season', '97', '--out', at('x')], 1, /--season: 97 steps are more than the 96 that sales\.csv has before those to test on/],
      [['train', 'forecast', '--out', at('semicolons'), '--resume', '--length', '12'], 1, /--length 12, began with 24/],
      [['train', 'forecast', '--data', 'airline', '--delimiter', ';', '--out', at('x')], 2, /--delimiter is for CSV files, which airline is not\. Leave it out/],
      [['train', 'forecast', '--data', at('sales.csv'), '--column', 'solt', '--out', at('x')], 1, /no column "solt"\. Did you mean 'sold'/],
    ] as [string[], number, RegExp][]) {
      const { code: found, stderr } = await ferrograd(args)
      expect([found, stderr]).toEqual([code, expect.stringMatching(message)])
    }
  }, 300_000)
})

describe('train textcnn on files of one\'s own', () => {
  const review = (i: number): [string, string] => (i % 2 === 0 ? [`a good, warm film number ${i}`, '5'] : [`a dull cold film number ${i}`, '1'])

  it('reads CSV by its columns, and is evaluated on what was left out', async () => {
    await writeFile(at('reviews.csv'), ['id,review,stars', ...Array.from({ length: 100 }, (_, i) => `${i},"${review(i)[0]}",${review(i)[1]}`)].join('\n'))
    const stdout = await succeed('train', 'textcnn', '--data', at('reviews.csv'), '--text-column', 'review', '--label-column', 'stars', '--epochs', '4', '--batch-size', '10', '--out', at('csv'))
    expect(stdout).toMatch(/reviews\.csv: 72 texts to train, 8 to validate, 20 to test/)
    expect(last(await succeed('evaluate', at('csv'), '--json'))).toMatchObject({ accuracy: 1, samples: 20 })
    expect(last(await succeed('predict', at('csv'), 'such a warm good film', '--json'))).toMatchObject({ class: '5' })
  }, 300_000)

  it('reads it with another delimiter, which other data is free of', async () => {
    await writeFile(at('semicolons.csv'), ['text;label', ...Array.from({ length: 40 }, (_, i) => review(i).join(';'))].join('\n'))
    await succeed('train', 'textcnn', '--data', at('semicolons.csv'), '--delimiter', ';', '--epochs', '1', '--out', at('texts'))
    expect(last(await succeed('evaluate', at('texts'), '--json'))).toMatchObject({ samples: 8 })
    await mkdir(at('folder'))
    for (const [source, flag, message] of [
      [at('reviews.jsonl'), '--delimiter', /--delimiter is for CSV files, which .*reviews\.jsonl is not\. Leave it out/],
      [at('folder'), '--label-column', /--label-column is for CSV files and JSON lines, which .*folder is not/],
      ['imdb', '--text-column', /--text-column is for CSV files and JSON lines, which imdb is not/],
    ] as const) {
      const { code, stderr } = await ferrograd(['train', 'textcnn', '--data', source, flag, 'x', '--out', at('y')])
      expect([code, stderr]).toEqual([2, expect.stringMatching(message)])
    }
  }, 300_000)

  it('reads JSON lines, and names the line that is wrong', async () => {
    const lines = Array.from({ length: 40 }, (_, i) => JSON.stringify({ text: review(i)[0], label: review(i)[1] }))
    await writeFile(at('reviews.jsonl'), lines.join('\n'))
    await succeed('train', 'lstm', '--data', at('reviews.jsonl'), '--epochs', '1', '--out', at('jsonl'))
    await writeFile(at('broken.jsonl'), [...lines, '{"text": "no label"}'].join('\n'))
    const { code, stderr } = await ferrograd(['train', 'lstm', '--data', at('broken.jsonl'), '--out', at('x')])
    expect([code, stderr]).toEqual([1, expect.stringMatching(/line 41 of .*broken\.jsonl.* has no label/)])
  }, 300_000)
})
