// `ferrograd train lstm | textcnn`, and what its model says of texts, in processes of their own.
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TextVectorizer } from '../../ts/text/index.js'
import { type Ended, ferrograd } from './command.js'

const folder = await mkdtemp(join(tmpdir(), 'ferrograd-texts-'))
afterAll(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)
const env = { FERROGRAD_DATA: folder }
const run = (...args: string[]): Promise<Ended> => ferrograd(args, { env })

/** Reviews of a few words: [label, text]. */
function reviews(count: number): [label: number, text: string][] {
  const words = [['dull', 'awful', 'boring'], ['moving', 'brilliant', 'lovely']] as const
  return Array.from({ length: count }, (_, i) => [i % 2, `The film ${i % 5} was ${words[i % 2]![i % 3]!}, <br /> and ${words[i % 2]![(i + 1) % 3]!} to the end.`])
}

beforeAll(async () => {
  await mkdir(at('imdb'))
  await mkdir(at('sentences'))
  for (const [part, count] of [['train', 200], ['test', 40]] as const) {
    await writeFile(at('imdb', `${part}.jsonl`), reviews(count).map(([label, text]) => JSON.stringify({ text, label })).join('\n'))
    await writeFile(at('sentences', `mr-${part}.tsv`), reviews(count).map(([label, text]) => `${label === 1 ? 'good' : 'bad'}\t${text}`).join('\n'))
  }
})

describe.each([
  ['lstm', 'imdb', 'IMDB', 'reviews', ['--validation', '0.1', '--lr', '0.01', '--epochs', '2'], 'positive'],
  ['textcnn', 'mr', 'MR', 'sentences', ['--epochs', '2'], 'good'],
])('train %s', (model, source, name, noun, options, good) => {
  beforeAll(async () => {
    const { code, stdout, stderr } = await run('train', model, '--data', source, '--out', at(model), '--batch-size', '10', '--length', '20', ...options)
    expect(code, stdout + stderr).toBe(0)
    expect(stderr).toMatch(/Epoch 2\/2/)
    expect(stdout).toMatch(new RegExp(`^${name}: 180 ${noun} to train, 20 to validate, 40 to test; \\d+ words; [\\d,]+ parameters\\.`))
    expect(stdout).toMatch(new RegExp(`Test accuracy 100\\.0 %, loss 0\\.\\d+ on 40 ${noun}\\.`))
    expect(stdout).toContain(`Next: ferrograd predict ${at(model)} "A wonderful film."`)
  }, 300_000)

  it('writes model, words, history and report', async () => {
    expect(await readdir(at(model))).toEqual(expect.arrayContaining(['model.safetensors', 'history.jsonl', 'report.svg']))
    const vectorizer = await TextVectorizer.load(at(model, 'model.safetensors'))
    expect(vectorizer.vocabulary.words).toContain('brilliant')
    const lines = (await readFile(at(model, 'history.jsonl'), 'utf8')).trim().split('\n')
    for (const figure of ['loss', 'accuracy', 'valLoss', 'valAccuracy']) expect(JSON.parse(lines[0]!)).toHaveProperty(figure)
    const svg = await readFile(at(model, 'report.svg'), 'utf8')
    for (const words of ['Accuracy by epoch', 'Confusion matrix', 'Predictions on test texts']) expect(svg).toContain(words)
  })

  it('predicts texts as arguments and by the line, alike', async () => {
    const texts = ['a brilliant and moving film', 'boring and awful']
    const { code, stdout, stderr } = await run('predict', at(model), ...texts, '--json', '--top', '2')
    expect(code, stderr).toBe(0)
    const rows = stdout.trim().split('\n').map((line) => JSON.parse(line) as { text: string; class: string; classes: unknown[] })
    expect(rows.map((row) => row.text)).toEqual(texts)
    expect(rows[0]).toMatchObject({ class: good, classes: [{ class: good }, {}] })
    expect(rows[1]!.class).not.toBe(good)
    await writeFile(at('lines.txt'), `${texts.join('\r\n')}\n\n`)
    expect((await run('predict', at(model), '--file', at('lines.txt'), '--json', '--top', '2')).stdout).toBe(stdout)
    expect((await ferrograd(['predict', at(model), '--file', '-', '--json', '--top', '2'], { env, input: `${texts.join('\n')}\n` })).stdout).toBe(stdout)
    expect(await ferrograd(['predict', at(model), '--file', '-'], { env, input: Buffer.from('na\xefve', 'latin1') })).toMatchObject({ code: 1, stderr: expect.stringContaining('the standard input is not in utf-8') })
    await writeFile(at('latin.txt'), Buffer.from('plain\nna\xefve', 'latin1'))
    expect(await run('predict', at(model), '--file', at('latin.txt'))).toMatchObject({ code: 1, stderr: expect.stringMatching(/line 2 of .*latin\.txt is not in utf-8/) })
    expect((await run('predict', at(model), texts[0]!)).stdout).toMatch(new RegExp(`^a brilliant and moving film  ${good}  \\d+\\.\\d %\n$`))
  })

  it('is evaluated, and goes on where it ended', async () => {
    const { code, stdout, stderr } = await run('evaluate', at(model), '--json')
    expect(code, stderr).toBe(0)
    expect(stdout).toContain(`${source}: accuracy 100.0 %, loss`)
    expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({ accuracy: 1, samples: 40, classes: { [good]: 1 } })
    const again = await run('train', model, '--data', source, '--out', at(model))
    expect([again.code, again.stderr]).toEqual([1, expect.stringMatching(/holds a finished run of 2 epochs/)])
    const resumed = await run('train', model, '--out', at(model), '--resume', '--epochs', '3')
    expect(resumed.code, resumed.stdout + resumed.stderr).toBe(0)
    expect(resumed.stderr).toContain('Epoch 3/3')
    expect(resumed.stderr).not.toContain('Epoch 2/3')
    const other = await run('train', model, '--out', at(model), '--resume', '--length', '9')
    expect([other.code, other.stderr]).toEqual([1, expect.stringMatching(/--length 9, began with 20/)])
  }, 300_000)
})

describe('texts', () => {
  it('that do not fit, or are missing, are said to be so', async () => {
    const cases: [args: string[], code: number, message: RegExp][] = [
      [['predict', at('lstm')], 2, /predict: which texts is missing: in quotes/],
      [['predict', at('lstm'), '--file', at('nowhere.txt')], 1, /nowhere\.txt/],
      [['evaluate', at('lstm'), '--all'], 2, /evaluate: --all has no meaning for texts, which lstm reads/],
      [['evaluate', at('lstm'), '--data', 'mr'], 1, /the data has the classes bad, good; the model knows negative, positive/],
      [['train', 'lstm', '--data', 'subj', '--out', at('x')], 1, /sentences: subj-train\*\.tsv\.gz and .* are not in/],
    ]
    for (const [args, code, message] of cases) {
      const ended = await run(...args)
      expect([args.join(' '), ended.code]).toEqual([args.join(' '), code])
      expect(ended.stderr).toMatch(message)
    }
  })
})
