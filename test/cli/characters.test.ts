// `ferrograd train charrnn`, and what its model writes, in processes of their own.
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ferrograd } from './command.js'

const folder = await mkdtemp(join(tmpdir(), 'ferrograd-characters-'))
afterAll(() => rm(folder, { recursive: true, force: true }))
const at = (...names: string[]): string => join(folder, ...names)

describe('train charrnn', () => {
  beforeAll(async () => {
    await writeFile(at('rhyme.txt'), 'one, two, buckle my shoe 👞;\n'.repeat(500))
    const { code, stdout, stderr } = await ferrograd(['train', 'charrnn', '--data', at('rhyme.txt'), '--out', at('run'), '--length', '30', '--batch-size', '16', '--epochs', '2', '--lr', '0.01'])
    expect(code, stdout + stderr).toBe(0)
    expect(stdout).toMatch(/^rhyme\.txt: 11,\d{3} characters to train, 1,\d{3} to validate, 1,400 to test, 19 different ones; [\d,]+ parameters\./)
    const [, bits, loss] = /Test bits per character (\d\.\d+), loss (\d\.\d+), perplexity \d\.\d+ on 1,380 characters\./.exec(stdout) ?? []
    expect(Number(bits)).toBeCloseTo(Number(loss) / Math.LN2, 3)
    expect(Number(bits)).toBeLessThan(1)
  }, 300_000)

  it('writes model, history and a report with what it writes', async () => {
    expect(await readdir(at('run'))).toEqual(expect.arrayContaining(['model.safetensors', 'history.jsonl', 'report.svg']))
    const svg = await readFile(at('run', 'report.svg'), 'utf8')
    expect(svg).toContain('Written at a temperature of 0.5')
    expect(svg).toMatch(/buckle my shoe/)
  })

  it('goes on from a prompt, the same with the same seed', async () => {
    const write = (...args: string[]) => ferrograd(['predict', at('run'), ...args])
    const { code, stdout, stderr } = await write('two, buckle my', '--length', '17', '--temperature', '0')
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toBe('two, buckle my shoe 👞;\none, two\n')
    const rows = await Promise.all([1, 1, 2].map((seed) => write('one', '--json', '--length', '80', '--temperature', '2', '--seed', String(seed))))
    expect(rows[0]!.stdout).toBe(rows[1]!.stdout)
    expect(rows[0]!.stdout).not.toBe(rows[2]!.stdout)
    const { prompt, text } = JSON.parse(rows[0]!.stdout) as { prompt: string; text: string }
    expect([prompt, [...text].length]).toEqual(['one', 80])
    expect((await write('--length', '4', '--temperature', '0')).stdout).toBe('\none,\n')
  })

  it('is evaluated on other texts of the same characters, and goes on where it ended', async () => {
    const { code, stdout, stderr } = await ferrograd(['evaluate', at('run'), '--json'])
    expect(code, stderr).toBe(0)
    expect(JSON.parse(stdout.trim().split('\n').at(-1)!)).toMatchObject({ characters: 1380, accuracy: expect.any(Number), bitsPerCharacter: expect.any(Number) })
    const resumed = await ferrograd(['train', 'charrnn', '--out', at('run'), '--resume', '--epochs', '3'])
    expect(resumed.code, resumed.stdout + resumed.stderr).toBe(0)
    expect(resumed.stderr).not.toContain('Epoch 2/3')
  }, 300_000)

  it('says what is wrong', async () => {
    await writeFile(at('short.txt'), 'abc'.repeat(20))
    await writeFile(at('other.txt'), 'ONE, TWO '.repeat(500))
    const cases: [args: string[], code: number, message: RegExp][] = [
      [['predict', at('run'), 'three'], 1, /"r" in the prompt is no character of the text that the model was trained on/],
      [['predict', at('run'), '--top', '2'], 2, /predict: --top has no meaning for characters of a text, which charrnn reads/],
      [['predict', at('run'), '--temperature', '-1'], 2, /--temperature is a number of at least 0, not '-1': 0 takes the likeliest/],
      [['evaluate', at('run'), '--data', at('other.txt')], 1, /"[A-Z]" in other\.txt is no character/],
      [['train', 'charrnn', '--data', at('short.txt'), '--out', at('x')], 1, /of .*short\.txt a part has 54 characters, of which no row of 100 can be cut/],
      [['train', 'charrnn', '--data', at('none.txt'), '--out', at('x')], 1, /there is no text file .*none\.txt, and no data set of this name/],
      [['train', 'charrnn', '--data', 'tinyshakespear', '--out', at('x')], 1, /Did you mean 'tinyshakespeare'\?/],
    ]
    for (const [args, code, message] of cases) {
      const ended = await ferrograd(args)
      expect([args.join(' '), ended.code]).toEqual([args.join(' '), code])
      expect(ended.stderr).toMatch(message)
    }
  })
})
