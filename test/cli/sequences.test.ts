// `ferrograd train tagger`, `train forecast` and texts from the user's own files, in processes of their own.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
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
    expect(await readFile(at('tagger', 'report.svg'), 'utf8')).toContain('Confusion matrix')
  })

  it('says what recordings are, and how good it is', async () => {
    const stdout = await succeed('predict', at('tagger'), at('tones', 'low', '3.wav'), at('tones', 'high'), '--json')
    const rows = stdout.trim().split('\n').map((line) => JSON.parse(line) as { file: string; class: string })
    expect(rows.map((row) => row.class)).toEqual(['low', ...Array<string>(15).fill('high')])
    expect(last(await succeed('evaluate', at('tagger'), '--json'))).toMatchObject({ accuracy: 1, samples: 6 })
  })

  it('says what is wrong', async () => {
    await writeFile(at('no.wav'), 'no sound')
    for (const [args, code, message] of [
      [['predict', at('tagger'), at('no.wav')], 1, /no\.wav is no WAV file/],
      [['predict', at('tagger')], 2, /which recordings is missing/],
      [['train', 'tagger', '--data', 'fssd', '--out', at('x')], 1, /there is no folder of WAV files fssd.*Did you mean 'fsdd'/s],
      [['train', 'tagger', '--data', at('tones'), '--horizon', '3', '--out', at('x')], 2, /--horizon has no meaning for recordings/],
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
    const [, ours, naive] = /Test root mean square error ([\d.]+), .* as 6 steps before: ([\d.]*\d)/.exec(stdout) ?? []
    expect(Number(ours)).toBeLessThan(0.5 * Number(naive))
  }, 300_000)

  it('tells the next steps of the series, or of a newer one', async () => {
    expect(await readFile(at('forecast', 'report.svg'), 'utf8')).toContain('as they came, and as they were told')
    const { next } = last(await succeed('predict', at('forecast'), '--json')) as { next: number[] }
    next.forEach((value, i) => expect(Math.abs(value - (80 + i / 4 + 10 * Math.sin((2 * Math.PI * i) / 12)))).toBeLessThan(4))
    await writeFile(at('newer.csv'), ['month,sold,note', ...rows.slice(0, 60)].join('\n'))
    await writeFile(at('sales.tsv'), ['month\tsold', ...rows.map((row) => row.split(',').slice(0, 2).join('\t'))].join('\n'))
    expect(await succeed('train', 'forecast', '--data', at('sales.tsv'), '--column', '1', '--epochs', '1', '--out', at('tabs'))).toMatch(/sales\.tsv: 120 steps/)
    expect(await succeed('predict', at('forecast'), at('newer.csv'))).toMatch(/newer\.csv: the next 6 steps\n {2}1 +\d/)
    expect(last(await succeed('evaluate', at('forecast'), '--json'))).toMatchObject({ windows: 19 })
  })

  it('goes on where it ended, and says what is wrong', async () => {
    await succeed('train', 'forecast', '--out', at('forecast'), '--resume', '--epochs', '41')
    await writeFile(at('short.csv'), 'y\n1\n2\n3\n')
    for (const [args, code, message] of [
      [['predict', at('forecast'), at('short.csv')], 1, /no column "sold"/],
      [['train', 'forecast', '--data', at('short.csv'), '--out', at('x')], 1, /short\.csv has 3 steps; windows of 24 \+ 12 to train and to test on take 60/],
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

  it('reads JSON lines, and names the line that is wrong', async () => {
    const lines = Array.from({ length: 40 }, (_, i) => JSON.stringify({ text: review(i)[0], label: review(i)[1] }))
    await writeFile(at('reviews.jsonl'), lines.join('\n'))
    await succeed('train', 'lstm', '--data', at('reviews.jsonl'), '--epochs', '1', '--out', at('jsonl'))
    await writeFile(at('broken.jsonl'), [...lines, '{"text": "no label"}'].join('\n'))
    const { code, stderr } = await ferrograd(['train', 'lstm', '--data', at('broken.jsonl'), '--out', at('x')])
    expect([code, stderr]).toEqual([1, expect.stringMatching(/line 41 of .*broken\.jsonl.* has no label/)])
  }, 300_000)
})
